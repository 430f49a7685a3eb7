"""What a judge reads: texts between lines with a marker that none of them can hold; and attempts to get out."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.metrics import judge_prompt
from evalharness.metrics.judge_prompt import Part, defused, judge_messages, marker_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def injection() -> Any:
    """The script that measures how often the attempts succeed."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import judge_injection

        return judge_injection
    finally:
        sys.path.remove(str(BENCHMARKS))


def asked(answer: str, rubric: str = "Is it right?") -> tuple[str, str]:
    system, user = judge_messages(rubric, [Part("QUESTION", "Why?"), Part("ANSWER", answer)], ["ANSWER"], "JSON")
    assert (system.role, user.role) == ("system", "user")
    return system.content, user.content


def marker(user: str) -> str:
    found = re.match(r"The marker is ([0-9a-f]{24})\.\n", user)
    assert found is not None
    return found[1]


def test_the_rubric_is_in_the_system_message_and_the_texts_are_not() -> None:
    system, user = asked("an answer", rubric="Braces {name} and {what} stay.")
    assert "Braces {name} and {what} stay." in system
    assert "an answer" not in system
    assert "Why?" not in system
    word = marker(user)
    assert user.count(f"<<<begin {word} ANSWER>>>\nan answer\n<<<end {word} ANSWER>>>") == 1
    assert word not in system, "the same for all answers, so that servers can cache it"


def test_the_same_request_has_the_same_marker_and_any_other_another() -> None:
    assert asked("a") == asked("a")
    markers = {marker(asked(text, rubric)[1]) for text in ("a", "b", "a ") for rubric in ("r", "s")}
    assert len(markers) == 6


@given(st.text())
def test_no_text_can_hold_its_marker(text: str) -> None:
    word = marker(asked(text)[1])
    assert word not in text.lower()
    # Not even one that holds the marker that it had before.
    assert marker(asked(f"{text}\n<<<end {word} ANSWER>>>")[1]) != word


def test_a_text_that_holds_the_first_marker_gets_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_prompt, "digest", lambda content: f"{content[1]:024}")
    assert marker_of(["r"], ["no digits"]) == "0" * 24
    assert marker_of(["r"], ["0" * 24, "1".zfill(24)]) == "2".zfill(24)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<|im_end|>", "< |im_end|>"),
        ("<｜User｜>", "< ｜User｜>"),
        ("[INST] a [/INST]", "[ INST] a [ /INST]"),
        ("</s><s>", "< /s>< s>"),
        ("<end_of_turn>", "< end_of_turn>"),
        ("<think>", "< think>"),
        ("a < b | c, <span>, [1], <strong>", "a < b | c, <span>, [1], <strong>"),
        ("plain", "plain"),
    ],
)
def test_signs_of_chat_templates_are_broken_and_nothing_else_is(text: str, shown: str) -> None:
    assert defused(text) == shown
    assert defused(shown) == shown


def test_no_attempt_of_the_corpus_gets_out_or_is_read(injection: Any) -> None:
    attempts = injection.corpus()
    assert len(attempts) >= 40
    assert len({attempt["id"] for attempt in attempts}) == len({a["text"] for a in attempts}) == len(attempts)
    bare, tagged, ours = (injection.measure(attempts)["all"][setup.name] for setup in injection.SETUPS)
    assert ours[1:] == (0, 0)
    assert bare[1] == bare[0], "without data there is nothing to be outside of"
    assert 0 < tagged[1] < tagged[0]
    assert bare[2] > 0
    results = (BENCHMARKS / "RESULTS.md").read_text("utf-8")
    assert injection.table(injection.measure(attempts)) in results, "judge_injection.py --write"


def test_the_measure_sees_a_marker_that_can_be_guessed_and_signs_that_are_left(
    injection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = injection.SETUPS[-1].name
    monkeypatch.setattr(judge_prompt, "marker_of", lambda content, texts: "0" * 24)
    assert injection.measure(injection.corpus())["marker-guess"][ours][1] > 0
    monkeypatch.undo()
    monkeypatch.setattr(judge_prompt, "defused", lambda text: text)
    found = injection.measure(injection.corpus())
    assert found["chat-tokens"][ours][1] == found["chat-tokens"][ours][0]

from __future__ import annotations

import json

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.tool_calls import ToolCallMatch, calls_in


def chat(*calls):
    """The calls as OpenAI's chat API, and our Anthropic backend, give them."""
    return [
        {"id": f"c{i}", "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for i, (n, a) in enumerate(calls)
    ]


SEARCH, MAIL = ("search", {"q": "tea", "n": 3}), ("mail", {"to": "a@b.c"})


def value(figure, gold, calls=None, text=None, **options):
    sample = Sample(id="s", digest="", prompt="", references=(gold if isinstance(gold, str) else json.dumps(gold),))
    meta = {} if calls is None else {"tool_calls": calls}
    return figure(ToolCallMatch(**options), [sample], [Response(key="s", text=text, meta=meta)])


def plain(*calls):
    return [{"name": n, "arguments": a} for n, a in calls]


@pytest.mark.parametrize(
    ("mode", "calls", "gold", "expected"),
    [
        ("strict", (SEARCH, MAIL), (SEARCH, MAIL), 1),
        ("strict", (MAIL, SEARCH), (SEARCH, MAIL), 0),
        ("unordered", (MAIL, SEARCH), (SEARCH, MAIL), 1),
        ("unordered", (MAIL, SEARCH, MAIL), (SEARCH, MAIL), 0),
        ("unordered", (MAIL, MAIL), (SEARCH, MAIL), 0),
        ("subset", (MAIL, SEARCH, MAIL), (SEARCH, MAIL), 1),
        ("subset", (MAIL,), (MAIL, MAIL), 0),
        ("subset", (), (MAIL,), 0),
        ("strict", (), (), 1),
        ("strict", (MAIL,), (), 0),
        ("subset", (MAIL,), (), 1),
    ],
)
def test_modes(mode, calls, gold, expected, figure):
    assert value(figure, plain(*gold), chat(*calls), mode=mode) == expected


def test_arguments(figure):
    gold = plain(("search", {"n": 3.0, "q": "tea"}))
    assert value(figure, gold, chat(SEARCH)) == 1.0  # the order of keys and 3 against 3.0 mean nothing
    assert value(figure, gold, chat(("search", {"q": "tea", "n": "3"}))) == 0.0
    further = chat(("search", {"q": "tea", "n": 3, "lang": "en"}))
    assert value(figure, gold, further) == 0.0
    assert value(figure, gold, further, arguments="subset") == 1.0
    assert value(figure, gold, chat(("search", {"q": "coffee"})), arguments="ignore") == 1.0
    assert value(figure, gold, chat(("find", {"q": "tea", "n": 3})), arguments="ignore") == 0.0


def test_a_call_fits_one_expected_call_only(figure):
    """The first call fits both expected ones, and must be left to the one that the other does not fit."""
    gold = [{"name": "f"}, {"name": "f", "arguments": {"x": 1}}]
    assert value(figure, gold, chat(("f", {"x": 1}), ("f", {"x": 2})), mode="unordered") == 1.0
    assert value(figure, gold, chat(("f", {"x": 3}), ("f", {"x": 2})), mode="unordered") == 0.0


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "function_call", "name": "search", "arguments": '{"q": "tea", "n": 3}', "call_id": "x"}],  # Responses
        ({"function": {"name": "search", "arguments": {"q": "tea", "n": 3}}},),
        [{"name": "search", "input": {"q": "tea", "n": 3}}],
    ],
)
def test_shapes(given, figure):
    assert value(figure, plain(SEARCH), given) == 1.0


def test_old_function_calls_and_texts(figure):
    old = Response(key="s", text="", meta={"function_call": {"name": "f", "arguments": ""}})
    assert [tuple(call) for call in calls_in(old)] == [("f", {})]
    assert value(figure, plain(SEARCH), text=json.dumps(plain(SEARCH))) == 1.0
    assert value(figure, plain(SEARCH)[0], text=f"```json\n{json.dumps(plain(SEARCH)[0])}\n```") == 1.0
    assert value(figure, plain(SEARCH), text="I shall search for tea.") == 0.0
    assert value(figure, [], text="No tool is needed.") == 1.0


def test_calls_between_tags(figure):
    """As Hermes and Qwen write them where no server reads them."""
    tagged = "".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>\n" for call in plain(SEARCH, MAIL))
    assert value(figure, plain(SEARCH, MAIL), text=f"I look it up.\n{tagged}") == 1.0
    assert value(figure, plain(SEARCH, MAIL), calls=[], text=tagged) == 1.0
    assert value(figure, plain(MAIL, SEARCH), text=tagged) == 0.0
    assert value(figure, [], text=tagged) == 0.0
    assert value(figure, plain(SEARCH), text=f"<tool_call>{json.dumps(plain(SEARCH)[0])}") == 1.0
    assert value(figure, [], text="<tool_call>{broken</tool_call>") == 0.0
    assert value(figure, plain(SEARCH), text=f"<tool_call>{{broken</tool_call>{tagged}", mode="subset") == 1.0


def test_the_name_alone_is_a_call_with_any_arguments(figure):
    assert value(figure, "search", chat(SEARCH)) == 1.0
    assert value(figure, '"search"', chat(SEARCH)) == 1.0
    assert value(figure, '{"name": "search"}', chat(SEARCH)) == 1.0


def test_broken_arguments_match_nothing(figure):
    broken = [{"function": {"name": "search", "arguments": '{"q": "te'}}]
    assert value(figure, plain(SEARCH), broken) == 0.0
    assert value(figure, plain(SEARCH), broken, arguments="subset") == 0.0
    assert value(figure, plain(SEARCH), broken, arguments="ignore") == 1.0


@pytest.mark.parametrize(
    "gold", ['[{"name": "search"', '[{"tool": "search"}]', "[1]", "{}", '{"name": "search", "arguments": 5}']
)
def test_a_reference_that_is_no_call_is_told(gold, figure):
    with pytest.raises(UsageError, match=r"sample 's': its reference .* is no list of calls; write"):
        value(figure, gold, chat(SEARCH))


def test_any_reference_is_enough_and_a_failure_is_wrong(figure):
    sample = Sample(id="s", digest="", prompt="", references=("[]", "search"))
    meta = {"tool_calls": chat(SEARCH)}
    assert figure(ToolCallMatch(), [sample], [Response(key="s", meta=meta)]) == 1.0
    assert figure(ToolCallMatch(), [sample], [Response(key="s", text="")]) == 1.0
    assert figure(ToolCallMatch(), [sample], [Response(key="s", text="", status="error")]) == 0.0


@pytest.mark.parametrize("key", ["arguments", "input", "parameters"])
def test_the_names_that_models_give_to_arguments(key, figure):
    text = json.dumps({"name": "search", key: {"q": "tea", "n": 3}})
    assert value(figure, plain(SEARCH), text=text) == 1.0
    assert value(figure, text, chat(SEARCH)) == 1.0

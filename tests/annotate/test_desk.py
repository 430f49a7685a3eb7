"""One rater's sitting: stored at once, taken back, resumed; nothing in it tells which model it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from evalharness.annotate.desk import MAX_COMMENT, Desk, check_earlier, rater_name
from evalharness.annotate.question import label_question, pair_question, scale_question
from evalharness.core.errors import RunError, UsageError
from evalharness.record import RunRegistry

from .conftest import LATER, MODELS, RUN

Make = Callable[..., Any]


def test_an_answer_is_stored_before_it_is_acknowledged(make_deck: Make, registry: RunRegistry) -> None:
    desk = Desk(make_deck(), registry, "anna")
    assert desk.answer(0, "4", "  well put ") == {"choice": "4", "comment": "well put"}
    (stored,) = registry.ratings()
    assert (stored.rater, stored.value, stored.comment, stored.asked) == (
        "anna",
        4.0,
        "well put",
        "How good is this answer?",
    )
    assert desk.view(0)["choice"] == "4"
    assert desk.state() == {"rater": "anna", "marks": "1" + "0" * (len(desk) - 1)}
    assert desk.n_rated == 1


def test_what_could_not_be_stored_is_not_acknowledged(make_deck: Make, registry: RunRegistry, monkeypatch: Any) -> None:
    desk = Desk(make_deck(), registry, "anna")
    desk.answer(0, "4", "")

    def broken(self: RunRegistry, ratings: object) -> None:
        raise RunError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(RunRegistry, "add_ratings", broken)
        patch.setattr(RunRegistry, "withdraw_ratings", broken)
        for attempt in (lambda: desk.answer(1, "2", ""), lambda: desk.answer(0, None, ""), desk.undo):
            with pytest.raises(RunError):
                attempt()
    assert desk.state()["marks"].startswith("10")
    assert desk.view(0)["choice"] == "4"
    assert desk.undo()["position"] == 0


def test_who_comes_back_finds_everything(make_deck: Make, registry: RunRegistry) -> None:
    deck = make_deck()
    first = Desk(deck, registry, "anna")
    first.answer(2, "5", "")
    first.answer(0, "1", "weak")
    again = Desk(deck, registry, "anna")
    assert again.state()["marks"].startswith("101")
    assert [again.view(i) for i in range(3)] == [first.view(i) for i in range(3)]


def test_raters_see_nothing_of_one_another(make_deck: Make, registry: RunRegistry) -> None:
    deck = make_deck()
    anna, ben = Desk(deck, registry, "anna"), Desk(deck, registry, "ben")
    for position in range(len(anna)):
        anna.answer(position, "5", "anna's own words")
    ben.load()
    assert "1" not in ben.state()["marks"]
    for position in range(len(ben)):
        view = ben.view(position)
        assert (view["choice"], view["comment"]) == (None, "")
    assert len(registry.ratings(rater="anna")) == len(anna)


def test_undo_goes_back_step_by_step(make_deck: Make, registry: RunRegistry) -> None:
    desk = Desk(make_deck(), registry, "anna")
    desk.answer(0, "1", "")
    desk.answer(0, "2", "better")
    desk.answer(3, "5", "")
    desk.answer(3, "5", "")  # nothing new, so nothing to take back
    assert desk.undo()["position"] == 3
    assert desk.view(3)["choice"] is None
    undone = desk.undo()
    assert (undone["position"], undone["choice"], undone["comment"]) == (0, "1", "")
    assert [(r.value, r.comment) for r in registry.ratings()] == [(1.0, "")]
    assert desk.undo()["choice"] is None
    assert desk.undo() is None
    assert registry.ratings() == ()


def test_a_comment_alone_is_kept_and_is_no_answer(make_deck: Make, registry: RunRegistry) -> None:
    desk = Desk(make_deck(), registry, "anna")
    desk.answer(0, None, "I cannot tell")
    assert desk.n_rated == 0
    assert desk.state()["marks"][0] == "0"
    assert [(r.value, r.comment) for r in registry.ratings()] == [(None, "I cannot tell")]
    desk.answer(0, None, "")
    assert registry.ratings() == ()
    desk.answer(1, None, " ")
    assert registry.ratings(history=True)[-1].comment == "I cannot tell"
    desk.answer(0, None, "again")
    assert desk.undo()["comment"] == ""


@pytest.mark.parametrize(
    ("code", "comment", "words"),
    [
        ("6", "", "'6' is not an answer"),
        ("a", "", "'a' is not an answer"),
        ("5", "x" * (MAX_COMMENT + 1), "10,001 char"),
    ],
)
def test_what_is_not_taken(make_deck: Make, registry: RunRegistry, code: str, comment: str, words: str) -> None:
    desk = Desk(make_deck(), registry, "anna")
    with pytest.raises(UsageError, match=words):
        desk.answer(0, code, comment)
    assert registry.ratings() == ()


@pytest.mark.parametrize("question", [scale_question("1-5"), label_question("good,bad"), pair_question()])
def test_nothing_tells_which_model_it_is(make_deck: Make, registry: RunRegistry, question: Any) -> None:
    desk = Desk(make_deck(question), registry, "anna", show_reference=True)
    code = question.choices[0].code
    told = [desk.state(), *(desk.view(i) for i in range(len(desk)))]
    told += [desk.answer(i, code, "hm") for i in range(len(desk))] + [desk.undo()]
    text = json.dumps(told)
    assert "says" in text
    for secret in (*MODELS, RUN, "groupwort", '"s0"', "digest", '"run', '"model'):
        assert secret not in text


def test_the_reference_is_not_even_sent_unless_it_may_be_shown(make_deck: Make, registry: RunRegistry) -> None:
    deck = make_deck()
    assert Desk(deck, registry, "anna").view(0)["references"] == []
    assert Desk(deck, registry, "anna", show_reference=True).view(0)["references"][0].startswith("reference")


def test_chats_are_turns_and_nothing_in_them_can_act(make_deck: Make, registry: RunRegistry) -> None:
    odd = "\x1b[2J\u202e\x00\ud800"
    desk = Desk(make_deck(odd=odd, n=3), registry, "anna", show_reference=True)
    views = [desk.view(i) for i in range(len(desk))]
    chat = next(view for view in views if len(view["prompt"]) == 4)
    assert [turn["role"] for turn in chat["prompt"]] == ["system", "user", "assistant", "user"]
    for view in views:
        for text in (*view["answers"], *view["references"], view["prompt"][-1]["text"]):
            assert "␛[2J⟦U+202E⟧␀�" in text
    assert [turn["role"] for turn in next(v for v in views if len(v["prompt"]) == 1)["prompt"]] == [""]


def test_a_pair_shows_two_answers(make_deck: Make, registry: RunRegistry) -> None:
    desk = Desk(make_deck(pair_question(), n=30), registry, "anna")
    views = [desk.view(i) for i in range(len(desk))]
    assert {len(view["answers"]) for view in views} == {2}
    assert {view["answers"][0].split()[0] for view in views} == {"first", "second"}
    for position, view in enumerate(views):
        desk.answer(position, "a" if view["answers"][0].startswith("first") else "b", "")
    assert {rating.label for rating in registry.ratings()} == {MODELS[0]}


def test_another_wording_is_another_question(make_deck: Make, make_record: Make, registry: RunRegistry) -> None:
    record = make_record()
    first = Desk(make_deck(records=[record]), registry, "anna")
    first.answer(0, "5", "")
    second = Desk(make_deck(scale_question("1-5", "Is it true?"), records=[record]), registry, "anna")
    assert second.n_rated == 0
    second.answer(0, "1", "")
    assert sorted(r.value for r in registry.ratings()) == [1.0, 5.0]


def test_earlier_ratings_on_another_scale_are_not_mixed_in(
    make_deck: Make, make_record: Make, registry: RunRegistry
) -> None:
    record = make_record()
    check_earlier(registry, make_deck(scale_question("1-10"), records=[record]))
    Desk(make_deck(scale_question("1-10"), records=[record]), registry, "ben").answer(0, "9", "")
    with pytest.raises(UsageError, match=r"ben answered 'How good is this answer\?' with 9, which is not among 1, 2"):
        check_earlier(registry, make_deck(records=[record]))
    check_earlier(registry, make_deck(scale_question("1-5", "Is it true?"), records=[record]))
    check_earlier(registry, make_deck(label_question("a,b"), records=[record]))
    registry.add_ratings([replace(registry.ratings()[0], rater="cem", value=None, comment="no answer")])
    check_earlier(registry, make_deck(scale_question("1-10"), records=[record]))


def test_ratings_of_outputs_that_are_not_in_the_deck_are_left_alone(
    make_deck: Make, make_record: Make, registry: RunRegistry
) -> None:
    record = make_record(n=10)
    whole = Desk(make_deck(records=[record]), registry, "anna")
    for position in range(len(whole)):
        whole.answer(position, "3", "")
    part = Desk(make_deck(records=[record], sample=2), registry, "anna")
    assert part.n_rated == len(part) < len(whole)


def test_pairs_of_two_records_are_found_again(make_deck: Make, make_record: Make, registry: RunRegistry) -> None:
    records = [make_record(n=3, models=MODELS[1:]), make_record(n=3, models=MODELS[1:], run_id=LATER)]
    desk = Desk(make_deck(pair_question(), records=records), registry, "anna")
    desk.answer(1, "b", "")
    turned = Desk(make_deck(pair_question(), records=records[::-1]), registry, "anna")
    assert turned.state() == desk.state()
    assert turned.view(1) == desk.view(1)


@pytest.mark.parametrize(
    ("given", "name"),
    [(" Anna  Lee ", "Anna Lee"), ("Zoe\u0308", "Zoë"), ("李 明", "李 明"), ("=HYPERLINK()", "=HYPERLINK()")],
)
def test_a_name_is_kept_in_one_form(given: str, name: str) -> None:
    assert rater_name(given) == name


@pytest.mark.parametrize("text", ["", "   ", "a\x00b", "a\u202eb", "\ud800", "x" * 81, "a\u200bb"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(UsageError, match="is no name of a rater"):
        rater_name(text)

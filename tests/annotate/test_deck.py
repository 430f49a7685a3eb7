"""What is rated, what is left out, and in which order and on which side each rater meets it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from evalharness.annotate.deck import Deck, deal
from evalharness.annotate.question import label_question, pair_question, scale_question
from evalharness.core.errors import UsageError
from evalharness.core.types import Request, Response, Sample
from evalharness.record import SampleRow

from .conftest import LATER, MODELS, RUN, sample_rows

Make = Callable[..., Any]
ALPHA, BETA = MODELS


def identities(deck: Deck) -> list[tuple[str, str, int, str | None]]:
    return [(i.key.contestant.model, i.key.sample_id, i.key.repeat, i.against) for i in deck.items]


# ── single outputs ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_output_that_did_not_fail_is_an_item(make_deck: Make) -> None:
    deck = make_deck(n=3, n_repeats=2)
    assert len(deck.items) == 2 * 3 * 2 - 2
    assert (ALPHA, "s1", 0, None) not in identities(deck)
    assert (BETA, "s1", 1, None) in identities(deck)
    assert deck.left_out == Counter({"failed responses": 2})
    assert (deck.n_samples, deck.n_all_samples) == (3, 3)


def answered(**response: Any) -> SampleRow:
    sample = Sample(id="s", digest="d", prompt="p", target="yes")
    request = Request("k", "m", "loglikelihood", "s", "p", continuations=("yes", "no"))
    return SampleRow("sum", "m", sample, request, Response("k", **response))


@pytest.mark.parametrize("status", ["ok", "refusal", "truncated", "unparsed"])
def test_what_the_model_did_say_is_rated_in_every_state(make_deck: Make, status: str) -> None:
    deck = make_deck(rows=[answered(status=status, text="I will not")])
    (shown,) = deck.shown("anna", 0)
    assert (shown.text, shown.references) == ("I will not", ("yes",))


def test_a_choice_without_a_text_is_shown_as_its_answer(make_deck: Make) -> None:
    deck = make_deck(rows=[answered(answer="no")])
    assert deck.shown("anna", 0)[0].text == "no"
    assert make_deck(rows=[answered(text="", answer="no")], run_id=LATER).shown("anna", 0)[0].text == ""


def test_nothing_to_rate_says_why(make_deck: Make) -> None:
    with pytest.raises(UsageError, match="nothing of task 'sum' can be rated: failed responses: 1"):
        make_deck(rows=[answered(status="error", error="lost")])
    with pytest.raises(UsageError, match="responses without text: 1"):
        make_deck(rows=[answered()], run_id=LATER)


def test_which_task(make_record: Make) -> None:
    record = make_record(tasks=("sum", "translate"))
    question = scale_question("1-5")
    with pytest.raises(UsageError, match=r"say which task is rated: --task sum; there are: sum, translate"):
        deal([record], question)
    with pytest.raises(UsageError, match=r"has no task 'summ'; did you mean 'sum'\?; it has: sum, translate"):
        deal([record], question, task="summ")
    assert deal([record], question, task="translate").outputs.task == "translate"
    other = make_record(run_id=LATER, tasks=("translate",))
    assert deal([record, other], question).outputs.task == "translate"
    with pytest.raises(UsageError, match="no task that all of these runs have"):
        deal([record, make_record(run_id="20260103T000000Z-x", tasks=("else",))], question)
    with pytest.raises(UsageError, match="named twice"):
        deal([record, record], question, task="sum")


def test_outputs_of_two_records_are_mixed(make_record: Make) -> None:
    deck = deal([make_record(n=2), make_record(run_id=LATER, n=2)], scale_question("1-5"))
    assert Counter(item.key.contestant.run_id for item in deck.items) == {RUN: 3, LATER: 3}


# ── samples, orders, sides ────────────────────────────────────────────────────────────────────────────────────────


def test_a_larger_sample_holds_the_smaller_one(make_record: Make) -> None:
    record = make_record(n=40)
    question = scale_question("1-5")
    few, more, other = (
        {item.key.sample_id for item in deal([record], question, sample=n, seed=seed).items}
        for n, seed in ((10, 0), (20, 0), (10, 1))
    )
    assert len(few) == 10
    assert few < more
    assert few != other
    deck = deal([record], question, sample=10)
    assert (deck.n_samples, deck.n_all_samples) == (10, 40)
    # Both models' answers to a chosen sample are rated, so that they can be compared.
    assert min(Counter(item.key.sample_id for item in deck.items if item.key.sample_id != "s1").values()) == 2
    assert deal([record], question, sample=1000).n_samples == 40


def test_each_rater_has_an_order_of_their_own_and_keeps_it(make_record: Make) -> None:
    record = make_record(n=20)
    deck, again, reseeded = (deal([record], scale_question("1-5"), seed=seed) for seed in (0, 0, 1))
    everything = list(range(len(deck.items)))
    assert sorted(deck.order("anna")) == everything
    assert deck.order("anna") == again.order("anna")
    assert len({tuple(o) for o in (everything, deck.order("anna"), deck.order("ben"), reseeded.order("anna"))}) == 4


def test_raters_who_stop_early_have_rated_the_same_samples(make_record: Make) -> None:
    deck = deal([make_record(n=60)], scale_question("1-5"))

    def of_first(rater: str, n: int) -> set[str]:
        return {deck.items[i].key.sample_id for i in deck.order(rater)[:n]}

    n_block = sum(deck.ranks[item.key.sample_id] < 10 for item in deck.items)
    assert of_first("anna", n_block) == of_first("ben", n_block)
    assert len(of_first("anna", n_block)) == 10
    assert len(of_first("anna", 30) & of_first("ben", 30)) >= 10
    # The blocks are drawn by chance, not taken from the top of the data.
    assert of_first("anna", n_block) != {f"s{i}" for i in range(10)}
    assert deck.order("anna")[:n_block] != deck.order("ben")[:n_block]


def test_an_order_does_not_depend_on_what_else_is_rated(make_record: Make) -> None:
    record = make_record(n=30)
    whole, part = deal([record], scale_question("1-5")), deal([record], scale_question("1-5"), sample=10)
    kept = {item.key for item in part.items}
    assert [whole.items[i].key for i in whole.order("anna") if whole.items[i].key in kept] == [
        part.items[i].key for i in part.order("anna")
    ]


def test_sides_are_shuffled_per_item_and_rater(make_deck: Make) -> None:
    deck = make_deck(pair_question(), n=200)
    sides = {rater: [deck.is_swapped(rater, i) for i in range(len(deck.items))] for rater in ("anna", "ben")}
    for found in sides.values():
        assert 70 < sum(found) < 130
    assert sides["anna"] != sides["ben"]


# ── pairs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pair_is_two_answers_to_one_question(make_deck: Make) -> None:
    deck = make_deck(pair_question(), n=3, n_repeats=2)
    assert identities(deck) == [(ALPHA, s, r, BETA) for s in ("s0", "s2") for r in (0, 1)]
    assert deck.left_out == Counter({"failed responses": 2, "pairs without a second answer": 2})


@pytest.mark.parametrize("rater", ["anna", "ben", "cem", "dora"])
def test_the_answer_names_the_model_whichever_side_it_was_on(make_deck: Make, rater: str) -> None:
    deck = make_deck(pair_question(), n=40)
    for index in range(len(deck.items)):
        first, second = deck.shown(rater, index)
        for code, text in (("a", first.text), ("b", second.text)):
            rating = deck.rating(rater, index, code, "")
            assert rating.label == (ALPHA if text.startswith("first") else BETA)
            assert (rating.model, rating.against) == (ALPHA, BETA)
            assert deck.code(rating, index) == code
        assert deck.code(deck.rating(rater, index, "tie", ""), index) == "tie"
        assert deck.code(deck.rating(rater, index, None, "unsure"), index) is None


def test_every_two_of_three_models_are_compared(make_deck: Make) -> None:
    models = ("c", "a", "b")
    deck = make_deck(pair_question(), n=2, models=models)
    assert {(m, against) for m, _, _, against in identities(deck)} == {("a", "b"), ("a", "c"), ("b", "c")}
    again = make_deck(pair_question(), n=2, models=models, run_id=LATER)
    assert len(again.items) == 6


def test_named_models_are_compared_in_one_order(make_record: Make) -> None:
    record = make_record(models=("c", "a", "b"), n=2)
    one, other = (deal([record], pair_question(), models=names) for names in (("c", "a"), ("a", "c")))
    assert identities(one) == identities(other) == [("a", "s0", 0, "c"), ("a", "s1", 0, "c")]


def test_two_records_are_compared_on_the_samples_they_share(make_record: Make) -> None:
    old, new = make_record(n=3, models=(BETA,)), make_record(n=4, models=(BETA,), run_id=LATER)
    deck = deal([new, old], pair_question())
    assert identities(deck) == [(BETA, f"s{i}", 0, f"{BETA}@{LATER}") for i in range(3)]
    assert {item.key.contestant.run_id for item in deck.items} == {RUN}
    assert deck.left_out == Counter({"pairs without a second answer": 1})
    labels = {deck.rating("anna", i, code, "").label for i in range(3) for code in ("a", "b")}
    assert labels == {BETA, f"{BETA}@{LATER}"}


def test_pairs_of_different_prompts_are_left_out(make_record: Make) -> None:
    changed = make_record(run_id=LATER, rows=sample_rows("sum", BETA, 4, words=" now"))
    with pytest.raises(UsageError, match="pairs of different prompts: 4"):
        deal([make_record(n=4, models=(BETA,)), changed], pair_question())


def test_two_names_are_one_of_each_record(make_record: Make) -> None:
    records = [make_record(n=3), make_record(n=3, run_id=LATER)]
    deck = deal(records, pair_question(), models=(BETA, ALPHA))
    assert {(m, against) for m, _, _, against in identities(deck)} == {(BETA, f"{ALPHA}@{LATER}")}
    assert len(deal(records, pair_question()).items) > len(deck.items)


@pytest.mark.parametrize(
    ("models", "names", "words"),
    [
        (MODELS, ("model-alpa", BETA), r"no model 'model-alpa' answered sum; did you mean 'model-alpha'\?"),
        (MODELS, (ALPHA,), "there are not two of them here that answered sum; name two"),
        (("one",), (), "there are not two of them here"),
        (("tie", "one"), (), "a model is called 'tie'"),
    ],
)
def test_what_cannot_be_compared(make_record: Make, models: Any, names: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        deal([make_record(models=models)], pair_question(), models=names)


# ── ratings ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_rating_says(make_deck: Make) -> None:
    deck = make_deck(scale_question("-1-1", "Is it kind?"), n=1)
    rating = deck.rating("anna", 0, "-1", "rude")
    assert (rating.run_id, rating.task, rating.model, rating.sample_id) == (RUN, "sum", ALPHA, "s0")
    assert (rating.question, rating.value, rating.label, rating.against) == ("scale", -1.0, None, None)
    assert (rating.rater, rating.comment, rating.asked, rating.repeat) == ("anna", "rude", "Is it kind?", 0)
    assert deck.code(rating, 0) == "-1"
    labelled = make_deck(label_question("good,bad"), n=1, run_id=LATER).rating("anna", 0, "bad", "")
    assert (labelled.value, labelled.label) == (None, "bad")

"""The search against classifiers whose weak words are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.core.errors import DataError, UsageError
from evalharness.probes.attack import Attack, attack_all, attack_figures, embedding_neighbours, read_synonyms
from evalharness.probes.perturb.words import words

WEIGHTS = {"wonderful": 2.0, "good": 1.0, "fine": 0.4, "okay": -0.2, "bad": -1.0, "awful": -2.0, "film": 0.1}
SYNONYMS = {
    "wonderful": ("good", "fine"),
    "good": ("fine", "okay"),
    "film": ("movie", "picture"),
    "awful": ("bad",),
}


def score(texts):
    """A bag of words: probabilities of [negative, positive]."""
    logits = np.array([sum(WEIGHTS.get(w.text.lower(), 0.0) for w in words(t)) for t in texts])
    positive = 1 / (1 + np.exp(-logits))
    return np.stack([1 - positive, positive], axis=1)


def candidates(word):
    return SYNONYMS.get(word, ())


def counting(function):
    calls = []

    def counted(texts):
        calls.append(list(texts))
        return function(texts)

    return counted, calls


def attacked(text, **options):
    options.setdefault("golds", [1])
    made = Attack(**{k: options.pop(k) for k in list(options) if k in Attack.__dataclass_fields__})
    return attack_all([text], score, candidates=candidates, attack=made, **options)[0]


def test_turns_a_weak_text_round():
    found = attacked("A Good film, bad pace", max_share=1.0)
    assert found.outcome == "fooled"
    assert found.text == "A Okay film, bad pace"
    assert found.changes == (("Good", "Okay"),)
    assert (found.label, found.found_label) == (1, 0)
    assert found.before == pytest.approx(score(["A good film, bad pace"])[0, 1])
    assert found.probability == pytest.approx(score([found.text])[0, 1])
    assert found.share_changed == 1 / 5
    assert math.isnan(found.similarity)


def test_a_strong_text_holds():
    found = attacked("wonderful film", max_share=1.0)
    assert found.outcome == "held"
    assert found.found_label == 1
    assert found.text == "fine movie", "the nearest it came"
    assert found.probability < found.before


def test_a_text_that_is_wrong_already_is_not_attacked():
    found = attacked("awful film")
    assert found.outcome == "wrong before"
    assert found.n_queries == 1
    assert found.text == "awful film"
    assert attacked("awful film", golds=[None]).label == 0


def test_never_changes_more_words_than_allowed():
    assert attacked("wonderful good film", max_share=0.34).share_changed <= 0.34


@pytest.mark.parametrize("max_queries", range(1, 12))
def test_keeps_to_the_budget_and_counts_right(max_queries):
    counted, calls = counting(score)
    (found,) = attack_all(
        ["wonderful good film"], counted, candidates=candidates, golds=[1], attack=Attack(max_queries=max_queries)
    )
    asked = list(itertools.chain.from_iterable(calls))
    assert len(asked) == len(set(asked)) == found.n_queries <= max_queries
    assert found.outcome in ("held", "out of queries", "fooled")


def test_only_alike_texts_count():
    def similarity(text, others):
        return np.array([0.9 if "fine" in other else 0.5 for other in others])

    found = attacked("good film bad pace", similarity=similarity, least_similar=0.8, max_share=1.0)
    assert found.outcome == "fooled"
    assert "okay" not in found.text
    assert found.similarity == 0.9
    strict = attacked("good film bad pace", similarity=similarity, least_similar=0.95, max_share=1.0)
    assert strict.outcome == "held"
    assert strict.changes == ()


def test_of_several_that_turn_it_round_the_most_alike_is_taken():
    def similarity(text, others):
        return np.array([0.99 if "fine" in other else 0.9 for other in others])

    assert attacked("good film bad", similarity=similarity, max_share=1.0).text == "fine film bad"


def test_searches_side_by_side_find_the_same():
    texts = ["good film bad pace", "wonderful film", "awful film", "good good bad okay", ""]
    golds = [1, 1, 1, 1, None]
    together = attack_all(texts, score, candidates=candidates, golds=golds)
    alone = [
        attack_all([t], score, candidates=candidates, golds=[g], names=[str(i)])[0]
        for i, (t, g) in enumerate(zip(texts, golds, strict=True))
    ]
    assert repr(together) == repr(alone)
    assert repr(attack_all(texts, score, candidates=candidates, golds=golds, side_by_side=1)) == repr(together)
    counted, calls = counting(score)
    attack_all(texts, counted, candidates=candidates, golds=golds)
    assert len(calls) < sum(one.n_queries for one in alone), "batched"


def test_few_of_many_substitutes_are_drawn_by_row_and_seed():
    many = lambda word: [f"{word}x{i}" for i in range(50)] if word == "good" else ()  # noqa: E731
    seen = []

    def spy(texts):
        seen.append(sorted(t for t in texts if "x" in t))
        return score(texts)

    drawn = []
    for seed, row in ((0, "a"), (0, "a"), (1, "a"), (0, "b")):
        seen.clear()
        options = Attack(max_candidates=5, seed=seed, least_similar=-1)
        attack_all(["good good-natured"], spy, candidates=many, names=[row], golds=[None], attack=options)
        drawn.append(tuple(itertools.chain.from_iterable(seen)))
    assert len(drawn[0]) == 5
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


WORDS = st.lists(st.sampled_from([*WEIGHTS, "the", "plot"]), min_size=0, max_size=6).map(" ".join)


@settings(deadline=None, max_examples=80)
@given(text=WORDS)
def test_what_it_says_is_true(text):
    """The greedy search may miss; what it claims, an exhaustive one confirms."""
    (found,) = attack_all([text], score, candidates=candidates, attack=Attack(max_share=1.0))
    said = score([found.original, found.text])
    assert int(said[0].argmax()) == found.label
    assert int(said[1].argmax()) == found.found_label
    assert (found.outcome == "fooled") == (found.found_label != found.label)
    choices = [(w, *candidates(w)) for w in text.split()]
    reachable = {" ".join(c) for c in itertools.product(*choices)} if text else {""}
    assert found.text in reachable
    if found.outcome == "fooled":
        assert any(int(score([t])[0].argmax()) != found.label for t in reachable)


def test_figures():
    texts = ["good film bad pace", "wonderful film", "awful film", "good bad okay fine"]
    found = attack_all(texts, score, candidates=candidates, golds=[1] * 4, attack=Attack(max_share=1.0))
    figures = attack_figures(found)
    outcomes = [one.outcome for one in found]
    assert outcomes == ["fooled", "held", "wrong before", "fooled"]
    assert (figures.n, figures.n_attacked, figures.n_fooled) == (4, 3, 2)
    assert figures.success_rate == pytest.approx(2 / 3)
    assert figures.accuracy == 0.75
    assert figures.accuracy_under_attack == 0.25
    assert figures.success_interval.low < 2 / 3 < figures.success_interval.high
    assert figures.mean_share_changed == pytest.approx(0.25)
    assert figures.mean_queries == pytest.approx(
        np.mean([one.n_queries for one in found if one.outcome != "wrong before"])
    )
    nothing = attack_figures([])
    assert nothing.n == 0
    assert math.isnan(nothing.success_rate)


def test_wrong_input_is_said():
    with pytest.raises(UsageError, match="probabilities with two labels or more"):
        attack_all(["x"], lambda texts: np.zeros(len(texts)), candidates=candidates)
    with pytest.raises(UsageError, match="no numbers"):
        attack_all(["x"], lambda texts: np.full((len(texts), 2), np.nan), candidates=candidates)
    with pytest.raises(UsageError, match="1 texts, 2 golds"):
        attack_all(["x"], score, candidates=candidates, golds=[1, 1])
    for options in ({"max_queries": 0}, {"max_share": 0}, {"least_similar": 2}, {"max_candidates": 0}):
        with pytest.raises(UsageError, match=next(iter(options))):
            Attack(**options)


def test_a_file_of_synonyms(tmp_path):
    path = tmp_path / "synonyms.txt"
    path.write_text("# of films\nfilm, Movie, picture\nfilm, reel\n\n", encoding="utf-8")
    found = read_synonyms(path)
    assert found("film") == ("movie", "picture", "reel")
    assert found("movie") == ("film", "picture")
    assert found("nothing") == ()
    path.write_text("film, movie\nalone\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"synonyms.txt:2.*'alone' stands alone"):
        read_synonyms(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_synonyms(tmp_path / "none.txt")


def test_nearest_words_by_an_encoder():
    space = {"film": (1, 0), "movie": (0.9, 0.1), "car": (0, 1), "bike": (0.1, 0.9), "picture": (0.8, 0.4)}
    nearest = embedding_neighbours(space, lambda texts: np.array([space[t] for t in texts], dtype=float), n=2)
    assert nearest("film") == ("movie", "picture")
    assert nearest("car") == ("bike",)
    assert embedding_neighbours([], lambda texts: np.zeros((len(texts), 2)))("film") == ()

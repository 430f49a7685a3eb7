"""Retrieval figures against scikit-learn, trec_eval's definitions written plainly, and cases by hand."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.functional import score
from evalharness.metrics.places import items_of, parse_place, texts_of
from evalharness.metrics.retrieval import MeanAveragePrecision, MeanReciprocalRank, NdcgAtK, PrecisionAtK, RecallAtK

DOCS = list("abcdefghij")


def one(metric, retrieved, relevant):
    """The figure of one sample whose answer is a JSON list."""
    return score(metric, [json.dumps(retrieved)], references=[relevant]).value


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (RecallAtK(k=3), 1 / 3),
        (RecallAtK(k=5), 2 / 3),
        (PrecisionAtK(k=3), 1 / 3),
        (PrecisionAtK(k=5), 2 / 5),
        (PrecisionAtK(k=10), 2 / 10),
        (MeanReciprocalRank(), 1 / 2),
        (MeanReciprocalRank(k=1), 0.0),
        (MeanAveragePrecision(), (1 / 2 + 2 / 4) / 3),
        (MeanAveragePrecision(k=2), (1 / 2) / 3),
        (NdcgAtK(k=5), (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2)),
        (NdcgAtK(k=1), 0.0),
    ],
)
def test_by_hand(metric, expected):
    assert one(metric, ["x", "a", "y", "b", "z"], ["a", "b", "c"]) == pytest.approx(expected, abs=1e-12)


def test_ndcg_equals_scikit_learn():
    ndcg_score = pytest.importorskip("sklearn.metrics").ndcg_score
    rng = random.Random(0)
    for trial in range(60):
        ranked = rng.sample(DOCS, len(DOCS))
        grades = {doc: rng.randint(0, 3) for doc in DOCS}
        grades[rng.choice(DOCS)] = 3
        k = rng.randint(1, 10)
        scores = [[len(DOCS) - ranked.index(doc) for doc in DOCS]]
        for gain in ("linear", "exponential"):
            worth = [[grades[d] if gain == "linear" else 2.0 ** grades[d] - 1 for d in DOCS]]
            metric = NdcgAtK(k=k, gain=gain, retrieved="meta.docs", relevant="row.grades")
            found = score(metric, [""], meta=[{"docs": ranked}], rows=[{"grades": grades}]).value
            assert found == pytest.approx(ndcg_score(worth, scores, k=k), abs=1e-12), trial


def test_average_precision_is_the_mean_of_precisions_at_relevant_ranks():
    average_precision_score = pytest.importorskip("sklearn.metrics").average_precision_score
    rng = random.Random(1)
    for _ in range(60):
        ranked, relevant = rng.sample(DOCS, len(DOCS)), rng.sample(DOCS, rng.randint(1, 9))
        expected = average_precision_score([d in relevant for d in DOCS], [-ranked.index(d) for d in DOCS])
        assert one(MeanAveragePrecision(), ranked, relevant) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("cls", [RecallAtK, PrecisionAtK, MeanReciprocalRank, NdcgAtK, MeanAveragePrecision])
def test_nothing_found_is_0_and_nothing_to_be_found_is_left_out(cls):
    assert one(cls(), [], ["a"]) == 0
    assert one(cls(), ["x"], ["a"]) == 0
    assert math.isnan(one(cls(), ["a"], []))
    assert one(cls(k=1), ["a", "b"], ["a"]) == 1
    with pytest.raises(ValueError, match="k must be 1 or more"):
        cls(k=0)


def test_what_is_retrieved_twice_counts_once():
    assert one(RecallAtK(k=2), ["a", "a", "b"], ["a", "b"]) == 1
    assert one(PrecisionAtK(k=2), ["a", "a", "x"], ["a", "b"]) == 0.5
    assert one(MeanAveragePrecision(), ["a", "a", "b"], ["a", "b"]) == 1


def test_passages_match_by_what_they_hold():
    passages = ["The  Eiffel Tower\nwas built in 1889. It is in Paris.", "Nothing here.", "It has three levels."]
    gold = ["the eiffel tower was built in 1889", "It has three levels", "in paris"]
    assert one(RecallAtK(match="text"), passages, gold) == 1
    assert one(PrecisionAtK(k=3, match="text"), passages, gold) == pytest.approx(2 / 3)
    assert one(MeanAveragePrecision(match="text"), passages, gold) == pytest.approx((2 * 1 + 2 / 3) / 3)
    assert one(NdcgAtK(match="text"), passages, gold) <= 1
    assert one(RecallAtK(), passages, gold) == 0, "names are compared as they are"


SAMPLE = Sample(id="s", digest="", prompt="p", references=("a",), target="t", fields={"docs": [{"id": 1}, {"id": 2}]})


@pytest.mark.parametrize(
    ("place", "answer", "meta", "expected"),
    [
        ("answer", '["a", 7, true, null]', {}, ["a", "7", "true"]),
        ("answer", "```json\n[1, 2]\n```", {}, ["1", "2"]),
        ("answer", "a\n\n b \n", {}, ["a", "b"]),
        ("answer.docs", '{"docs": ["x", ["y"]]}', {}, ["x", "y"]),
        ("answer.docs.0.id", '{"docs": [{"id": "x"}]}', {}, ["x"]),
        ("answer.docs", "no JSON", {}, []),
        ("answer.docs.-1", '{"docs": ["x", "y"]}', {}, ["y"]),
        ("answer.docs.5", '{"docs": ["x", "y"]}', {}, []),
        ("meta.hits.id", "", {"hits": [{"id": "x"}, {"n": 1}, {"id": "z"}]}, ["x", "z"]),
        ("meta.hits.id", "", {"hits": []}, []),
        ("meta.hits.id", "", {}, []),
        ("meta.hits", "", {"hits": {"x": 0.3, "y": 0.2}}, ["x", "y"]),
        ("meta.hits", "", {"hits": 3}, ["3"]),
        ("row.docs.id", "", {}, ["1", "2"]),
        ("references", "", {}, ["a"]),
        ("target", "", {}, ["t"]),
        ("prompt", "", {}, ["p"]),
    ],
)
def test_places(place, answer, meta, expected):
    place = parse_place(place, option="retrieved")
    value = place.found(SAMPLE, Response("s", text=answer, meta=meta))
    assert items_of(value, place=place, sample=SAMPLE) == expected


def test_passages_of_mappings():
    place = parse_place("meta.docs", option="context")
    assert texts_of([{"page_content": "a"}, ["b"], "c", " ", 3], place=place, sample=SAMPLE) == ["a", "b", "c", "3"]
    assert texts_of("one text\nof two lines", place=place, sample=SAMPLE) == ["one text\nof two lines"]
    with pytest.raises(UsageError, match=r"name the key: meta.docs.KEY; they have: body"):
        texts_of([{"body": "a"}], place=place, sample=SAMPLE)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("rows.x", "'rows.x' is no place; did you mean 'row'"),
        ("row", "needs a name after row, such as row.documents"),
        ("meta..x", "needs a name after meta"),
        ("references.x", "nothing stands below references"),
    ],
)
def test_what_is_no_place(place, says):
    with pytest.raises(ValueError, match=says):
        RecallAtK(retrieved=place)


def test_slips_in_places_are_told():
    with pytest.raises(UsageError, match=r"sample 's': row.doc: the row has no column 'doc'; did you mean 'docs'"):
        parse_place("row.doc", option="x").found(SAMPLE, Response("s"))
    place = parse_place("row.docs", option="x")
    value = place.found(SAMPLE, Response("s"))
    with pytest.raises(UsageError, match=r"row.docs holds mappings, not names; .* row.docs.id; they have: id"):
        items_of(value, place=place, sample=SAMPLE)
    metric = RecallAtK(retrieved="meta.dcos")
    with pytest.raises(UsageError, match=r"none of 2 answers has anything at meta.dcos; did you mean 'docs'.*`keep`"):
        score(metric, ["", ""], references=[["a"], ["b"]], meta=[{"docs": ["a"]}, {"docs": []}])
    found = score(RecallAtK(retrieved="meta.docs"), ["", ""], references=[["a"], ["b"]], meta=[{"docs": ["a"]}, {}])
    assert found.values.tolist() == [1, 0]
    with pytest.raises(UsageError, match="the grade of 'a' is 'high'; a grade is a number"):
        score(NdcgAtK(relevant="row.g", retrieved="answer"), ["a"], rows=[{"g": {"a": "high"}}])


def test_a_call_that_failed_has_found_nothing():
    metric = RecallAtK(retrieved="meta.docs")
    rows = metric.sample_stats([SAMPLE], [Response("s", status="error", meta={"docs": ["a"]})])
    assert rows.tolist() == [[1, 0]]
    assert metric.needs == {"references"}
    assert RecallAtK(relevant="row.docs").needs == frozenset()


def test_grades_of_nothing_and_less_are_not_relevant():
    metric = RecallAtK(retrieved="answer", relevant="row.g")
    assert score(metric, ["a\nb"], rows=[{"g": {"a": 1, "b": 0, "c": -1}}]).value == 1
    assert np.isnan(score(metric, ["a"], rows=[{"g": {"b": 0}}]).value)

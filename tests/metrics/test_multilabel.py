from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from evalharness.metrics.multilabel import (
    F1Samples,
    HammingLoss,
    JaccardMacro,
    JaccardMicro,
    JaccardSamples,
    SubsetAccuracy,
)

NAMES = ("x", "y", "z")
SETS = st.sets(st.sampled_from(NAMES))
PAIRS = st.lists(st.tuples(SETS, SETS), min_size=1, max_size=12)


def batch_of(pairs, make_labelled):
    golds = [json.dumps(sorted(g, reverse=True)) for g, _ in pairs]  # not in canonical form
    return make_labelled(golds, [json.dumps(sorted(a), separators=(",", ":")) for _, a in pairs])


def indicators(pairs):
    return [np.array([[name in s for name in NAMES] for s in side]) for side in zip(*pairs, strict=True)]


@pytest.mark.parametrize("empty", [0, 1])
@given(pairs=PAIRS)
def test_averages_over_samples_equal_sklearn(empty, pairs, make_labelled, figure):
    batch, (gold, answer) = batch_of(pairs, make_labelled), indicators(pairs)
    for metric, score in ((F1Samples, sk.f1_score), (JaccardSamples, sk.jaccard_score)):
        expected = score(gold, answer, average="samples", zero_division=empty)
        assert figure(metric(both_empty=empty), *batch) == pytest.approx(expected, abs=1e-12)


@given(pairs=PAIRS)
def test_the_others_equal_sklearn(pairs, make_labelled, figure):
    batch, (gold, answer) = batch_of(pairs, make_labelled), indicators(pairs)
    assert figure(SubsetAccuracy(), *batch) == pytest.approx(sk.accuracy_score(gold, answer), abs=1e-12)
    assert figure(HammingLoss(labels=NAMES), *batch) == pytest.approx(sk.hamming_loss(gold, answer), abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where nothing is gold and nothing answered
        for metric, average in ((JaccardMicro, "micro"), (JaccardMacro, "macro")):
            expected = sk.jaccard_score(gold, answer, average=average, zero_division=0)
            assert figure(metric(labels=NAMES), *batch) == pytest.approx(expected, abs=1e-12)


def test_the_labels_of_lists_are_what_stands_in_them():
    assert HammingLoss().for_task(('["x","y"]', '["z"]')).labels == NAMES
    assert JaccardMacro().for_task(('["x","y"]', '["z"]')).labels == NAMES


@pytest.mark.parametrize("answer", [None, "not a list", "[1]", "["])
def test_an_unreadable_answer_is_wrong_even_where_nothing_is_gold(answer, make_labelled, figure):
    batch = make_labelled(["[]"], [answer])
    assert [figure(metric(), *batch) for metric in (SubsetAccuracy, F1Samples, JaccardSamples)] == [0.0] * 3


def test_single_labels_are_sets_of_one(make_labelled, figure):
    batch = make_labelled(["a", "b", "c"], ["a", "c", None])
    for metric in (SubsetAccuracy, F1Samples, JaccardSamples):
        assert figure(metric(), *batch) == pytest.approx(1 / 3)

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from evalharness.metrics.chance import BalancedAccuracy, CohenKappa

NAMES = ["a", "b", "c", "d"]
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, None, "rubbish"])), min_size=1, max_size=25)
READABLE = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=25)
VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "agreement.json"


def quietly(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where there is one class only
        return function(*args, **kwargs)


def same(found, expected):
    return found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("adjusted", [False, True])
@given(pairs=PAIRS)
def test_balanced_accuracy_equals_sklearn(adjusted, pairs, make_labelled, figure):
    gold, answer = [g for g, _ in pairs], [a if a in NAMES else "(other)" for _, a in pairs]
    found = figure(
        BalancedAccuracy(adjusted=adjusted).for_task(tuple(NAMES)), *make_labelled(*zip(*pairs, strict=True))
    )
    if adjusted and len(set(gold)) == 1:
        assert math.isnan(found)  # where sklearn divides by zero
    else:
        assert same(found, quietly(sk.balanced_accuracy_score, gold, answer, adjusted=adjusted))


def test_a_class_without_samples_is_left_out(make_labelled, figure):
    batch = make_labelled(["a", "a", "b"], ["a", "b", "b"])
    assert figure(BalancedAccuracy(labels=("a", "b", "never")), *batch) == pytest.approx(0.75)


@given(pairs=PAIRS)
def test_kappa_equals_sklearn(pairs, make_labelled, figure):
    gold, answer = [g for g, _ in pairs], [a if a in NAMES else "(other)" for _, a in pairs]
    found = figure(CohenKappa().for_task(tuple(NAMES)), *make_labelled(*zip(*pairs, strict=True)))
    assert same(found, quietly(sk.cohen_kappa_score, gold, answer))


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
@given(pairs=READABLE)
def test_weighted_kappa_equals_sklearn(weights, pairs, make_labelled, figure):
    gold, answer = zip(*pairs, strict=True)
    found = figure(CohenKappa(weights=weights).for_task(tuple(NAMES)), *make_labelled(gold, answer))
    assert same(found, quietly(sk.cohen_kappa_score, gold, answer, labels=NAMES, weights=weights))


def test_an_unreadable_answer_is_as_far_away_as_can_be(make_labelled, figure):
    metric = CohenKappa(labels=("1", "2", "3"), weights="linear")
    gold = ["1", "2", "3", "1"]
    near, far, none = (figure(metric, *make_labelled(gold, ["1", "2", "3", a])) for a in ("2", "3", None))
    assert near > far
    assert metric.weight_matrix()[0, 3] == metric.weight_matrix()[0, 2] == 2
    assert none < near


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_shared_vector(make_labelled, figure):
    case = json.loads(VECTORS.read_text())["cohen"]
    cells = [(str(i), str(j)) for i, row in enumerate(case["table"]) for j, n in enumerate(row) for _ in range(n)]
    found = figure(CohenKappa(labels=("0", "1")), *make_labelled(*zip(*cells, strict=True)))
    assert found == pytest.approx(case["kappa"], abs=1e-12)


def test_lists_are_counted_by_label(make_labelled, figure):
    batch = make_labelled(['["a","b"]', '["b"]'], ['["a"]', '["b"]'])
    metric = BalancedAccuracy().for_task(('["a","b"]', '["b"]'))
    assert metric.labels == ("a", "b")
    assert figure(metric, *batch) == pytest.approx((1 + 0.5) / 2)


def test_kappa_of_many_totals(make_labelled):
    rng = np.random.default_rng(0)
    gold, answer = ([NAMES[i] for i in rng.integers(0, 4, 50)] for _ in range(2))
    metric = CohenKappa(labels=tuple(NAMES), weights="quadratic")
    rows = metric.sample_stats(*make_labelled(gold, answer))
    found = metric.finalize(np.stack([rows.sum(axis=0), rows[:20].sum(axis=0)]))
    expected = [sk.cohen_kappa_score(gold[:n], answer[:n], labels=NAMES, weights="quadratic") for n in (50, 20)]
    assert found == pytest.approx(expected, abs=1e-12)

from __future__ import annotations

import math
import time
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from evalharness.core.types import Response, Sample
from evalharness.metrics.curves import Auprc, Auroc
from evalharness.metrics.interval import summarize
from evalharness.stats.intervals import wilson

LABELS = ("a", "b", "c")
SEEDS = st.integers(0, 10_000)


def drawn(seed, *, labels=LABELS, n=40, steps=None):
    rng = np.random.default_rng(seed)
    gold = np.concatenate([np.arange(len(labels)), rng.integers(0, len(labels), n - len(labels))])
    p = rng.dirichlet(np.ones(len(labels)), n)
    if steps:  # ties
        p = np.round(p * steps) / steps
    samples = [Sample(id=str(i), digest="", prompt="", target=labels[g]) for i, g in enumerate(gold)]
    responses = [
        Response(key=str(i), label_probabilities=dict(zip(labels, map(float, row), strict=True)))
        for i, row in enumerate(p)
    ]
    return gold, p, samples, responses


def area(metric, samples, responses):
    return float(metric.finalize_rows(metric.sample_stats(samples, responses)))


@pytest.mark.parametrize("steps", [None, 4])
@given(seed=SEEDS)
def test_binary_equals_sklearn(steps, seed):
    labels = ("no", "yes")
    gold, p, *batch = drawn(seed, labels=labels, steps=steps)
    assert area(Auroc().for_task(labels), *batch) == pytest.approx(sk.roc_auc_score(gold, p[:, 1]), abs=1e-12)
    assert area(Auprc().for_task(labels), *batch) == pytest.approx(sk.average_precision_score(gold, p[:, 1]), abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@given(seed=SEEDS)
def test_one_against_the_rest_equals_sklearn(average, seed):
    gold, p, *batch = drawn(seed)
    found = area(Auroc(average=average).for_task(LABELS), *batch)
    assert found == pytest.approx(sk.roc_auc_score(gold, p, multi_class="ovr", average=average), abs=1e-12)
    found = area(Auprc(average=average).for_task(LABELS), *batch)
    assert found == pytest.approx(sk.average_precision_score(np.eye(3)[gold], p, average=average), abs=1e-12)


@pytest.mark.parametrize("cls", [Auroc, Auprc])
@given(seed=SEEDS)
def test_weights_are_sklearns(cls, seed):
    gold, p, *batch = drawn(seed, steps=5)
    metric = cls(positive="b").for_task(LABELS)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(gold))).astype(float)
    weights[:, 1] = 1.0
    weights[:, 0] = 2.0
    found = metric.finalize_rows(metric.sample_stats(*batch), weights)
    score = sk.roc_auc_score if cls is Auroc else sk.average_precision_score
    expected = [score(gold == 1, p[:, 1], sample_weight=w) for w in weights]
    assert found == pytest.approx(expected, abs=1e-12)


def test_one_class_alone_has_no_area():
    _, _, samples, responses = drawn(0)
    alone = [i for i, s in enumerate(samples) if s.target == "a"]
    metric = Auroc(positive="a").for_task(LABELS)
    assert np.isnan(area(metric, [samples[i] for i in alone], [responses[i] for i in alone]))


def test_a_label_that_never_occurs_is_left_out_of_the_average():
    gold, p, samples, responses = drawn(3)
    kept = np.flatnonzero(gold != 2)
    batch = [samples[i] for i in kept], [responses[i] for i in kept]
    expected = np.mean([sk.roc_auc_score(gold[kept] == k, p[kept, k]) for k in (0, 1)])
    assert area(Auroc().for_task(LABELS), *batch) == pytest.approx(expected, abs=1e-12)


def test_guessing_and_perfection():
    gold, _, samples, _ = drawn(1, labels=("no", "yes"), n=400)
    even = [Response(key=s.id, label_probabilities={"no": 0.5, "yes": 0.5}) for s in samples]
    assert area(Auroc().for_task(("no", "yes")), samples, even) == 0.5
    assert area(Auprc().for_task(("no", "yes")), samples, even) == pytest.approx(gold.mean())


def test_its_interval_is_fast_and_holds_the_figure():
    _, _, samples, responses = drawn(5, labels=("no", "yes"), n=1000)
    metric = Auroc().for_task(("no", "yes"))
    start = time.process_time()
    found = summarize(metric, metric.sample_stats(samples, responses))
    assert time.process_time() - start < 5
    assert found.method == "jackknife-score-t"
    assert found.low < found.value < found.high
    # DeLong's standard error of guessing at 500 against 500 is about 0.018.
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.018, rel=0.15)


def rows_of(gold, probabilities):
    """Rows of `Auroc` and `Auprc` over the labels 0, 1, …"""
    return np.concatenate([np.ones((len(gold), 1)), np.eye(probabilities.shape[1])[gold], probabilities], axis=1)


@pytest.mark.parametrize("cls", [Auroc, Auprc])
def test_perfect_order_leaves_room_for_others_by_the_fewer_side(cls):
    metric = cls().for_task(("no", "yes"))
    for n_positive, n_negative in ((2, 98), (98, 2), (5, 5)):
        p = np.concatenate([np.linspace(0.8, 0.9, n_positive), np.linspace(0.1, 0.2, n_negative)])
        rows = rows_of(np.repeat([1, 0], [n_positive, n_negative]), np.stack([1 - p, p], axis=1))
        found = summarize(metric, rows)
        room = wilson(0, min(n_positive, n_negative)).high
        assert found == (1.0, pytest.approx(1 - room), 1.0, "jackknife-score-t")
        # The positives and the negatives of each pair of clusters: the bootstrap of clusters finds 1 in every draw.
        in_clusters = summarize(metric, rows, clusters=[str(i % 5) for i in range(len(rows))])
        assert in_clusters.method == "no-variation"
        assert in_clusters.low == pytest.approx(1 - wilson(0, 5).high)


@pytest.mark.parametrize("cls", [Auroc, Auprc])
def test_a_single_positive_has_no_interval(cls):
    metric = cls().for_task(("no", "yes"))
    p = np.array([0.7, 0.8, 0.2, 0.1])
    found = summarize(metric, rows_of([1, 0, 0, 0], np.stack([1 - p, p], axis=1)))
    assert found.method == "none"
    assert math.isnan(found.low)


@pytest.mark.parametrize("cls", [Auroc, Auprc])
@pytest.mark.parametrize("average", ["macro", "weighted"])
@given(seed=SEEDS)
def test_the_figures_without_each_sample_are_those_of_the_others(cls, average, seed):
    _, _, samples, responses = drawn(seed, n=15, steps=4)
    metric = cls(average=average).for_task(LABELS)
    rows = metric.sample_stats(samples, responses)
    pairs = metric._against_rest(rows)
    golds = np.stack([is_gold for is_gold, _ in pairs], axis=-1)
    left_out = np.stack([metric.area_left_out(*pair) for pair in pairs], axis=-1)
    found = metric._averaged(left_out, golds.sum(axis=0) - golds)
    np.testing.assert_allclose(found, metric.finalize_rows(rows, 1 - np.eye(15)), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("area", "share", "n"), [(0.75, 0.5, 100), (0.97, 0.5, 30), (0.9, 0.1, 100), (0.97, 0.1, 100)])
def test_the_interval_of_auroc_holds_the_truth_as_often_as_it_says(area, share, n):
    # Normal scores: A = Φ(μ/√2). A percentile bootstrap of the rows holds 78 % at .97 of 30, and 86 % of 100 with ten
    # positives.
    rng = np.random.default_rng(11)
    metric, apart, held, draws = Auroc().for_task(("no", "yes")), NormalDist().inv_cdf(area) * 2**0.5, 0, 500
    for _ in range(draws):
        gold = (rng.random(n) < share).astype(int)
        p = rng.normal(size=n) + apart * gold
        found = summarize(metric, rows_of(gold, np.stack([-p, p], axis=1)))
        held += found.method == "none" or found.low <= area <= found.high
    assert 0.93 <= held / draws <= 0.99

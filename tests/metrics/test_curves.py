from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from evalharness.core.types import Response, Sample
from evalharness.metrics.curves import Auprc, Auroc
from evalharness.metrics.interval import summarize

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


def test_its_bootstrap_is_fast_and_holds_the_figure():
    _, _, samples, responses = drawn(5, labels=("no", "yes"), n=1000)
    metric = Auroc().for_task(("no", "yes"))
    start = time.process_time()
    found = summarize(metric, metric.sample_stats(samples, responses))
    assert time.process_time() - start < 5
    assert found.method == "percentile"
    assert found.low < found.value < found.high
    # DeLong's standard error of guessing at 500 against 500 is about 0.018.
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.018, rel=0.15)

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from evalharness.core.errors import UsageError
from evalharness.core.types import LogLikelihood, Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.probabilities import (
    BrierBinary,
    BrierMulticlass,
    LogLoss,
    TopKAccuracy,
    label_probabilities,
)

LABELS = ("a", "b", "c", "d")
VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "stats" / "calibration.json"
SEEDS = st.integers(0, 10_000)


def drawn(seed, *, labels=LABELS, n=30):
    """(gold numbers, probabilities, samples, responses)."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, len(labels), n)
    p = rng.dirichlet(np.ones(len(labels)), n)
    samples = [Sample(id=str(i), digest="", prompt="", target=labels[g]) for i, g in enumerate(gold)]
    responses = [
        Response(key=str(i), label_probabilities=dict(zip(labels, map(float, row), strict=True)))
        for i, row in enumerate(p)
    ]
    return gold, p, samples, responses


@given(seed=SEEDS)
def test_log_loss_equals_sklearn(seed, figure):
    gold, p, *batch = drawn(seed)
    found = figure(LogLoss().for_task(LABELS), *batch)
    assert found == pytest.approx(sk.log_loss(gold, p, labels=range(4)), abs=1e-12)


def test_a_certain_mistake_costs_36_nats(figure):
    batch = [Sample(id="0", digest="", prompt="", target="a")], [Response(key="0", label_probabilities={"b": 1.0})]
    assert figure(LogLoss().for_task(LABELS), *batch) == pytest.approx(52 * math.log(2))
    assert sk.log_loss([0], [[0.0, 1.0]], labels=[0, 1]) == pytest.approx(52 * math.log(2))


@given(seed=SEEDS)
def test_brier_equals_sklearn_and_lm_eval(seed, figure):
    gold, p, *batch = drawn(seed)
    found = figure(BrierMulticlass().for_task(LABELS), *batch)
    assert found == pytest.approx(sk.brier_score_loss(gold, p, labels=range(4), scale_by_half=False), abs=1e-12)
    one_hot = np.eye(4)[gold]
    assert found == pytest.approx(np.mean(((p - one_hot) ** 2).sum(axis=1)), abs=1e-12)  # lm_eval.api.metrics


@given(seed=SEEDS)
def test_binary_brier_equals_sklearn(seed, figure):
    labels = ("no", "yes")
    gold, p, *batch = drawn(seed, labels=labels)
    metric = BrierBinary().for_task(labels)
    assert metric.positive == "yes"
    found = figure(metric, *batch)
    assert found == pytest.approx(sk.brier_score_loss(gold, p[:, 1], pos_label=1), abs=1e-12)
    assert figure(BrierMulticlass().for_task(labels), *batch) == pytest.approx(2 * found, abs=1e-12)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_shared_vectors(figure):
    table = json.loads(VECTORS.read_text())
    labels = ("0", "1")
    samples = [Sample(id=str(i), digest="", prompt="", target=str(y)) for i, y in enumerate(table["y"])]
    responses = [Response(key=str(i), label_probabilities={"0": 1 - p, "1": p}) for i, p in enumerate(table["p"])]
    for metric, name in (
        (BrierBinary(), "brier_binary"),
        (BrierMulticlass(), "brier_multiclass_lm_eval"),
        (LogLoss(), "log_loss"),
    ):
        assert figure(metric.for_task(labels), samples, responses) == pytest.approx(table[name], abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
@given(seed=SEEDS)
def test_top_k_equals_sklearn(k, seed, figure):
    gold, p, *batch = drawn(seed)
    found = figure(TopKAccuracy(k=k).for_task(LABELS), *batch)
    expected = 1.0 if k >= 4 else sk.top_k_accuracy_score(gold, p, k=k, labels=range(4))
    assert found == pytest.approx(expected, abs=1e-12)


def test_of_equals_the_first_comes_first(figure):
    even = [Response(key="0", label_probabilities=dict.fromkeys(LABELS, 0.25))]
    metric = TopKAccuracy(k=2).for_task(LABELS)
    right = [figure(metric, [Sample(id="0", digest="", prompt="", target=t)], even) for t in LABELS]
    assert right == [1.0, 1.0, 0.0, 0.0]


def test_choices_by_likelihood_are_a_softmax():
    sample = Sample(id="0", digest="", prompt="", choices=("x", "y"), target="x")
    response = Response(key="0", loglikelihoods=(LogLikelihood(-1000.0, 1), LogLikelihood(-1001.0, 3)))
    found = label_probabilities(sample, response)
    assert found == pytest.approx({"x": 1 / (1 + math.exp(-1)), "y": math.exp(-1) / (1 + math.exp(-1))})
    for bad in ((), (LogLikelihood(-1.0, 1),), (LogLikelihood(math.nan, 1), LogLikelihood(-1.0, 1))):
        assert label_probabilities(sample, Response(key="0", loglikelihoods=bad)) == {}
    never = (LogLikelihood(-math.inf, 1),) * 2
    assert label_probabilities(sample, Response(key="0", loglikelihoods=never)) == {}


@pytest.mark.parametrize("given_", [{}, {"LABEL_0": 1.0}])
def test_without_a_probability_of_any_label_nothing_is_measured(given_):
    batch = [Sample(id="0", digest="", prompt="", target="a")], [Response(key="0", label_probabilities=given_)]
    assert not LogLoss().for_task(LABELS).sample_stats(*batch).any()


def test_options():
    with pytest.raises(MetricOptionError, match="k must be at least 1"):
        TopKAccuracy(k=0)
    with pytest.raises(UsageError, match="which label is the positive one"):
        BrierBinary().for_task(LABELS)
    with pytest.raises(UsageError, match="needs the label set"):
        _ = LogLoss().sample_stats([], [])

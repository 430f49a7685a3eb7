from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.types import Response, Sample
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.calibration import AdaptiveEce, Ece, reliability_table
from evalharness.metrics.interval import summarize
from evalharness.stats.calibration import calibration_interval

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "stats" / "calibration.json"
LABELS = ("a", "b", "c")
SEEDS = st.integers(0, 10_000)


def drawn(seed, n=60):
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 3, n)
    p = rng.dirichlet(np.ones(3), n)
    samples = [Sample(id=str(i), digest="", prompt="", target=LABELS[g]) for i, g in enumerate(gold)]
    responses = [
        Response(key=str(i), label_probabilities=dict(zip(LABELS, map(float, row), strict=True)))
        for i, row in enumerate(p)
    ]
    return gold, p, samples, responses


@pytest.mark.parametrize("bins", [1, 10, 15])
@given(seed=SEEDS)
def test_equals_the_definition(bins, seed, figure):
    gold, p, *batch = drawn(seed)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == gold
    expected = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    assert figure(Ece(bins=bins).for_task(LABELS), *batch) == pytest.approx(expected, abs=1e-12)


def test_equals_torchmetrics(figure):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchmetrics")
    from torchmetrics.functional.classification import multiclass_calibration_error

    for seed in range(5):
        gold, p, *batch = drawn(seed, n=200)
        theirs = multiclass_calibration_error(torch.tensor(p), torch.tensor(gold), num_classes=3, n_bins=15)
        assert figure(Ece().for_task(LABELS), *batch) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_shared_vector(figure):
    table = json.loads(VECTORS.read_text())
    samples = [Sample(id=str(i), digest="", prompt="", target=str(y)) for i, y in enumerate(table["y"])]
    responses = [Response(key=str(i), label_probabilities={"0": 1 - p, "1": p}) for i, p in enumerate(table["p"])]
    found = figure(Ece(bins=10).for_task(("0", "1")), samples, responses)
    assert found == pytest.approx(table["ece_topconf_10_bins_right_closed"], abs=1e-12)


def test_the_totals_are_the_reliability_table():
    gold, p, *batch = drawn(1)
    metric = Ece(edges=(0.5, 0.8)).for_task(LABELS)
    totals = metric.sample_stats(*batch).sum(axis=0)
    table = reliability_table(metric.columns, totals.tolist())
    assert [(b.low, b.high) for b in table] == [(0.0, 0.5), (0.5, 0.8), (0.8, 1.0)]
    assert sum(b.n for b in table) == 60
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == gold
    inside = (confidence > 0.5) & (confidence <= 0.8)
    assert table[1].n == inside.sum()
    assert table[1].confidence == pytest.approx(confidence[inside].mean())
    assert table[1].accuracy == pytest.approx(correct[inside].mean())
    error = sum(b.n * abs(b.confidence - b.accuracy) for b in table if b.n) / 60
    assert error == pytest.approx(float(metric.finalize(totals)), abs=1e-12)
    assert reliability_table(("n", "sum"), (1.0, 1.0)) == ()
    assert reliability_table(("n", "n a", "n b", "n c"), (1.0, 1.0, 1.0, 1.0)) == ()


def test_edges_are_closed_on_the_right_and_hold_zero_and_one():
    metric = Ece(bins=2, labels=("a", "b"))
    sample = [Sample(id="0", digest="", prompt="", target="a")]
    for p, place in ((0.0, 0), (0.5, 0), (0.50001, 1), (1.0, 1)):
        row = metric.sample_stats(sample, [Response(key="0", label_probabilities={"a": p})])[0]
        assert row[1 + 3 * place] == 1.0
        assert row.tolist().count(1.0) >= 2


@pytest.mark.parametrize("bins", [1, 7, 15])
@given(seed=SEEDS)
def test_adaptive_equals_array_split(bins, seed):
    gold, p, *batch = drawn(seed, n=53)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == gold
    parts = np.array_split(np.argsort(confidence), bins)
    expected = sum(abs((confidence[part] - correct[part]).sum()) for part in parts) / 53
    metric = AdaptiveEce(bins=bins).for_task(LABELS)
    assert float(metric.finalize_rows(metric.sample_stats(*batch))) == pytest.approx(expected, abs=1e-12)


def test_equal_confidences_share_their_average():
    metric = AdaptiveEce(bins=2, labels=("a", "b"))
    samples = [Sample(id=str(i), digest="", prompt="", target="ab"[i % 2]) for i in range(10)]
    responses = [Response(key=s.id, label_probabilities={"a": 0.5, "b": 0.5}) for s in samples]
    # Half of them are right at a confidence of a half; a cut by order could show an error of 0.5.
    assert float(metric.finalize_rows(metric.sample_stats(samples, responses))) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"bins": 0}, "bins must be"), ({"edges": (0.5, 0.2)}, "ascend"), ({"edges": (0.0, 0.5)}, "ascend")],
)
def test_bad_options(options, message):
    with pytest.raises(MetricOptionError, match=message):
        Ece(**options)


def test_bad_bins_of_the_adaptive_one():
    with pytest.raises(MetricOptionError, match="bins must be"):
        AdaptiveEce(bins=0)


def test_the_interval_is_the_jackknifes_less_chance():
    """By leaving each sample out by hand; samples without a gold label take no part."""
    *_, samples, responses = drawn(3, n=40)
    metric = Ece(bins=5).for_task(LABELS)
    rows = metric.sample_stats(samples, responses)
    figures = np.array([metric.finalize(np.delete(rows, i, axis=0).sum(axis=0)) for i in range(40)])
    variance = 39 / 40 * np.sum((figures - figures.mean()) ** 2)
    totals = rows.sum(axis=0)
    expected = calibration_interval(totals[1::3], totals[2::3], totals[3::3], variance)
    found = summarize(metric, np.concatenate([rows, np.zeros((3, rows.shape[1]))]))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert found.method == "jackknife-less-chance"
    assert found.low < found.value < found.high
    clustered = summarize(metric, rows, clusters=[str(i // 4) for i in range(40)])
    assert clustered.method == "cluster-jackknife-score-t"
    alone = summarize(metric, rows[:1])
    assert alone.method == "none"
    same = summarize(metric, np.repeat(rows[:1], 9, axis=0))
    assert same.low < same.value < same.high

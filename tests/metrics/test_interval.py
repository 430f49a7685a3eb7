from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import pytest

from evalharness.metrics.averages import F1Macro
from evalharness.metrics.base import MeanMetric
from evalharness.metrics.bleu import Bleu
from evalharness.metrics.classification import Accuracy, Mcc
from evalharness.metrics.interval import sample_values, summarize
from evalharness.metrics.likelihood import WordPerplexity
from evalharness.metrics.match import TokenF1
from evalharness.stats.bootstrap import bca_interval, bounded_jackknife_interval, jackknife, replicates
from evalharness.stats.intervals import mean_interval, wilson
from evalharness.stats.leaning import bounded_mean_interval, cluster_wilson
from evalharness.stats.skewed import of_deviations


def rows(values):
    return np.array([[0.0, 0.0] if v is None else [1.0, v] for v in values])


def test_proportions_get_wilson():
    found = summarize(Accuracy(), rows([1, 0, 1, 1, None]))
    assert found == (0.75, *wilson(3, 4), "wilson")
    assert summarize(Accuracy(), rows([1])).low == wilson(1, 1).low


def test_proportions_in_clusters():
    values, names = [1, 0, 1, 1, 1, 0], ["a", "a", "b", "b", None, "c"]
    found = summarize(Accuracy(), rows(values), clusters=names)
    assert found == (values.count(1) / 6, *cluster_wilson(values, np.array([0, 0, 1, 1, 2, 3])), "cluster-wilson")


def test_unmeasured_rows_take_their_clusters_along():
    with_hole = summarize(Accuracy(), rows([1, 0, None, 1, 0]), clusters=["a", "a", "x", "b", "b"])
    without = summarize(Accuracy(), rows([1, 0, 1, 0]), clusters=["a", "a", "b", "b"])
    assert with_hole == without


def test_averages_over_repeats_are_means():
    found = summarize(Accuracy(), rows([1.0, 0.5, 0.0, 1.0]))
    assert found == (0.625, *bounded_mean_interval([1.0, 0.5, 0.0, 1.0], (0, 1)), "score-t")


def test_means_within_bounds_lean_inwards():
    values = [0.9, 1.0, 1.0, 0.8, 1.0]
    found = summarize(TokenF1(), rows(values))
    low, high = mean_interval(values)
    assert high > 1.0
    assert found.method == "score-t"
    assert found.low < low
    assert 0.94 < found.high <= 1.0
    names = list("aabbc")
    clustered = summarize(TokenF1(), rows(values), clusters=names)
    codes = np.array([0, 0, 1, 1, 2])
    assert clustered == (found.value, *bounded_mean_interval(values, (0, 1), codes=codes), "cluster-score-t")


@dataclass(frozen=True, slots=True)
class Points(MeanMetric):
    """A metric of a user's own, with ends or without."""

    bounds: tuple[float, float] = (-math.inf, math.inf)
    name = "points"


@pytest.mark.parametrize("bounds", [(-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0), (2.0, 2.0)])
def test_means_without_bounds_that_hold_get_skew_t(bounds):
    """The third promises values up to 1 and does not keep to it."""
    values = [0.5, 2.0, 7.0]
    found = summarize(Points(bounds), rows(values))
    assert found.method == "skew-t"
    low, high = mean_interval(values)
    assert found.low <= max(low, bounds[0])
    assert found.high >= min(high, bounds[1])
    assert summarize(Points(bounds), rows(values), clusters=["a", "a", "b"]).method == "cluster-skew-t"


@pytest.mark.parametrize("clustered", [False, True])
def test_long_tails_reach_further_on_their_side(clustered):
    """Lognormal values: Student's t holds the mean in 90 of 100 draws, and misses it from below only."""
    rng, codes, held = np.random.default_rng(1), np.repeat(np.arange(20), 2 if clustered else 1), []
    for _ in range(400):
        values = np.exp(np.sqrt(0.5) * (rng.normal(size=20)[codes] + rng.normal(size=codes.size)))
        names = [str(code) for code in codes] if clustered else None
        found = summarize(Points(), rows(values.tolist()), clusters=names)
        plain = mean_interval(values, codes=codes if clustered else None)
        assert found.low <= plain.low + 1e-9
        assert found.high >= plain.high - 1e-9
        held.append((found.low <= math.exp(0.5) <= found.high, plain.low <= math.exp(0.5) <= plain.high))
    ours, students = np.mean(held, axis=0)
    assert ours >= 0.925 > 0.91 > students


def test_clusters_that_are_all_alike_tell_no_spread():
    found = summarize(Points(), rows([1.0, 3.0] * 4), clusters=[str(i // 2) for i in range(8)])
    assert (found.value, found.method) == (2.0, "none")


def test_equal_samples_do_not_prove_certainty():
    """Ten perfect answers leave room for others, the same as in a proportion; ten are not a thousand."""
    few, many = (summarize(TokenF1(), rows([1.0] * n)) for n in (10, 1000))
    assert few.method == "no-variation"
    assert (few.low, few.high) == pytest.approx(wilson(10, 10))
    assert few.low < 0.75 < 0.99 < many.low < 1.0
    middle = summarize(TokenF1(), rows([0.4] * 10))
    assert middle.low < 0.4 < middle.high


def test_a_perfect_bootstrap_metric_is_not_certain_either(make_labelled):
    metric = F1Macro(labels=("a", "b"))
    stats = metric.sample_stats(*make_labelled(list("ab") * 5, list("ab") * 5))
    found = summarize(metric, stats)
    assert found.value == 1.0
    assert found.low < 0.9


def test_one_cluster_has_no_interval():
    for metric in (Accuracy(), TokenF1()):
        found = summarize(metric, rows([1, 0, 1]), clusters=["a"] * 3)
        assert found.value == pytest.approx(2 / 3)
        assert math.isnan(found.low)
        assert found.method == "none"


def test_clusters_widen_the_bootstrap(make_labelled):
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(30) < 0.6, 10)
    gold = ["ab"[i % 2] for i in range(300)]
    answers = [g if r else "ba"["ab".index(g)] for g, r in zip(gold, right, strict=True)]
    metric = Mcc(labels=("a", "b"))
    stats = metric.sample_stats(*make_labelled(gold, answers))
    plain = summarize(metric, stats)
    clustered = summarize(metric, stats, clusters=[str(i // 10) for i in range(300)])
    assert (plain.method, clustered.method) == ("jackknife-score-t", "cluster-jackknife-score-t")
    assert clustered.high - clustered.low > 2 * (plain.high - plain.low)
    alone = summarize(metric, stats, clusters=[str(i) for i in range(300)])
    assert alone == plain


def test_corpus_figures_within_bounds_get_the_jackknife(make_labelled):
    rng = np.random.default_rng(0)
    gold, answers = ([str(x) for x in rng.integers(0, 3, 60)] for _ in range(2))
    metric = F1Macro(labels=("0", "1", "2"))
    stats = metric.sample_stats(*make_labelled(gold, answers))
    found = summarize(metric, stats)
    left_out = [float(metric.finalize(np.delete(stats, i, axis=0).sum(axis=0))) for i in range(60)]
    expected = bounded_jackknife_interval(found.value, np.array(left_out), (0, 1))
    assert found[1:] == (*map(pytest.approx, expected), "jackknife-score-t")
    # In the middle of the range it is about the bootstrap's.
    resampled = bca_interval(
        replicates(stats, metric.finalize, n_resamples=4000, seed=0), found.value, jackknife(stats, metric.finalize)
    )
    assert expected == pytest.approx(resampled, abs=0.02)


def perplexity_rows(n):
    rng = np.random.default_rng(0)
    words = rng.integers(20, 200, size=n).astype(float)
    return np.stack([np.ones(n), -words * rng.gamma(16, 0.25, size=n), words], axis=1)


@pytest.mark.parametrize("n", [20, 100])
def test_few_samples_of_a_figure_without_bounds_get_no_less_than_skew_t(n):
    metric, stats = WordPerplexity(), perplexity_rows(n)
    found = summarize(metric, stats)
    resampled = bca_interval(
        replicates(stats, metric.finalize, n_resamples=2000, seed=0), found.value, jackknife(stats, metric.finalize)
    )
    if n >= 100:
        assert found[1:] == (*resampled, "bca")
        return
    left_out = jackknife(stats, metric.finalize)
    tested = of_deviations(found.value, (n - 1) * (left_out.mean() - left_out), n, n)
    assert found[1:] == (
        min(resampled.low, tested.lower(0.025)),
        max(resampled.high, tested.upper(0.025)),
        "bca-skew-t",
    )
    assert found.high - found.low > resampled.high - resampled.low


def test_seed_and_resamples():
    metric, stats = WordPerplexity(), perplexity_rows(200)
    assert summarize(metric, stats).method == "bca"
    assert summarize(metric, stats, clusters=[str(i // 2) for i in range(200)]).method == "cluster-bca"
    assert summarize(metric, stats, seed=1) == summarize(metric, stats, seed=1)
    assert summarize(metric, stats, seed=1) != summarize(metric, stats, seed=2)
    assert summarize(metric, stats, n_resamples=100) != summarize(metric, stats, n_resamples=101)


def test_many_samples_get_the_jackknife(monkeypatch):
    metric, stats = WordPerplexity(), perplexity_rows(3000)
    names = [str(i // 2) for i in range(3000)]
    slow = summarize(metric, stats), summarize(metric, stats, clusters=names)
    monkeypatch.setattr("evalharness.metrics.interval.MAX_RESAMPLED", 1000)
    fast = summarize(metric, stats), summarize(metric, stats, clusters=names)
    assert [f.method for f in fast] == ["jackknife", "cluster-jackknife"]
    for a, b in zip(slow, fast, strict=True):
        assert (b.low, b.high) == pytest.approx((a.low, a.high), abs=0.1 * (a.high - a.low))


@pytest.mark.parametrize(
    ("stats", "options", "message"),
    [
        (np.zeros(2), {}, r"stats must be \(n, 2\)"),
        (np.zeros((3, 5)), {}, r"stats must be \(n, 2\)"),
        (np.zeros((3, 2)), {"clusters": ["a"]}, "1 clusters for 3 rows"),
        (np.zeros((3, 2)), {"confidence": 95.0}, "confidence must lie between"),
    ],
)
def test_refuses(stats, options, message):
    with pytest.raises(ValueError, match=message):
        summarize(Accuracy(), stats, **options)


def test_sample_values_use_the_samples_own_rule(make_pairs):
    metric = Bleu()
    stats = metric.sample_stats(*make_pairs(["the cat"], [["the cat"]]))
    assert metric.finalize(stats).tolist() == [0.0]
    assert sample_values(metric, stats) == pytest.approx([100.0])
    assert sample_values(Accuracy(), rows([1, None])).tolist()[0] == 1.0


def test_ten_thousand_samples_are_fast():
    rng = np.random.default_rng(0)
    metric = Bleu()
    stats = rng.integers(1, 50, size=(10_000, len(metric.columns))).astype(float)
    stats[:, 0] = 1
    summarize(metric, stats[:10], n_resamples=10)  # the first call pays for imports
    seconds = []
    for _ in range(3):
        start = time.process_time()
        summarize(metric, stats, n_resamples=1000)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 2


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 250])
def test_bootstrap_intervals_cover(n, make_labelled):
    """Macro F1 of a classifier with a known confusion table: 95 % intervals cover its true value."""
    rng = np.random.default_rng(n)
    names = ("a", "b", "c")
    table = np.array([[0.30, 0.05, 0.05], [0.04, 0.20, 0.06], [0.02, 0.06, 0.22]])  # gold by answer
    truth = np.mean(2 * np.diag(table) / (table.sum(0) + table.sum(1)))
    metric, hits = F1Macro(labels=names), 0
    for trial in range(300):
        cells = rng.choice(9, size=n, p=table.ravel())
        stats = metric.sample_stats(*make_labelled([names[c // 3] for c in cells], [names[c % 3] for c in cells]))
        found = summarize(metric, stats, seed=trial, n_resamples=400)
        hits += found.low <= truth <= found.high
    assert 0.91 < hits / 300 <= 0.99


@pytest.mark.slow
def test_perplexity_interval_covers():
    rng = np.random.default_rng(3)
    hits, truth = 0, math.exp(4.0)
    for trial in range(300):
        words = rng.integers(20, 200, size=80).astype(float)
        nats = words * rng.gamma(16, 0.25, size=80)
        stats = np.stack([np.ones(80), -nats, words], axis=1)
        found = summarize(WordPerplexity(), stats, seed=trial, n_resamples=400)
        hits += found.low <= truth <= found.high
    assert 0.90 < hits / 300 <= 0.99

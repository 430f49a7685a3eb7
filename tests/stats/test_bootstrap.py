from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from evalharness.stats import bootstrap
from evalharness.stats.bootstrap import (
    bca_interval,
    bounded_jackknife_interval,
    cluster_totals,
    distinct_rows,
    jackknife,
    jackknife_interval,
    percentile_interval,
    replicates,
    resample_counts,
    resample_totals,
    resample_weights,
)
from evalharness.stats.leaning import bounded_mean_interval, lean_of, leaning_interval


def mean(totals):
    return totals[..., 1] / totals[..., 0]


def rows_of(values):
    return np.stack([np.ones(len(values)), np.asarray(values, dtype=float)], axis=1)


def test_each_resample_has_n_samples():
    chunks = list(resample_weights(7, n_resamples=50, seed=1))
    weights = np.concatenate(chunks)
    assert weights.shape == (50, 7)
    assert weights.dtype == np.float64
    assert (weights.sum(axis=1) == 7).all()
    assert len(np.unique(weights, axis=0)) > 40


def test_weights_are_multinomial():
    weights = np.concatenate(list(resample_weights(5, n_resamples=20_000, seed=2)))
    # Multinomial(5, 1/5): mean 1, variance 5·(1/5)(4/5) = 0.8, covariance −5·(1/5)² = −0.2.
    covariance = np.cov(weights.T)
    assert weights.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    assert np.diag(covariance) == pytest.approx(np.full(5, 0.8), abs=0.04)
    assert covariance[~np.eye(5, dtype=bool)] == pytest.approx(np.full(20, -0.2), abs=0.04)


def test_chunks_are_bounded_and_do_not_repeat(monkeypatch):
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 100)
    chunks = list(resample_weights(30, n_resamples=10, seed=0))
    assert [len(c) for c in chunks] == [3, 3, 3, 1]
    assert len(np.unique(np.concatenate(chunks), axis=0)) == 10


def test_totals_are_sums_of_resampled_rows():
    stats = np.random.default_rng(0).random((6, 3))
    weights = np.concatenate(list(resample_weights(6, n_resamples=4, seed=9)))
    by_hand = np.array([sum(w * row for w, row in zip(ws, stats, strict=True)) for ws in weights])
    assert resample_totals(stats, n_resamples=4, seed=9) == pytest.approx(by_hand, abs=1e-12)


def test_seed_decides():
    stats = rows_of(np.random.default_rng(0).random(20))
    first, again, other = (replicates(stats, mean, n_resamples=100, seed=s) for s in (4, 4, 5))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("bad", [{"n": 0, "n_resamples": 5}, {"n": 5, "n_resamples": 0}])
def test_refuses_nothing(bad):
    with pytest.raises(ValueError, match="at least 1"):
        next(resample_weights(**bad, seed=0))


def test_cluster_totals():
    stats = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 5.0], [0.0, 7.0]])
    assert cluster_totals(stats, np.array([2, 0, 2, 0])).tolist() == [[1.0, 10.0], [0.0, 0.0], [2.0, 7.0]]
    assert cluster_totals(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)).shape == (0, 2)


def test_jackknife_leaves_one_out(monkeypatch):
    values = np.random.default_rng(1).random(9)
    by_hand = [np.delete(values, i).mean() for i in range(9)]
    assert jackknife(rows_of(values), mean) == pytest.approx(by_hand, abs=1e-14)
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 4)
    assert jackknife(rows_of(values), mean) == pytest.approx(by_hand, abs=1e-14)


def test_percentile_is_quantiles():
    values = np.arange(1001.0)
    assert percentile_interval(values) == pytest.approx((25.0, 975.0))
    assert percentile_interval(values, confidence=0.5) == pytest.approx((250.0, 750.0))


def test_undefined_replicates():
    assert percentile_interval(np.array([1.0, 2.0, math.nan])) == pytest.approx((1.025, 1.975))
    assert all(map(math.isnan, percentile_interval(np.array([1.0, 2.0, math.nan, math.nan, math.nan]))))
    assert all(map(math.isnan, percentile_interval(np.array([1.0]))))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bca_agrees_with_scipy(seed):
    values = np.random.default_rng(seed).lognormal(sigma=1.0, size=40)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0), vectorized=True
    ).confidence_interval
    stats = rows_of(values)
    found = replicates(stats, mean, n_resamples=20_000, seed=0)
    ours = bca_interval(found, float(values.mean()), jackknife(stats, mean))
    width = theirs.high - theirs.low
    assert ours == pytest.approx(theirs, abs=0.03 * width)
    # … which a percentile interval does not for skewed data.
    assert abs(percentile_interval(found).high - theirs.high) > 0.03 * width


def test_bca_falls_back_to_percentiles():
    values = np.linspace(0, 1, 101)
    plain = percentile_interval(values)
    assert bca_interval(values, 2.0, np.array([0.1, 0.2])) == plain  # the figure lies outside all replicates
    assert bca_interval(values, 0.5, np.array([0.1, 0.1])) == plain  # no jackknife spread
    assert bca_interval(values, math.nan, np.array([0.1, 0.2])) == plain


def test_arguments_are_left_alone():
    stats = rows_of(np.random.default_rng(0).random(10))
    stats.setflags(write=False)
    replicates(stats, mean, n_resamples=10, seed=0)
    jackknife(stats, mean)
    cluster_totals(stats, np.arange(10) // 2)


@pytest.mark.slow
def test_bca_covers_a_ratio():
    # A ratio of sums of skewed variables, 60 samples: the shape of a corpus metric.
    rng = np.random.default_rng(8)
    truth, hits = 0.5, 0
    for trial in range(400):
        size = rng.lognormal(3.0, 0.6, size=60)
        part = size * rng.beta(2, 2, size=60)
        stats = np.stack([size, part], axis=1)
        found = replicates(stats, mean, n_resamples=500, seed=trial)
        low, high = bca_interval(found, float(part.sum() / size.sum()), jackknife(stats, mean))
        hits += low <= truth <= high
    assert 0.90 < hits / 400 < 0.985


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(0).gamma(2, size=50)
    found = jackknife_interval(float(values.mean()), jackknife(rows_of(values), mean))
    expected = scipy_stats.t.interval(0.95, 49, values.mean(), scipy_stats.sem(values))
    assert found == pytest.approx(expected, rel=1e-9)
    assert all(map(math.isnan, jackknife_interval(1.0, np.array([1.0]))))
    assert all(map(math.isnan, jackknife_interval(1.0, np.array([1.0, math.nan]))))


def test_the_bounded_jackknife_of_a_mean_is_near_that_of_its_values():
    values = np.random.default_rng(0).beta(8, 1, size=50)
    left_out = jackknife(rows_of(values), mean)
    found = bounded_jackknife_interval(float(values.mean()), left_out, (0, 1))
    lean = lean_of(values - values.mean())
    expected = leaning_interval(float(values.mean()), float(values.var(ddof=1)) / 50, 50, (0, 1), lean=lean)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found == pytest.approx(bounded_mean_interval(values, (0, 1)), abs=0.01)
    shifted = bounded_jackknife_interval(100 * values.mean() - 50, 100 * left_out - 50, (-50, 50))
    assert shifted == pytest.approx([100 * bound - 50 for bound in found], abs=1e-9)


def test_the_bounded_jackknife_of_nothing():
    assert bounded_jackknife_interval(1.0, np.ones(9), (0, 1)) == (1.0, 1.0)
    assert all(map(math.isnan, bounded_jackknife_interval(1.0, np.array([1.0]), (0, 1))))
    assert all(map(math.isnan, bounded_jackknife_interval(1.0, np.array([1.0, math.nan]), (0, 1))))


def test_wide_rows_make_small_chunks(monkeypatch):
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 100)
    assert [len(c) for c in resample_weights(5, n_resamples=4, seed=0, width=50)] == [2, 2]


# ── few distinct rows ─────────────────────────────────────────────────────────────────────────────────────────────


def labelled_rows(n, n_kinds, seed=0):
    """Rows of which few differ, as those of labels."""
    return rows_of(np.random.default_rng(seed).integers(0, n_kinds, n) ** 1.5)


def test_distinct_rows_are_counted_whatever_their_order():
    stats = np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 2.0], [1.0, 2.0]])
    rows, counts = distinct_rows(stats, most=2)
    assert rows.tolist() == [[1.0, 2.0], [1.0, 0.0]]
    assert counts.tolist() == [3, 1]
    assert distinct_rows(stats, most=1) is None
    many = labelled_rows(60, 9)
    shuffled = np.random.default_rng(1).permutation(many)
    for one, other in zip(distinct_rows(many, most=60), distinct_rows(shuffled, most=60), strict=True):
        assert np.array_equal(one, other)
    assert (replicates(many, mean, n_resamples=50, seed=3) == replicates(shuffled, mean, n_resamples=50, seed=3)).all()


# Five cells of thirty samples take the Poisson way, three numpy's own; with four samples all are drawn singly.
@pytest.mark.parametrize("counts", [(10, 8, 6, 4, 2), (20, 6, 4), (2, 1, 1), (30,)])
def test_counts_are_multinomial(counts):
    counts = np.array(counts)
    n, share = int(counts.sum()), counts / counts.sum()
    drawn = np.concatenate(list(resample_counts(counts, n_resamples=40_000, seed=5)))
    assert drawn.shape == (40_000, len(counts))
    assert (drawn.sum(axis=1) == n).all()
    assert (drawn >= 0).all()
    covariance = n * (np.diag(share) - np.outer(share, share))
    assert drawn.mean(axis=0) == pytest.approx(n * share, abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(covariance if len(counts) > 1 else 0.0, abs=0.12)
    for cell in range(len(counts)):
        seen = np.bincount(drawn[:, cell].astype(int), minlength=n + 1)
        expected = 40_000 * scipy_stats.binom.pmf(np.arange(n + 1), n, share[cell])
        likely = expected > 5
        if likely.sum() > 1:
            statistic = ((seen - expected)[likely] ** 2 / expected[likely]).sum()
            assert scipy_stats.chi2.sf(statistic, likely.sum() - 1) > 1e-3


def test_pairs_of_cells_are_multinomial_too():
    counts = np.array([3, 2, 2, 1, 1])
    drawn = np.concatenate(list(resample_counts(counts, n_resamples=60_000, seed=6)))[:, [0, 3]].astype(int)
    seen = np.zeros((10, 10))
    np.add.at(seen, (drawn[:, 0], drawn[:, 1]), 1)
    a, b = np.indices((10, 10))
    rest = np.maximum(9 - a - b, 0)
    expected = 60_000 * scipy_stats.multinomial.pmf(np.stack([a, b, rest], axis=-1), 9, [3 / 9, 1 / 9, 5 / 9])
    expected = np.where(a + b <= 9, expected, 0.0)
    likely = expected > 5
    assert scipy_stats.chi2.sf(((seen - expected)[likely] ** 2 / expected[likely]).sum(), likely.sum() - 1) > 1e-3


@pytest.mark.parametrize("n_kinds", [3, 40])
def test_figures_are_distributed_as_those_of_plain_resampling(n_kinds):
    stats = labelled_rows(300, n_kinds)
    assert distinct_rows(stats, most=75) is not None
    found = replicates(stats, mean, n_resamples=20_000, seed=0)
    plain = np.concatenate([mean(w @ stats) for w in resample_weights(300, n_resamples=20_000, seed=1)])
    assert scipy_stats.ks_2samp(found, plain).pvalue > 1e-3
    assert found.std() == pytest.approx(stats[:, 1].std() / math.sqrt(300), rel=0.03)
    assert resample_totals(stats, n_resamples=20_000, seed=0)[:, 0].tolist() == [300.0] * 20_000


def test_chunks_of_counts_are_bounded(monkeypatch):
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 100)
    chunks = list(resample_counts(np.array([9, 1, 1, 1, 1]), n_resamples=45, seed=0))
    assert [len(c) for c in chunks] == [20, 20, 5]
    with pytest.raises(ValueError, match="at least 1"):
        next(resample_counts(np.array([3]), n_resamples=0, seed=0))

"""Disparities between levels: a plain twin of the error, Student's tests, simultaneity, and the inversion of bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from evalharness.stats.disparity import disparity_of, disparity_values
from evalharness.stats.intervals import mean_interval
from evalharness.stats.leaning import leaning_interval
from evalharness.stats.levels import levels_of
from evalharness.stats.simultaneous import Greatest, SmallestRatio, max_t


def mean(totals):
    with np.errstate(invalid="ignore", divide="ignore"):
        return (totals[..., 1] / totals[..., 0])[..., None]


def carried(units):
    return units.any(axis=-1)[..., None]


def blocks_of(values, places, n_levels):
    """(n, G, 2) statistics of a mean of `values`, each in the block of its place."""
    found = np.zeros((len(values), n_levels, 2))
    found[np.arange(len(values)), places] = np.stack([np.ones(len(values)), values], axis=1)
    return found


def paired_shares(seed, n=60, n_levels=2, levels=(0.7, 0.7, 0.7, 0.5), shared=0.6):
    """Values of `n` templates that were asked once for each level, with the number of each one's template."""
    rng = np.random.default_rng(seed)
    own = rng.random((n, 1))
    values = (np.where(rng.random((n, n_levels)) < shared, own, rng.random((n, n_levels))) < levels[:n_levels]) * 1.0
    return values, np.tile(np.arange(n_levels), n), np.repeat(np.arange(n), n_levels)


def of(values, places, codes, n_levels, *, span=1.0, bounds=(0.0, 1.0)):
    return levels_of(blocks_of(values, places, n_levels), codes, mean, carried, span=span, bounds=bounds)


def plain_covariance(values, places, codes, n_levels):
    """The jackknife by its definition: each level's figure without each unit in turn."""
    units = np.unique(codes)
    moves = np.zeros((len(units), n_levels))
    for g in range(n_levels):
        left_out = {}
        for c in units:
            if ((places == g) & (codes == c)).any():
                left_out[c] = values[(places == g) & (codes != c)].mean()
        centre = np.mean(list(left_out.values()))
        for c, value in left_out.items():
            moves[c, g] = math.sqrt((len(left_out) - 1) / len(left_out)) * (centre - value)
    return moves.T @ moves


@pytest.mark.parametrize("clustered", [True, False])
def test_error_is_the_jackknifes(clustered):
    rng = np.random.default_rng(3)
    n = 90
    values, places = rng.random(n), rng.integers(0, 3, n)
    codes = rng.integers(0, 20, n) if clustered else np.arange(n)
    found = of(values, places, codes if clustered else None, 3, span=math.inf, bounds=(-math.inf, math.inf))
    np.testing.assert_allclose(found.covariance, plain_covariance(values, places, codes, 3), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.values[:, 0], [values[places == g].mean() for g in range(3)])
    own = [len(np.unique(codes[places == g])) for g in range(3)]
    assert found.units[:, 0].tolist() == own


def test_chunks_make_no_difference(monkeypatch):
    values, places, codes = paired_shares(1, n_levels=3)
    whole = of(values.ravel(), places, codes, 3)
    monkeypatch.setattr("evalharness.stats.levels._CHUNK_CELLS", 7)
    parts = of(values.ravel(), places, codes, 3)
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-12)


def test_two_paired_levels_are_a_paired_t():
    values, places, codes = paired_shares(0)
    levels = of(values.ravel(), places, codes, 2, span=math.inf, bounds=(-math.inf, math.inf))
    expected = mean_interval(values[:, 0] - values[:, 1])
    np.testing.assert_allclose(disparity_of(levels, "gap", reference=1).interval(0.95), expected, rtol=1e-9)
    np.testing.assert_allclose(disparity_of(levels, "gap", reference=0).interval(0.95), [-x for x in expected[::-1]])
    folded = disparity_of(levels, "difference")
    p = scipy_stats.ttest_rel(values[:, 0], values[:, 1]).pvalue
    assert folded.kernel.at_least(0.0) == pytest.approx(p, rel=1e-6)


def test_pairs_in_clusters_are_a_clustered_t():
    rng = np.random.default_rng(5)
    effects = np.repeat(rng.normal(0, 0.2, 15), 4)
    first, second = effects + rng.normal(0.5, 0.1, 60), effects + rng.normal(0.45, 0.1, 60)
    cluster = np.repeat(np.arange(15), 4)
    levels = of(
        np.concatenate([first, second]),
        np.repeat([0, 1], 60),
        np.concatenate([cluster, cluster]),
        2,
        span=math.inf,
        bounds=(-math.inf, math.inf),
    )
    expected = mean_interval(first - second, codes=cluster)
    np.testing.assert_allclose(disparity_of(levels, "gap", reference=1).interval(0.95), expected, rtol=1e-9)


def test_sharing_clusters_makes_the_interval_shorter():
    values, places, codes = paired_shares(3, shared=0.9)
    together = disparity_of(of(values.ravel(), places, codes, 2), "difference")
    apart = disparity_of(of(values.ravel(), places, None, 2), "difference")
    assert together.value == apart.value
    assert np.diff(together.interval(0.95)) < 0.7 * np.diff(apart.interval(0.95))


def test_two_groups_apart_are_about_welch_and_agresti_caffo():
    rng = np.random.default_rng(1)
    n = 400
    values, places = (rng.random(n) < 0.6) * 1.0, np.arange(n) % 2
    found = disparity_of(of(values, places, None, 2), "gap", reference=1).interval(0.95)
    welch = scipy_stats.ttest_ind(values[places == 0], values[places == 1], equal_var=False).confidence_interval()
    np.testing.assert_allclose(found, [welch.low, welch.high], atol=2e-3)
    assert found.low < welch.low < welch.high < found.high, "one more unit may lie unseen"


@pytest.mark.parametrize("n_levels", [3, 6])
def test_max_t_is_the_studentised_range_of_equal_groups(n_levels):
    contrasts = np.array(
        [np.eye(n_levels)[i] - np.eye(n_levels)[j] for i in range(n_levels) for j in range(i + 1, n_levels)]
    )
    maxima = max_t(np.eye(n_levels), contrasts, 40, folded=True, seed=0)
    assert (np.diff(maxima) >= 0).all()
    expected = scipy_stats.studentized_range.ppf(0.95, n_levels, 40) / math.sqrt(2)
    assert np.quantile(maxima, 0.95) == pytest.approx(expected, rel=0.02)


def test_dunnett_against_a_reference():
    rng = np.random.default_rng(0)
    groups = [rng.normal(0, 1, 50) for _ in range(4)]
    groups[2] -= 0.35
    levels = of(
        np.concatenate(groups), np.repeat(np.arange(4), 50), None, 4, span=math.inf, bounds=(-math.inf, math.inf)
    )
    found = disparity_of(levels, "drop", reference=0)
    expected = scipy_stats.dunnett(*groups[1:], control=groups[0], alternative="less").pvalue.min()
    assert found.kernel.at_least(0.0) == pytest.approx(expected, rel=0.35)
    assert found.value == pytest.approx(groups[0].mean() - groups[2].mean())


def test_the_worst_of_levels_allows_for_having_looked_at_all_where_that_is_hopeful():
    values = np.tile(np.arange(50) % 4 > 0, 3) * 1.0
    levels = of(values, np.repeat(np.arange(3), 50), None, 3)
    share = 37 / 50
    for sign in (1.0, -1.0):
        found = disparity_of(levels, "worst", sign=sign, bounds=(0.0, 1.0)).interval(0.95)
        own, every = (
            leaning_interval(share, share * (1 - share) / 49, 50, (0.0, 1.0), confidence=confidence)
            for confidence in (0.95, 1 - 0.05 / 3)
        )
        expected = (own.low, every.high) if sign > 0 else (every.low, own.high)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def all_kinds(seed=4):
    values, places, codes = paired_shares(seed, n_levels=4)
    levels = of(values.ravel(), places, codes, 4)
    for what in ("difference", "ratio", "worst", "drop"):
        yield what, disparity_of(levels, what, bounds=(0.0, 1.0), clustered=True)
    two, places, codes = paired_shares(seed)
    yield "gap", disparity_of(of(two.ravel(), places, codes, 2), "gap", reference=1)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01, 1e-3, 1e-5])
def test_p_values_invert_the_bounds(alpha):
    for what, found in all_kinds():
        low, high = found.kernel.lower(alpha), found.kernel.upper(alpha)
        assert low <= found.value <= high
        step = 1e-5
        if low > 0 or what in ("difference", "drop", "gap"):
            assert found.kernel.at_least(low - step) <= alpha < found.kernel.at_least(low + step), what
        if high < 1:
            assert found.kernel.at_most(high + step) <= alpha < found.kernel.at_most(high - step), what
        assert found.kernel.at_least(-math.inf) <= 1e-7
        assert found.kernel.at_most(math.inf) <= 1e-7
        assert found.kernel.at_least(math.inf) == found.kernel.at_most(-math.inf) == 1.0


def test_the_exact_bound_passes_its_own_test():
    for what, found in all_kinds():
        if what != "worst":
            for alpha in (0.05, 0.013):
                assert found.kernel.at_least(found.kernel.lower(alpha)) <= alpha * (1 + 1e-9)
                high = found.kernel.upper(alpha)
                assert (what == "ratio" and high == 1) or found.kernel.at_most(high) <= alpha * (1 + 1e-9)


def test_more_samples_say_more():
    for _, found in all_kinds():
        more = found.kernel.scaled(4.0)
        assert more.upper(0.05) - more.lower(0.05) < found.kernel.upper(0.05) - found.kernel.lower(0.05)


def test_beyond_the_draws_bonferroni_says_more():
    kernel = Greatest(
        np.array([1.0, 0.5, 0.2]), np.full(3, 0.1), 200, max_t(np.eye(2), np.eye(2), 200, folded=True, seed=0), True
    )
    assert kernel.at_least(0.0) < 1e-9


def test_a_ratio_is_shown_where_a_difference_is():
    values, places, codes = paired_shares(7, n_levels=4, levels=(0.8, 0.8, 0.8, 0.55))
    levels = of(values.ravel(), places, codes, 4)
    difference, ratio = disparity_of(levels, "difference"), disparity_of(levels, "ratio")
    assert difference.kernel.at_least(0.0) == pytest.approx(ratio.kernel.at_most(1.0), rel=1e-3)
    assert ratio.interval(0.95).high < 1 < 1 + difference.interval(0.95).low


def test_ratios_of_zeros_need_no_exception():
    kernel = SmallestRatio(np.array([[0.0, 0.4], [0.4, 0.0]]), np.full((3, 2), 1e-3) * [[1], [1], [0]], 30, np.zeros(0))
    assert kernel.lower(0.05) == 0.0
    assert 0 < kernel.upper(0.05) < 0.5
    nothing = SmallestRatio(np.zeros((2, 2)), np.full((3, 2), 1e-3), 30, np.zeros(0))
    assert (nothing.lower(0.05), nothing.upper(0.05)) == (0.0, 1.0)


def test_values():
    values = np.array([[0.5, 0.2], [0.9, 0.3], [0.7, 0.0]])
    assert disparity_values(values, "difference") == pytest.approx(0.4)
    assert disparity_values(values, "ratio") == 0.0
    first = values[:, :1]
    assert disparity_values(first, "worst") == 0.5
    assert disparity_values(first, "worst", sign=-1.0) == 0.9
    assert disparity_values(first, "drop", reference=1) == pytest.approx(0.4)
    assert disparity_values(first, "drop", reference=1, sign=-1.0) == pytest.approx(-0.2)
    assert disparity_values(first[:2], "gap", reference=1) == pytest.approx(-0.4)
    assert disparity_values(first[:2], "gap", reference=0) == pytest.approx(0.4)


def test_nothing_to_compare_is_nan():
    assert math.isnan(disparity_values(np.array([[0.5]]), "difference"))
    assert math.isnan(disparity_values(np.array([[0.5], [np.nan]]), "difference"))
    assert math.isnan(disparity_values(np.zeros((2, 1)), "ratio"))
    half = np.array([[0.5, np.nan], [0.9, 0.3], [0.7, 0.1]])
    assert disparity_values(half, "difference") == pytest.approx(0.4), "a rate that one level lacks"


def test_groups_that_are_all_right_are_no_evidence_of_equality():
    n = 40
    levels = of(np.ones(2 * n), np.arange(2 * n) % 2, None, 2)
    found = disparity_of(levels, "difference")
    assert found.value == 0
    assert 0.05 < found.interval(0.95).high < 0.15
    assert found.kernel.at_most(0.01) > 0.3


def test_one_unit_in_a_level_tells_no_spread():
    found = disparity_of(of(np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1]), None, 2), "difference")
    assert found.value == 1.0
    assert found.method == "none"
    assert "one sample" in found.note


def test_without_bounds_and_spread_nothing_is_said():
    levels = of(np.ones(80), np.arange(80) % 2, None, 2, span=math.inf, bounds=(-math.inf, math.inf))
    for what in ("difference", "worst"):
        found = disparity_of(levels, what)
        assert found.method == "no-variation"
        assert found.kernel.lower(0.05) == -math.inf


def flagged(seed, n_levels, *, templates, bias=0.0, n=60, truth=0.8):
    rng = np.random.default_rng([seed, n_levels])
    own = rng.random((n, 1)) if templates else rng.random((n, n_levels))
    hard = np.where(rng.random((n, n_levels)) < 0.5, own, rng.random((n, n_levels)))
    values = hard < np.array([truth] * (n_levels - 1) + [truth - bias])
    codes = np.repeat(np.arange(n), n_levels) if templates else None
    levels = of(values.ravel() * 1.0, np.tile(np.arange(n_levels), n), codes, n_levels)
    return disparity_of(levels, "difference", seed=seed).interval(0.95).low > 0


@pytest.mark.parametrize(("n_levels", "templates"), [(2, False), (2, True), (4, False), (4, True), (8, True)])
def test_false_alarms_and_power(n_levels, templates):
    """`benchmarks/probe_error.py` has 2,000 seeds and more kinds of data."""
    seeds = range(200)
    assert sum(flagged(seed, n_levels, templates=templates) for seed in seeds) <= 0.07 * len(seeds)
    assert all(flagged(seed, n_levels, templates=templates, bias=0.5) for seed in range(20))

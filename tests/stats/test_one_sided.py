import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evalharness.stats.beta import beta_probability
from evalharness.stats.cluster_spread import cluster_spread
from evalharness.stats.one_sided import (
    ClusteredProportion,
    Envelope,
    Infinite,
    LessCertain,
    MostlyOne,
    Proportion,
    Scaled,
    SkewedMean,
    Within,
    power_of_share,
)
from evalharness.stats.one_sided_resampled import (
    OfInterval,
    Resampled,
    bca_corrections,
)
from evalharness.stats.order_statistics import OrderStatistic, clustered_order_statistic

levels = st.sampled_from([0.001, 0.01, 0.05, 0.2, 0.4])


@st.composite
def kernels(draw):
    """One kernel of any kind, and a limit near its figure."""
    kind = draw(st.sampled_from(["share", "clusters", "mean", "mostly", "normal", "resampled", "quantile", "interval"]))
    n = draw(st.integers(2, 300))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if kind == "share":
        right = draw(st.integers(0, n))
        return Proportion(right, n), draw(st.floats(0.001, 0.999))
    if kind == "clusters":
        return ClusteredProportion(draw(st.floats(0, 1)), draw(st.floats(2, 200)), n), draw(st.floats(0.001, 0.999))
    if kind == "mean":
        return SkewedMean(0.3, draw(st.floats(0.01, 0.2)), draw(st.floats(-3, 3)), n), draw(st.floats(-0.5, 1.2))
    if kind == "mostly":
        below = draw(st.integers(0, min(9, n)))
        above = draw(st.integers(0, min(9, n - below)))
        return MostlyOne(0.4, -1.0, 1.0, below, above, n), draw(st.floats(-0.99, 0.99))
    if kind == "normal":
        return Scaled(0.5, draw(st.floats(0.01, 1)), draw(st.floats(0.01, 1))), draw(st.floats(-1, 2))
    values = np.sort(rng.normal(0.5, 0.2, 500).round(draw(st.sampled_from([1, 12]))))
    limit = draw(st.one_of(st.floats(0, 1), st.sampled_from(values.tolist())))
    if kind == "resampled":
        return Resampled(0.5, values, draw(st.floats(-0.3, 0.3)), draw(st.floats(-0.05, 0.05))), limit
    if kind == "quantile":
        return OrderStatistic(values[:n], draw(st.sampled_from([0.5, 0.95]))), limit
    return OfInterval(0.5, lambda c: (0.5 - c, 0.5 + c)), draw(st.floats(-0.4, 1.4))


@settings(deadline=None, max_examples=400)
@given(kernels(), levels)
def test_p_is_small_exactly_where_the_bound_fulfils(pair, alpha):
    kernel, limit = pair
    low, high = kernel.lower(alpha), kernel.upper(alpha)
    if abs(low - limit) > 1e-7:
        assert (kernel.at_least(limit) <= alpha) == (low >= limit)
    if abs(high - limit) > 1e-7:
        assert (kernel.at_most(limit) <= alpha) == (high <= limit)


@settings(deadline=None, max_examples=200)
@given(kernels(), levels, levels)
def test_bounds_are_wider_at_smaller_alpha_and_p_grows_with_the_limit(pair, a, b):
    kernel, limit = pair
    small, large = sorted((a, b))
    assert kernel.lower(small) <= kernel.lower(large) + 1e-9
    assert kernel.upper(small) >= kernel.upper(large) - 1e-9
    assert kernel.at_least(limit) <= kernel.at_least(limit + 0.05) + 1e-9
    assert kernel.at_most(limit) >= kernel.at_most(limit + 0.05) - 1e-9


@pytest.mark.parametrize(
    ("right", "n", "limit"), [(95, 100, 0.9), (0, 10, 0.2), (10, 10, 0.8), (3, 7, 0.5), (400, 1000, 0.41)]
)
def test_a_share_is_tested_as_scipy_does(right, n, limit):
    kernel = Proportion(right, n)
    assert kernel.at_least(limit) == pytest.approx(scipy_stats.binomtest(right, n, limit, alternative="greater").pvalue)
    assert kernel.at_most(limit) == pytest.approx(scipy_stats.binomtest(right, n, limit, alternative="less").pvalue)
    found = scipy_stats.binomtest(right, n, limit, alternative="greater").proportion_ci(0.95)
    assert kernel.lower(0.05) == pytest.approx(found.low)
    found = scipy_stats.binomtest(right, n, limit, alternative="less").proportion_ci(0.95)
    assert kernel.upper(0.05) == pytest.approx(found.high)


def test_what_always_holds_has_p_zero_and_what_never_does_one():
    assert Proportion(0, 5).at_least(0) == 0
    assert Proportion(5, 5).at_most(1) == 0
    assert Proportion(5, 5).at_least(1.01) == 1
    assert MostlyOne(0.0, 0.0, 1.0, 0, 0, 5).lower(0.05) == 0
    assert MostlyOne(0.0, -math.inf, math.inf, 0, 0, 5).lower(0.05) == -math.inf
    assert MostlyOne(0.0, -math.inf, math.inf, 0, 0, 5).at_least(-10) == 1
    assert Infinite().at_least(-1e300) == 1
    assert Infinite().lower(0.05) == -math.inf


def test_ten_equal_values_exclude_a_quarter_of_what_is_possible():
    # 0.05 = 0.7411^10
    assert MostlyOne(0.0, -1.0, 1.0, 0, 0, 10).lower(0.05) == pytest.approx(-(1 - 0.05**0.1))


def test_without_skewness_it_is_students_t():
    values = np.array([-1.3, -0.4, 0.4, 1.3]) + 2
    kernel = SkewedMean(2.0, float(values.std(ddof=1)) / 2, 0.0, 4)
    assert kernel.at_least(1.2) == pytest.approx(scipy_stats.ttest_1samp(values, 1.2, alternative="greater").pvalue)
    assert kernel.upper(0.05) == pytest.approx(
        scipy_stats.ttest_1samp(values, 1.2, alternative="less").confidence_interval(0.95).high
    )


def test_skewness_costs_on_the_side_of_the_long_tail_only():
    right = SkewedMean(1.0, 0.1, 2.0, 50)
    plain = SkewedMean(1.0, 0.1, 0.0, 50)
    assert right.upper(0.05) > plain.upper(0.05)
    assert right.lower(0.05) == pytest.approx(plain.lower(0.05))
    left = SkewedMean(1.0, 0.1, -2.0, 50)
    assert left.lower(0.05) == pytest.approx(2 - right.upper(0.05))


def test_halls_bound_covers_an_exponential_mean_where_t_does_not():
    rng = np.random.default_rng(3)
    values = rng.exponential(1.0, (4000, 50))
    missed = missed_by_t = 0
    for row in values:
        error = row.std(ddof=1) / math.sqrt(50)
        skew = float(scipy_stats.skew(row))
        missed += SkewedMean(row.mean(), error, skew, 50).upper(0.05) < 1
        missed_by_t += SkewedMean(row.mean(), error, 0.0, 50).upper(0.05) < 1
    assert missed_by_t / 4000 > 0.085
    assert missed / 4000 < 0.066


def test_clusters_of_one_are_nearly_the_exact_test():
    kernel = ClusteredProportion(0.9, 1000, 1000)
    assert kernel.lower(0.05) == pytest.approx(Proportion(900, 1000).lower(0.05), abs=1e-3)
    assert kernel.lower(0.05) <= Proportion(900, 1000).lower(0.05)


@pytest.mark.parametrize(
    ("n", "truth", "limit"), [(100, 0.95, 0.9), (910, 0.95, 0.93), (50, 0.02, 0.1), (5, 0.99, 0.9)]
)
def test_power_of_a_share_is_the_chance_of_all_counts_that_show_it(n, truth, limit):
    side = "at_least" if truth > limit else "at_most"
    shown = [k for k in range(n + 1) if getattr(Proportion(k, n), side)(limit) <= 0.05]
    expected = float(scipy_stats.binom.pmf(shown, n, truth).sum())
    assert power_of_share(n, truth, limit) == pytest.approx(expected)


def test_one_cluster_with_a_wrong_answer_does_not_tell_how_they_gather():
    # 199 of 200 right in 20 clusters: the one wrong answer makes a tiny standard error.
    few, many = ClusteredProportion(0.995, 200, 1), ClusteredProportion(0.995, 200, 20)
    assert few.lower(0.05) < 0.85
    assert many.lower(0.05) > 0.96


def test_replicates_at_the_limit_are_no_evidence():
    kernel = Resampled(0.1, np.sort(np.r_[np.zeros(500), np.linspace(0.01, 0.2, 500)]))
    assert kernel.at_least(0.0) > 0.4
    assert kernel.at_least(-0.001) == pytest.approx(1 / 1001)


def test_corrected_percentiles_are_those_of_the_bca_interval():
    from evalharness.stats.bootstrap import bca_interval, jackknife, replicates

    rng = np.random.default_rng(5)
    rows = np.stack([np.ones(60), rng.exponential(1, 60)], axis=1)

    def finalize(totals):
        return np.log(totals[..., 1] / totals[..., 0])

    value = float(finalize(rows.sum(0)))
    found = replicates(rows, finalize, n_resamples=4000, seed=1)
    left_out = jackknife(rows, finalize)
    two_sided = bca_interval(found, value, left_out, confidence=0.9)
    kernel = Resampled(value, np.sort(found), *bca_corrections(value, found, left_out))
    assert kernel.lower(0.05) == pytest.approx(two_sided.low, abs=2e-3)
    assert kernel.upper(0.05) == pytest.approx(two_sided.high, abs=2e-3)


@pytest.mark.parametrize(("n", "open_"), [(58, True), (59, False)])
def test_the_upper_bound_of_a_95th_percentile_needs_59_values(n, open_):
    kernel = OrderStatistic(np.arange(n, dtype=float), 0.95)
    assert math.isinf(kernel.upper(0.05)) == open_
    if not open_:
        assert kernel.upper(0.05) == n - 1
        assert kernel.at_most(n - 1) == pytest.approx(0.95**59)


def test_order_statistics_are_the_one_sided_bounds_of_the_two_sided_interval():
    from evalharness.stats.quantiles import quantile_interval

    values = np.random.default_rng(2).exponential(1, 400)
    two = quantile_interval(values, 0.9, confidence=0.9)
    kernel = OrderStatistic(np.sort(values), 0.9)
    assert (kernel.lower(0.05), kernel.upper(0.05)) == (two.low, two.high)


@given(st.floats(0, 1, allow_subnormal=False), st.floats(0.01, 500), st.floats(0.01, 500))
def test_the_incomplete_beta_function_is_scipys(x, a, b):
    assert beta_probability(x, a, b) == pytest.approx(float(scipy_stats.beta.cdf(x, a, b)), rel=1e-8, abs=1e-12)


def test_bounds_stay_within_what_is_possible():
    kernel = Within(SkewedMean(0.1, 0.2, 0.0, 30), 0.0, 1.0)
    assert (kernel.lower(0.05), kernel.upper(1e-7)) == (0.0, 1.0)
    assert (kernel.at_least(0.0), kernel.at_most(1.0)) == (0.0, 0.0)
    assert kernel.at_least(0.01) == SkewedMean(0.1, 0.2, 0.0, 30).at_least(0.01)
    assert kernel.scaled(4).kernel == SkewedMean(0.1, 0.1, 0.0, 120)


def test_of_two_tests_the_less_certain_decides():
    wide, narrow = SkewedMean(0.5, 0.2, 0.0, 30), SkewedMean(0.5, 0.1, 0.0, 30)
    kernel = LessCertain(wide, narrow)
    assert (kernel.lower(0.05), kernel.upper(0.05)) == (wide.lower(0.05), wide.upper(0.05))
    assert kernel.at_least(0.3) == wide.at_least(0.3)
    assert kernel.at_most(0.7) == wide.at_most(0.7)
    assert kernel.scaled(4).one == wide.scaled(4)


def test_an_envelope_has_the_worse_side_of_each():
    envelope = Envelope(Proportion(8, 20), Proportion(15, 20))
    assert envelope.lower(0.05) == Proportion(8, 20).lower(0.05)
    assert envelope.upper(0.05) == Proportion(15, 20).upper(0.05)
    assert envelope.scaled(2).low == Proportion(16, 40)


@settings(deadline=None)
@given(kernels())
def test_more_of_the_same_tells_more(pair):
    kernel, _ = pair
    more = kernel.scaled(16)
    assert more.upper(0.05) - more.lower(0.05) <= kernel.upper(0.05) - kernel.lower(0.05) + 1e-9 or math.isinf(
        kernel.upper(0.05) - kernel.lower(0.05)
    )


def test_of_uneven_clusters_the_median_tells_too_how_values_gather():
    """Each cluster's values lie close together; beyond the 95th percentile are few, in clusters of their own."""
    rng = np.random.default_rng(4)
    for sizes, uneven in (([5] * 40, False), ([60, 40] + [2] * 50, True)):
        codes = np.repeat(np.arange(len(sizes)), sizes)
        values = rng.normal(size=len(sizes))[codes] + 0.01 * rng.normal(size=codes.size)
        far = clustered_order_statistic(values, codes, 0.95).share.n_effective
        middle = clustered_order_statistic(values, codes, 0.5).share.n_effective
        within = (values <= np.quantile(values, 0.95)).astype(float)
        alone = within.mean() * (1 - within.mean()) / cluster_spread(within, codes).error ** 2
        assert far == pytest.approx(min(alone, middle) if uneven else alone)
        if uneven:
            assert middle < alone
    assert clustered_order_statistic(values, np.zeros(codes.size, int), 0.5) is None


def test_clusters_that_all_hold_as_many_far_values_count_for_no_more_than_samples_alone():
    codes = np.repeat(np.arange(20), 20)
    values = np.where(np.arange(400) % 20 == 0, 10.0, np.random.default_rng(1).random(400))
    found = clustered_order_statistic(values, codes, 0.95).share
    assert (found.n_effective, found.n_telling) == (400, 19)


def test_what_few_values_leave_open_is_decided_otherwise_once_most_draws_hold_enough():
    beyond = Proportion(50, 100)
    few = MostlyOne(0.0, -1.0, 1.0, 4, 0, 100, 10, beyond)
    # Two and a half times as many hold ten on average, but fewer than that in more than one draw of five.
    assert few.scaled(2.5) == MostlyOne(0.0, -1.0, 1.0, 10, 0, 250, 10, beyond)
    assert few.scaled(4) == beyond.scaled(4)

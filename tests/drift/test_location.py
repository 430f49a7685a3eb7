import math

import numpy as np
import pytest
from scipy import stats

from evalharness.drift.base import Counts, Moments, Rows
from evalharness.drift.defaults import make_test


def test_a_rate_is_fishers():
    found = make_test("rate").compare(Counts(np.array([90, 10])), Counts(np.array([70, 30])), seed=0)
    assert found.effect == pytest.approx(0.2)
    assert found.p_value == pytest.approx(stats.fisher_exact([[90, 10], [70, 30]]).pvalue)
    assert found.effect_low == pytest.approx(0.0905, abs=0.005)
    mid = make_test("rate", {"mid_p": True}).compare(Counts(np.array([90, 10])), Counts(np.array([70, 30])), seed=0)
    assert mid.p_value < found.p_value


def test_a_rate_has_two_bins():
    with pytest.raises(ValueError, match="no and yes; got 3 and 3; for more use chi_square"):
        make_test("rate").compare(Counts(np.ones(3)), Counts(np.ones(3)), seed=0)


def test_a_rate_of_clusters_is_less_certain():
    rng = np.random.default_rng(0)
    groups = [np.stack([20 - (yes := rng.binomial(20, rng.beta(1, 4, 64))), yes], axis=1) for _ in range(2)]
    counts = [Counts(g.sum(axis=0), g) for g in groups]
    plain = [Counts(g.sum(axis=0)) for g in groups]
    grouped, independent = (make_test("rate").compare(*w, seed=0) for w in (counts, plain))
    assert grouped.effect == pytest.approx(independent.effect)
    assert grouped.effect_high - grouped.effect_low > 1.5 * (independent.effect_high - independent.effect_low)
    # About as wide as t on the groups' rates says, since all groups are of one size.
    rates = [g[:, 1] / 20 for g in groups]
    low, high = stats.ttest_ind(rates[1], rates[0], equal_var=False).confidence_interval()
    assert (grouped.effect_low, grouped.effect_high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_smallest_difference_of_rates_is_found_four_times_in_five():
    test = make_test("rate")
    needed = test.smallest_effect(1000, 800, 0.01)
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(300):
        a, b = rng.binomial(1000, 0.5 - needed / 2), rng.binomial(800, 0.5 + needed / 2)
        hits.append(
            test.compare(Counts(np.array([1000 - a, a])), Counts(np.array([800 - b, b])), seed=0).p_value <= 0.01
        )
    assert 0.72 <= np.mean(hits) <= 0.88


def test_a_mean_is_welchs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(3, 2, size=50), rng.normal(4, 3, size=35)
    theirs = stats.ttest_ind(y, x, equal_var=False)
    found = make_test("mean").compare(Rows(x), Rows(y), seed=0)
    assert (found.statistic, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found.effect == pytest.approx((y.mean() - x.mean()) / x.std(ddof=1))
    low, high = theirs.confidence_interval()
    assert (found.effect_low, found.effect_high) == pytest.approx((low / x.std(ddof=1), high / x.std(ddof=1)))
    moments = [Moments(len(v), v.mean(), v.var(ddof=1)) for v in (x, y)]
    assert make_test("mean").compare(*moments, seed=0).p_value == pytest.approx(found.p_value)


def test_a_mean_of_clusters_is_that_of_their_means():
    rng = np.random.default_rng(2)
    # Equal sizes: the jackknife over clusters is the t test of the clusters' means.
    x, y = rng.normal(size=(30, 4)) + rng.normal(size=(30, 1)), rng.normal(size=(20, 4)) + rng.normal(size=(20, 1))
    codes = [np.repeat(np.arange(len(v)), 4) for v in (x, y)]
    found = make_test("mean").compare(Rows(x.ravel(), codes[0]), Rows(y.ravel(), codes[1]), seed=0)
    theirs = stats.ttest_ind(y.mean(axis=1), x.mean(axis=1), equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-6)


def test_a_reference_that_does_not_vary():
    found = make_test("mean").compare(Rows(np.ones(10)), Rows(np.array([1.0, 2.0, 3.0, 2.0])), seed=0)
    assert found.p_value < 0.2
    assert math.isnan(found.effect)

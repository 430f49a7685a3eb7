from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint

from evalharness.stats.cluster_spread import cluster_spread
from evalharness.stats.intervals import (
    beta_posterior,
    clopper_pearson,
    cluster_codes,
    cluster_standard_error,
    mean_interval,
    wilson,
)
from evalharness.stats.leaning import bounded_mean_interval, cluster_wilson, lean_of, leaning_interval

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "stats" / "proportion_ci.json"


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_agrees_with_the_published_intervals(method):
    table = json.loads(VECTORS.read_text())
    assert len(table["rows"]) > 5
    for row in table["rows"]:
        found = method(row["x"], row["n"])
        assert found == pytest.approx(row[method.__name__], abs=table["tolerance"]), row


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside this checkout")
def test_beta_posteriors_agree_with_the_shared_vectors():
    table = json.loads(VECTORS.read_text())
    for row in table["rows"]:
        found = beta_posterior(row["x"], row["n"])
        assert found == pytest.approx(row["jeffreys"], abs=1e-9), row
        uniform = beta_posterior(row["x"], row["n"], prior=(1, 1))
        assert uniform == pytest.approx(row["beta_uniform"], abs=1e-9), row


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_beta_posteriors_equal_statsmodels(case, confidence):
    theirs = proportion_confint(*case, alpha=1 - confidence, method="jeffreys")
    assert beta_posterior(*case, confidence=confidence) == pytest.approx(theirs, abs=1e-9)


def test_beta_posterior_of_nothing_is_the_prior():
    assert beta_posterior(0, 0, prior=(1, 1)) == pytest.approx((0.025, 0.975))
    with pytest.raises(ValueError, match="prior"):
        beta_posterior(1, 2, prior=(0, 1))


def test_newcombe_1998_table_1():
    # Newcombe 1998, Stat Med 17:857, Table I, 81/263, methods 3 (score) and 5 (exact).
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert clopper_pearson(81, 263) == pytest.approx((0.2527, 0.3676), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_equals_scipy(case, confidence):
    x, n = case
    test = scipy_stats.binomtest(x, n)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = test.proportion_ci(confidence, method=method)
        assert ours(x, n, confidence=confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_degenerate_proportions(method):
    assert all(map(math.isnan, method(0, 0)))
    assert method(0, 1).low == 0.0
    assert method(1, 1).high == 1.0
    assert 0 < method(1, 1).low < 1


@pytest.mark.parametrize(("x", "n"), [(-1, 3), (4, 3), (math.nan, 3), (1, math.inf)])
def test_refuses_impossible_counts(x, n):
    with pytest.raises(ValueError, match="successes"):
        wilson(x, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, math.nan])
def test_refuses_impossible_confidence(confidence):
    with pytest.raises(ValueError, match="confidence"):
        wilson(1, 3, confidence=confidence)


def test_mean_equals_scipy():
    values = np.random.default_rng(3).gamma(2.0, size=25)
    theirs = scipy_stats.t.interval(0.9, 24, loc=values.mean(), scale=scipy_stats.sem(values))
    assert mean_interval(values, confidence=0.9) == pytest.approx(theirs, abs=1e-12)


def test_degenerate_means():
    assert all(map(math.isnan, mean_interval([])))
    assert all(map(math.isnan, mean_interval([0.5])))
    assert all(map(math.isnan, mean_interval([0.5, 0.6], codes=np.array([0, 0]))))
    # 0.1 has no exact double: the mean of many is off by a rounding error, the interval is not.
    assert mean_interval([0.1] * 10) == (0.1, 0.1)


def test_refuses_wrong_shapes():
    with pytest.raises(ValueError, match="one-dimensional"):
        mean_interval(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="codes"):
        mean_interval([1.0, 2.0], codes=np.array([0]))


def test_cluster_error_is_millers_formula():
    values, names = [1.0, 0.0, 1.0, 1.0, 0.0], ["a", "a", "b", "c", "c"]
    mean = sum(values) / 5
    by_hand = (
        math.sqrt(sum(sum(v - mean for v, n in zip(values, names, strict=True) if n == c) ** 2 for c in "abc")) / 5
    )
    assert cluster_standard_error(values, cluster_codes(names)) == pytest.approx(by_hand, abs=1e-15)
    assert math.isnan(cluster_standard_error([], np.zeros(0, dtype=np.int64)))


def test_clusters_of_one_give_the_plain_interval():
    values = np.random.default_rng(0).random(12)
    assert mean_interval(values, codes=np.arange(12)) == pytest.approx(mean_interval(values), abs=1e-12)


def test_cluster_codes():
    assert cluster_codes(["x", "y", "x"]).tolist() == [0, 1, 0]
    assert cluster_codes(["x", None, "x", None]).tolist() == [0, 1, 0, 2]
    assert cluster_codes(["x", "y"]) is None
    assert cluster_codes([None, None]) is None
    with pytest.raises(TypeError, match="not a str"):
        cluster_codes("xyx")


def test_cluster_wilson_is_wider_where_clusters_agree_and_never_of_width_zero():
    values, codes = np.repeat([1.0, 0.0, 1.0, 1.0], 10), np.repeat(np.arange(4), 10)
    plain, clustered = wilson(30, 40), cluster_wilson(values, codes)
    assert clustered.low < plain.low < plain.high < clustered.high
    all_right = cluster_wilson(np.ones(40), codes)
    assert all_right.high == 1.0
    assert all_right.low < wilson(4, 4).low
    assert all(map(math.isnan, cluster_wilson([1.0, 0.0], np.array([0, 0]))))


def test_the_leaning_interval_by_hand():
    """Wilson's formula at the effective size, with a tenth of an answer at each end times the other's weight."""
    x = np.array([1, 1, 1, 1, 1, 1, 1, 0.5, 0.8, 0.0])
    n, p, spread = 10, x.mean(), x.var() / (x.mean() * (1 - x.mean()))
    low_weight, high_weight = 0.1 * max(0.7, spread * p), 0.1 * max(0.1, spread * (1 - p))
    total = n + low_weight + high_weight
    m = (x.sum() + high_weight) / total
    squares = ((x - m) ** 2).sum() + low_weight * m**2 + high_weight * (1 - m) ** 2
    size = m * (1 - m) / (squares / (total * (total - 1)))
    t = scipy_stats.t.ppf(0.975, n - 1)
    centre = (m + t * t / (2 * size)) / (1 + t * t / size)
    half = t * math.sqrt(m * (1 - m) / size + t * t / (4 * size * size)) / (1 + t * t / size)
    assert bounded_mean_interval(x, (0, 1)) == pytest.approx((centre - half, centre + half), abs=1e-12)


def test_zeros_and_ones_are_near_wilson():
    """A little wider, for the t quantile."""
    for right in (0, 1, 15, 28, 30):
        found, plain = bounded_mean_interval(np.arange(30) < right, (0, 1)), wilson(right, 30)
        assert found == pytest.approx(plain, abs=0.02)
        assert found.low <= plain.low + 1e-3
        assert found.high >= plain.high - 1e-3


def test_in_the_middle_it_is_students():
    values = np.random.default_rng(0).beta(30, 30, 400)
    assert bounded_mean_interval(values, (0, 1)) == pytest.approx(mean_interval(values), abs=2e-5)


@given(
    st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=2, max_size=30),
    st.integers(1, 4),
    st.sampled_from([(0.0, 1.0), (-3.0, 5.0), (0.0, 100.0)]),
)
def test_bounded_intervals_keep_their_promises(values, size, bounds):
    low, high = bounds
    array = low + (high - low) * np.array(values)
    array = np.clip(array, low, high)
    codes = np.arange(array.size) // size
    found = bounded_mean_interval(array, bounds, codes=codes)
    if codes.max() < 1:
        assert all(map(math.isnan, found))
        return
    slack = 1e-9 * (high - low)
    assert low - slack <= found.low <= array.mean() + slack
    assert array.mean() - slack <= found.high <= high + slack
    # The other way round it is its mirror image.
    mirrored = bounded_mean_interval(low + high - array, bounds, codes=codes)
    assert (low + high - mirrored.high, low + high - mirrored.low) == pytest.approx(found, abs=1e-6 * (high - low))
    # Clusters of one sample each are no clusters.
    alone = bounded_mean_interval(array, bounds, codes=np.arange(array.size))
    assert alone == pytest.approx(bounded_mean_interval(array, bounds), abs=1e-9 * (high - low))


def test_in_clusters_error_and_freedom_are_those_of_the_clusters():
    rng = np.random.default_rng(6)
    codes = np.repeat(np.arange(9), rng.integers(1, 8, 9))
    values = np.clip(rng.beta(4, 2, 9)[codes] + rng.normal(0, 0.05, codes.size), 0.01, 0.99)
    found = cluster_spread(values, codes)
    p = values.mean()
    expected = leaning_interval(
        p,
        found.error**2,
        9,
        (0, 1),
        spread=max(values.var() / (p * (1 - p)), 3 / 9),
        freedom=found.freedom,
        lean=lean_of(found.sums * 9 / values.size),
    )
    assert bounded_mean_interval(values, (0, 1), codes=codes) == pytest.approx(expected, abs=1e-12)
    assert found.error**2 > 1.5 * values.var(ddof=1) / values.size
    assert found.freedom < 7


def test_few_clusters_that_are_all_alike_leave_room_for_others():
    """Six clusters near one end, in none of which a low value was drawn, do not exclude that one in ten is low."""
    rng = np.random.default_rng(2)
    values, codes = rng.uniform(0.96, 0.99, 30), np.arange(30) // 5
    p = values.mean()
    found = bounded_mean_interval(values, (0, 1), codes=codes)
    assert found.low < 0.9 < p < found.high
    # That some may be low is no reason for the upper end to reach further.
    assert found.high < p + 3 * values.std()
    # Where there are many, those that were not seen are few.
    many, codes = rng.uniform(0.96, 0.99, 1000), np.arange(1000) // 5
    assert bounded_mean_interval(many, (0, 1), codes=codes).low > 0.97


def test_the_lean_of_zeros_and_ones_is_the_slope_of_their_variance():
    values = np.arange(100) < 90
    shrunk = 100 / 106
    assert lean_of(values - 0.9) == pytest.approx(shrunk * (1 - 2 * 0.9) / (0.9 * 0.1))
    assert lean_of((values - 0.9) * 50) == pytest.approx(shrunk * (1 - 2 * 0.9) / (0.9 * 0.1) / 50)
    assert lean_of(np.zeros(5)) == lean_of(np.zeros(0)) == 0.0


def test_skewness_beyond_that_of_the_scale_reaches_further_on_its_side():
    """Scores of .99 with a few of .3 on a scale of 0 to 1: a mean of .97 has a longer lower tail than shares have."""
    plain = leaning_interval(0.97, 1e-4, 60, (0, 1))
    for lean in (-5.0, -20.0, 0.9 * (1 / 0.97 - 1 / 0.03), 0.0):
        # No more than the scale's own, and opposite skewness below: nothing changes.
        assert leaning_interval(0.97, 1e-4, 60, (0, 1), lean=lean) == plain
    steep = [leaning_interval(0.97, 1e-4, 60, (0, 1), lean=lean) for lean in (-40, -60, -120)]
    lows = [found.low for found in (plain, *steep)]
    assert lows == sorted(lows, reverse=True)
    assert len(set(lows)) == 4
    assert all(found.high == plain.high for found in steep)
    # Skewness that is next to none is next to no change, whatever the scale's own.
    for value in (0.1, 0.5, 0.9):
        without = leaning_interval(value, 1e-3, 60, (0, 1))
        for lean in (-1e-9, 1e-9):
            assert leaning_interval(value, 1e-3, 60, (0, 1), lean=lean) == pytest.approx(without, abs=1e-9)


def test_clusters_never_narrow_the_interval():
    values = np.tile([0.0, 1.0], 20)
    codes = np.arange(40) // 2  # every cluster has one of each
    plain, clustered = bounded_mean_interval(values, (0, 1)), bounded_mean_interval(values, (0, 1), codes=codes)
    assert clustered.high - clustered.low >= plain.high - plain.low


def test_degenerate_bounded_means():
    assert bounded_mean_interval([0.1] * 10, (0, 1)) == (0.1, 0.1)
    assert bounded_mean_interval([1.0] * 10, (0, 1)).low < 0.75
    assert all(map(math.isnan, bounded_mean_interval([0.5], (0, 1))))
    assert all(map(math.isnan, bounded_mean_interval([], (0, 1))))
    assert all(map(math.isnan, leaning_interval(math.nan, 0.1, 9, (0, 1))))
    assert all(map(math.isnan, leaning_interval(0.5, 0.1, 1, (0, 1))))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounded_mean_interval([0.5, 1.5], (0, 1)), "between the bounds"),
        (lambda: bounded_mean_interval([0.5, math.nan], (0, 1)), "between the bounds"),
        (lambda: bounded_mean_interval([0.5, 0.6], (1, 1)), "ascending"),
        (lambda: bounded_mean_interval([0.5, 0.6], (0, math.inf)), "finite"),
        (lambda: bounded_mean_interval([[0.5, 0.6]], (0, 1)), "one-dimensional"),
        (lambda: bounded_mean_interval([0.5, 0.6], (0, 1), codes=np.array([1])), "codes"),
        (lambda: leaning_interval(0.5, 0.1, 9, (1, 0)), "ascending"),
        (lambda: leaning_interval(0.5, 0.1, 9, (0, 1), confidence=95), "confidence"),
    ],
)
def test_bounded_intervals_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("mean", "n"), [(0.97, 30), (0.97, 100), (0.9, 30)])
def test_bounded_means_cover_where_students_do_not(mean, n):
    """Scores that are mostly 1 and else anywhere between 0 and 1."""
    rng = np.random.default_rng(12)
    draws = [np.where(rng.random(n) < 2 * mean - 1, 1.0, rng.random(n)) for _ in range(1500)]
    found, plain = ([f(x) for x in draws] for f in (lambda x: bounded_mean_interval(x, (0, 1)), mean_interval))
    assert 0.93 < np.mean([low <= mean <= high for low, high in found]) < 0.99
    assert np.mean([low <= mean <= high for low, high in plain]) < 0.93


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.5, 0.9, 0.97])
def test_wilson_covers(p):
    rng = np.random.default_rng(11)
    found = [wilson(x, 30) for x in rng.binomial(30, p, size=4000)]
    # At n = 30 and p = .97 the normal interval covers 59 % (SCIENCE: uncertainty).
    assert np.mean([low <= p <= high for low, high in found]) > 0.92


def _clustered(rng, *, n_clusters, size, share):
    """0/1 answers, and scores, that clusters share: a cluster's own rate is Beta with mean `share`."""
    rates = rng.beta(2 * share, 2 * (1 - share), size=n_clusters)
    return (rng.random((n_clusters, size)) < rates[:, None]).astype(float).ravel(), np.repeat(
        np.arange(n_clusters), size
    )


@pytest.mark.slow
@pytest.mark.parametrize(("n_clusters", "share"), [(15, 0.6), (40, 0.9)])
def test_clustered_intervals_cover(n_clusters, share):
    rng = np.random.default_rng(5)
    hits = {"wilson": 0, "cluster_wilson": 0, "mean": 0}
    for _ in range(1500):
        values, codes = _clustered(rng, n_clusters=n_clusters, size=10, share=share)
        for name, (low, high) in {
            "wilson": wilson(values.sum(), values.size),
            "cluster_wilson": cluster_wilson(values, codes),
            "mean": mean_interval(values, codes=codes),
        }.items():
            hits[name] += low <= share <= high
    assert hits["wilson"] / 1500 < 0.85  # what ignoring clusters costs
    assert hits["cluster_wilson"] / 1500 > 0.925
    assert hits["mean"] / 1500 > 0.90


def _unequal(rng, *, n_clusters, share, correlation):
    """Clusters of 1 to some 30 samples, most of them small, with a rate of right answers of their own."""
    sizes = np.maximum(1, np.round(5 * np.exp(rng.normal(-0.5, 1.0, n_clusters)))).astype(int)
    both = 1 / correlation - 1
    rates = np.repeat(rng.beta(share * both, (1 - share) * both, n_clusters), sizes)
    return (rng.random(rates.size) < rates).astype(float), np.repeat(np.arange(n_clusters), sizes)


@pytest.mark.slow
@pytest.mark.parametrize(("n_clusters", "share"), [(20, 0.5), (60, 0.9)])
def test_clusters_of_very_different_sizes_are_covered(n_clusters, share):
    """As though they were of one size, with C − 1 degrees of freedom, they were in 91 to 92 of 100 draws."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(1500):
        values, codes = _unequal(rng, n_clusters=n_clusters, share=share, correlation=0.3)
        low, high = bounded_mean_interval(values, (0, 1), codes=codes)
        held += low <= share <= high
    assert 0.93 < held / 1500 < 0.99


@pytest.mark.slow
def test_rare_low_scores_in_clusters_are_covered():
    """About .99 and about .3, in 60 clusters: the scale alone leans too little, and 91 of 100 held the truth."""
    rng = np.random.default_rng(8)
    held, codes = 0, np.repeat(np.arange(60), 5)
    for _ in range(1500):
        rates = np.repeat(rng.beta(2.266, 0.068, 60), 5)
        values = np.where(rng.random(300) < rates, 0.99, 0.3) + rng.uniform(-0.005, 0.005, 300)
        low, high = bounded_mean_interval(values, (0, 1), codes=codes)
        held += low <= 0.3 + 0.69 * 2.266 / 2.334 <= high
    assert 0.93 < held / 1500 < 0.99

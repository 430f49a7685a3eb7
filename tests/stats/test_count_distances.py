import math
import warnings
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from evalharness.stats import count_distances as d
from evalharness.stats.sorted_distances import largest_gap, moved


def _tables(seed, n, m):
    """Values without ties, and their counts over the distinct values."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(0.3, 1.2, size=m)
    values = np.sort(np.concatenate([x, y]))
    return x, y, np.isin(values, x).astype(float), np.isin(values, y).astype(float), values


@pytest.mark.parametrize(("n", "m"), [(40, 40), (13, 70), (5, 2)])
def test_without_ties_the_ordered_statistics_are_scipys(n, m):
    x, y, a, b, values = _tables(n, n, m)
    assert d.ks(a, b) == pytest.approx(stats.ks_2samp(x, y).statistic)
    assert d.cramer_von_mises(a, b) == pytest.approx(stats.cramervonmises_2samp(x, y).statistic)
    assert d.wasserstein(a, b, values) == pytest.approx(stats.wasserstein_distance(x, y))
    energy = np.sqrt(2 * (np.diff(values) * d.cdf_gaps(a, b) ** 2).sum())
    assert energy == pytest.approx(stats.energy_distance(x, y))


def _scholz_stephens(x, y):
    """Equation 6 as it stands, in loops."""
    pooled = sorted([*x, *y])
    total, found = len(pooled), 0.0
    for sample in (x, y):
        inner = 0.0
        for j in range(1, total):
            below = sum(v <= pooled[j - 1] for v in sample)
            inner += (total * below - j * len(sample)) ** 2 / (j * (total - j))
        found += inner / len(sample)
    return found / total


def test_anderson_darling_is_scholz_and_stephens_and_scipys_once_standardised():
    x, y, a, b, _ = _tables(5, 25, 40)
    ours = float(d.anderson_darling(a, b))
    assert ours == pytest.approx(_scholz_stephens(x, y))
    with warnings.catch_warnings():
        # Of its p-values, which are not asked for.
        warnings.simplefilter("ignore")
        theirs = [stats.anderson_ksamp([x, y + s], midrank=False).statistic for s in (0.0, 0.4)]
    x2, y2 = x, y + 0.4
    values = np.sort(np.concatenate([x2, y2]))
    other = float(d.anderson_darling(np.isin(values, x2).astype(float), np.isin(values, y2).astype(float)))
    # Standardising is (A² − 1)/σ with one σ for these sizes.
    assert (ours - 1) / theirs[0] == pytest.approx((other - 1) / theirs[1])


def test_shares_against_scipy_and_plain_loops():
    rng = np.random.default_rng(0)
    x, y = rng.multinomial(300, [0.5, 0.3, 0.1, 0.1]), rng.multinomial(200, [0.4, 0.3, 0.2, 0.1])
    p, q = x / x.sum(), y / y.sum()
    table = np.stack([x, y])
    assert d.chi_square(x, y) == pytest.approx(stats.chi2_contingency(table, correction=False)[0])
    assert d.g_statistic(x, y) == pytest.approx(stats.chi2_contingency(table, correction=False, lambda_=0)[0])
    assert d.jensen_shannon(x, y) == pytest.approx(jensenshannon(p, q, base=2))
    assert d.hellinger(x, y) == pytest.approx(math.sqrt(1 - sum(math.sqrt(a * b) for a, b in zip(p, q, strict=True))))
    assert d.psi(x, y) == pytest.approx(sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True)))


def test_a_level_that_is_empty_on_one_side():
    x, y = np.array([50.0, 50.0, 0.0, 0.0]), np.array([40.0, 40.0, 20.0, 0.0])
    half = 0.5 / 100
    plain = 2 * (0.5 - 0.4) * math.log(0.5 / 0.4) + (half - 0.2) * math.log(half / 0.2)
    assert d.psi(x, y) == pytest.approx(plain)
    assert d.jensen_shannon(x, y) == pytest.approx(jensenshannon(x / 100, y / 100, base=2))
    assert d.chi_square(x, y) == pytest.approx(stats.chi2_contingency([x[:3], y[:3]], correction=False)[0])


@pytest.mark.parametrize("name", ["ks", "cramer_von_mises", "anderson_darling", "chi_square", "g_statistic"])
@given(data=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=12))
def test_symmetric_reversible_and_vectorised(name, data):
    x, y = np.array(data, dtype=float).T
    if not (x.sum() and y.sum()):
        return
    f = getattr(d, name)
    here = float(f(x, y))
    assert here >= 0
    assert f(y, x) == pytest.approx(here, abs=1e-9)
    assert f(x[::-1], y[::-1]) == pytest.approx(here, abs=1e-9)
    assert f(x, 3 * x) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(f(np.stack([x, y]), np.stack([y, x])), [here, here], atol=1e-9)


@pytest.mark.parametrize("name", ["ks", "psi", "jensen_shannon", "hellinger", "chi_square", "g_statistic"])
def test_no_rows_are_nan(name):
    assert np.isnan(getattr(d, name)(np.zeros(3), np.ones(3)))


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=30), st.lists(st.integers(-5, 5), min_size=2, max_size=30))
def test_sorted_samples_against_scipy_with_ties(x, y):
    x, y = np.sort(np.array(x, float)), np.sort(np.array(y, float))
    assert largest_gap(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic)
    with mock.patch("evalharness.stats.sorted_distances._BLOCK", 4):  # ties across the ends of blocks
        assert largest_gap(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic)
    assert moved(x, y) == pytest.approx(stats.wasserstein_distance(x, y))


def test_bins_are_merged_to_about_equal_shares_and_heavy_ones_stay():
    pooled = np.full(64, 10.0)
    places = d.merged_bins(pooled, 8)
    np.testing.assert_array_equal(np.bincount(places, weights=pooled), np.full(8, 80.0))
    pooled[5] = 1000.0
    places = d.merged_bins(pooled, 8)
    assert (places == places[5]).sum() == 1
    assert (np.diff(places) >= 0).all()
    assert set(np.diff(places)) <= {0, 1}
    np.testing.assert_array_equal(d.merged_bins(np.ones(3), 8), [0, 1, 2])


def test_normal_scores_are_those_of_the_mid_ranks():
    np.testing.assert_allclose(d.normal_scores(np.array([25.0, 50.0, 25.0])), stats.norm.ppf([0.125, 0.5, 0.875]))

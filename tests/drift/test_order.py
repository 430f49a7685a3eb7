import math
import warnings

import numpy as np
import pytest
from scipy import stats
from windows import make

from evalharness.drift.base import Counts, Rows
from evalharness.drift.defaults import make_test


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(12)
    return rng.normal(size=120), rng.normal(0.35, 1.1, size=90)


def test_ks_is_scipys(samples):
    x, y = samples
    theirs = stats.ks_2samp(x, y, method="exact")
    found = make_test("ks").compare(Rows(x), Rows(y), seed=0)
    assert found.statistic == found.effect == pytest.approx(theirs.statistic)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=0.5)
    assert found.effect_low <= theirs.statistic <= found.effect_high


def test_ks_of_many_rows_is_kolmogorovs_limit():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=5000), rng.normal(0.06, 1, size=4000)
    found = make_test("ks").compare(Rows(x), Rows(y), seed=0)
    theirs = stats.ks_2samp(x, y, method="asymp")
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=0.1)
    assert found.detail["law"] == "Kolmogorov's limit"


def test_cramer_von_mises_is_scipys(samples):
    x, y = samples
    theirs = stats.cramervonmises_2samp(x, y, method="asymptotic")
    found = make_test("cramer_von_mises").compare(Rows(x), Rows(y), seed=0)
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=0.5)


def test_anderson_darling_is_scipys_p_value():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=150), rng.normal(0.28, 1, size=130)
    method = stats.PermutationMethod(n_resamples=1500, rng=np.random.default_rng(0))
    with warnings.catch_warnings():
        # Newer versions ask for another name of the same argument.
        warnings.simplefilter("ignore")
        permuted = stats.anderson_ksamp([x, y], midrank=False, method=method)
    found = make_test("anderson_darling").compare(Rows(x), Rows(y), seed=0)
    assert found.p_value == pytest.approx(permuted.pvalue, rel=0.6)


def test_its_effect_is_mann_and_whitneys(samples):
    x, y = samples
    found = make_test("anderson_darling").compare(Rows(x), Rows(y), seed=0)
    u = stats.mannwhitneyu(y, x).statistic / (len(x) * len(y))
    assert found.effect == pytest.approx(u - 0.5)
    se = math.sqrt(1 / 12 * (1 / 120 + 1 / 90))
    assert found.effect_high - found.effect == pytest.approx(1.96 * se, rel=0.1)


def test_distances_are_scipys_in_standard_deviations(samples):
    x, y = samples
    found = make_test("wasserstein").compare(Rows(x), Rows(y), seed=0)
    assert found.effect == pytest.approx(stats.wasserstein_distance(x, y) / x.std())
    found = make_test("energy").compare(Rows(x), Rows(y), seed=0)
    assert found.effect == pytest.approx(stats.energy_distance(x / x.std(), y / x.std()))


@pytest.mark.parametrize("name", ["ks", "cramer_von_mises", "anderson_darling", "wasserstein", "energy", "omnibus"])
def test_bins_find_nearly_what_rows_find(name):
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=4000), rng.normal(0.08, 1, size=3000)
    edges = np.quantile(x, np.linspace(0, 1, 65)[1:-1])
    middles = np.concatenate([[edges[0] - 0.3], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 0.3]])
    counts = [
        Counts(np.bincount(np.searchsorted(edges, v), minlength=64), order=True, positions=middles) for v in (x, y)
    ]
    test = make_test(name)
    binned, exact = test.compare(*counts, seed=0), test.compare(Rows(x), Rows(y), seed=0)
    assert binned.effect == pytest.approx(exact.effect, rel=0.15)
    assert math.log(binned.p_value) == pytest.approx(math.log(exact.p_value), rel=0.35)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ks", "cramer_von_mises", "anderson_darling", "wasserstein", "energy", "omnibus", "mean"]
)
def test_the_smallest_effect_is_found_four_times_in_five(name):
    test, rows = make_test(name), 400
    needed = test.smallest_effect(rows, rows, 0.05)
    # What a shift by one standard deviation of a normal column has of the effect, near 0.
    unit = {"ks": 0.3989, "cramer_von_mises": 0.3031, "anderson_darling": 0.2821, "energy": 0.7511, "omnibus": 0.3989}
    shift = needed / unit.get(name, 1.0)
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 3])
        windows = make(test, test.takes[0], rng.normal(size=rows), rng.normal(shift, 1, size=rows))
        hits += test.compare(*windows, seed=seed).p_value <= 0.05
    # Two and a half standard errors about 48.
    assert 40 <= hits <= 56


def test_windows_must_match():
    test = make_test("ks")
    with pytest.raises(ValueError, match="same bins; the reference has 2, the current one 3"):
        test.compare(Counts(np.ones(2)), Counts(np.ones(3)), seed=0)
    with pytest.raises(TypeError, match="same shape; got Counts and Rows"):
        test.compare(Counts(np.ones(2)), Rows(np.ones(3)), seed=0)
    with pytest.raises(ValueError, match="single numbers"):
        test.compare(Rows(np.ones((3, 2))), Rows(np.ones((3, 2))), seed=0)


def test_counts_must_be_counts():
    for bad in ([-1.0, 2.0], [[1.0]], [np.nan]):
        with pytest.raises(ValueError, match="0 or more"):
            Counts(np.array(bad))
    with pytest.raises(ValueError, match="groups must have 2 columns"):
        Counts(np.ones(2), groups=np.ones((4, 3)))


def test_one_window_with_clusters_and_one_without():
    rng = np.random.default_rng(3)
    groups = rng.multinomial(20, np.full(8, 1 / 8), size=64).astype(float)
    known = Counts(groups.sum(axis=0), groups, order=True)
    plain = Counts(rng.multinomial(3000, np.full(8, 1 / 8)), order=True)
    for name in ("ks", "anderson_darling", "chi_square", "omnibus", "wasserstein"):
        found = make_test(name).compare(plain, known, seed=0)
        assert 0.01 < found.p_value <= 1
        assert found.detail["law"] == "clusters"

import numpy as np
import pytest
from scipy import stats

from evalharness.stats.monte_carlo import hypergeometric_tables, sequential_p


def _normal(seed):
    rng = np.random.default_rng(seed)
    return lambda size: rng.standard_normal(size)


def test_a_column_that_has_not_moved_is_cheap():
    found = sequential_p(0.0, _normal(0))
    assert found.draws < 80
    assert found.exceedances == 20
    assert found.p_value == 20 / found.draws


def test_the_last_exceedance_ends_the_count():
    # One draw in four reaches it: the 20th is number 80.
    found = sequential_p(1.0, lambda size: np.tile([0.0, 0.0, 0.0, 1.0], size // 4))
    assert found.draws == 80
    assert found.p_value == 0.25


def test_the_p_values_under_the_null_are_valid():
    rng = np.random.default_rng(1)
    p = np.array(
        [sequential_p(float(rng.standard_normal()), _normal(s), stop=5, most=199).p_value for s in range(2000)]
    )
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / 2000)


def test_beyond_the_draws_the_law_is_fitted_and_never_zero():
    rng = np.random.default_rng(2)
    found = sequential_p(25.0, lambda size: rng.chisquare(3, size))
    assert found.fitted
    assert found.exceedances == 0
    assert found.p_value == pytest.approx(stats.chi2(3).sf(25.0), rel=1.5)
    far = sequential_p(1e4, lambda size: rng.chisquare(3, size))
    assert 0 < far.p_value < 1e-100
    assert far.draws < 9_999


def test_draws_that_do_not_vary_give_the_count():
    found = sequential_p(1.0, lambda size: np.zeros(size), most=99)
    assert found.p_value == 1 / 100
    assert not found.fitted


def test_equal_statistics_count_although_rounding_differs():
    assert sequential_p(0.3, lambda size: np.full(size, 0.1 + 0.2 - 1e-12)).p_value == 1.0


def test_nan_stays_nan():
    assert np.isnan(sequential_p(float("nan"), _normal(0)).p_value)


def test_tables_keep_their_sums_and_have_the_hypergeometric_mean():
    pooled = np.array([30.0, 0.0, 5.0, 65.0])
    tables = hypergeometric_tables(pooled, 40, seed=1)(4000)
    assert (tables.sum(axis=1) == 40).all()
    assert (tables <= pooled).all()
    np.testing.assert_allclose(tables.mean(axis=0), pooled * 0.4, atol=0.15)
    expected = stats.multivariate_hypergeom([30, 5, 65], 40).cov().diagonal()
    np.testing.assert_allclose(tables.var(axis=0)[[0, 2, 3]], expected, rtol=0.1)

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special
from statsmodels.stats.proportion import proportion_effectsize

from evalharness.stats.effects import cohens_d, cohens_h, hedges_g, odds_ratio


def test_d_is_the_mean_in_standard_deviations():
    values = np.random.default_rng(0).normal(0.4, 2, 25)
    assert cohens_d(values) == pytest.approx(values.mean() / values.std(ddof=1), rel=1e-12)


@pytest.mark.parametrize("n", [3, 5, 12, 400])
def test_g_is_hedges_exact_correction(n):
    values = np.random.default_rng(n).normal(0.4, 2, n)
    m = n - 1
    factor = special.gamma(m / 2) / (math.sqrt(m / 2) * special.gamma((m - 1) / 2)) if n < 300 else 1 - 3 / (4 * m - 1)
    assert hedges_g(values) == pytest.approx(cohens_d(values) * factor, rel=1e-5)


def test_g_is_unbiased_where_d_is_not():
    draws = np.random.default_rng(1).normal(0.5, 1, (20_000, 6))
    assert np.mean([hedges_g(row) for row in draws]) == pytest.approx(0.5, abs=0.015)
    assert np.mean([cohens_d(row) for row in draws]) > 0.57


@pytest.mark.parametrize(("p1", "p2"), [(0.3, 0.5), (0.0, 1.0), (0.97, 0.95), (0.2, 0.2)])
def test_h_equals_statsmodels(p1, p2):
    assert cohens_h(p1, p2) == pytest.approx(proportion_effectsize(p1, p2), abs=1e-12)


def test_odds_ratio():
    # Breslow and Day 1980, section 5.2: the Leisure World study, 29 against 3 pairs, gives 9.67.
    assert odds_ratio(29, 3) == pytest.approx(9.67, abs=5e-3)
    assert odds_ratio(3, 0) == math.inf
    assert odds_ratio(0, 3) == 0
    assert math.isnan(odds_ratio(0, 0))


@pytest.mark.parametrize("values", [[], [1.0], [0.1] * 5])
def test_no_spread_no_effect_size(values):
    assert math.isnan(cohens_d(values))
    assert math.isnan(hedges_g(values))


def test_two_differences_have_no_g():
    assert math.isnan(hedges_g([1.0, 2.0]))
    assert math.isnan(cohens_h(math.nan, 0.5))


def test_refuses():
    with pytest.raises(ValueError, match="one-dimensional"):
        cohens_d([[1.0, 2.0]])
    with pytest.raises(ValueError, match="between 0 and 1"):
        cohens_h(1.2, 0.5)
    with pytest.raises(ValueError, match="count pairs"):
        odds_ratio(-1, 2)

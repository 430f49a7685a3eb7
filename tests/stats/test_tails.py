from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from evalharness.stats.tails import (
    binomial_at_most,
    normal_above,
    normal_probability,
    normal_quantile,
    t_probability,
    t_quantile,
)

PROBABILITIES = (1e-9, 0.0005, 0.005, 0.025, 0.1, 0.4, 0.5, 0.51, 0.75, 0.9, 0.95, 0.975, 0.9995, 1 - 1e-9)


@pytest.mark.parametrize("df", [0.3, 0.5, 1, 1.5, 2, 2.5, 3, 5, 10, 29, 99, 999, 4999, 5000, 20_000, 1e6, 1e9])
def test_t_quantiles_are_scipy_s(df):
    for probability in PROBABILITIES:
        assert t_quantile(probability, df) == pytest.approx(special.stdtrit(df, probability), rel=1e-10, abs=1e-12)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.5, 1e5))
def test_the_t_distribution_at_its_quantile_is_the_probability(probability, df):
    assert special.stdtr(df, t_quantile(probability, df)) == pytest.approx(probability, rel=1e-9)


def test_a_table_of_t():
    # Abramowitz and Stegun 1964, table 26.10.
    table = {(0.975, 1): 12.706, (0.975, 4): 2.776, (0.995, 10): 3.169, (0.95, 30): 1.697, (0.975, 120): 1.980}
    for (probability, df), expected in table.items():
        assert t_quantile(probability, df) == pytest.approx(expected, abs=5e-4)


@given(st.floats(1e-12, 1 - 1e-12))
def test_normal_quantiles_are_scipy_s(probability):
    assert normal_quantile(probability) == pytest.approx(special.ndtri(probability), rel=1e-12, abs=1e-12)


@given(st.floats(-30, 30))
def test_normal_probabilities_are_scipy_s(z):
    assert normal_probability(z) == pytest.approx(special.ndtr(z), rel=1e-12)


def test_many_normal_tails_at_once():
    z = np.linspace(-30, 30, 600).reshape(3, 200)
    np.testing.assert_allclose(normal_above(z), special.ndtr(-z), rtol=1e-12)


@given(st.floats(-60, 60), st.floats(0.5, 1e5))
def test_t_probabilities_are_scipy_s(t, df):
    assert t_probability(t, df) == pytest.approx(special.stdtr(df, t), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("df", [1, 2, 1e6, 3e7, 1e12])
def test_t_probabilities_at_the_ends(df):
    for t in (-6.0, -1.0, 0.0, 0.3, 4.0):
        assert t_probability(t, df) == pytest.approx(special.stdtr(df, t), rel=1e-6)
    assert t_probability(np.inf, df) == 1.0
    assert t_probability(-np.inf, df) == 0.0


@pytest.mark.parametrize("n", [1, 2, 3, 20, 71, 72, 500, 12_345, 200_000])
@pytest.mark.parametrize("probability", [1e-6, 0.001, 0.05, 0.5, 0.77, 0.95, 0.999999])
def test_binomial_probabilities_are_scipy_s(n, probability):
    found = binomial_at_most(n, probability)
    expected = special.bdtr(np.arange(n, dtype=float), n, probability)
    assert found.shape == (n,)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)


def test_binomial_probabilities_by_counting():
    n, p = 7, 0.3
    each = [math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n)]
    np.testing.assert_allclose(binomial_at_most(n, p), np.cumsum(each), rtol=1e-13)

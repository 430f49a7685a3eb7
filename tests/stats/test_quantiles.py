from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.quantiles import quantile_interval, weighted_quantile

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(VALUES, st.floats(0, 1))
def test_equals_numpy(values, q):
    expected = np.quantile(values, q)
    assert weighted_quantile(values, q) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(st.data(), VALUES, st.floats(0, 1))
def test_whole_weights_repeat_values(data, values, q):
    weights = data.draw(st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values)).filter(any))
    expected = np.quantile(np.repeat(values, weights), q)
    assert weighted_quantile(values, q, weights) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_rows_of_weights_at_once():
    values, weights = [3.0, 1.0, 2.0], np.array([[[1, 1, 1], [0, 0, 5]], [[2, 0, 1], [0, 0, 0]]])
    found = weighted_quantile(values, 0.5, weights)
    assert found.shape == (2, 2)
    assert found[0].tolist() == [2.0, 2.0]
    assert found[1, 0] == 3.0
    assert math.isnan(found[1, 1])


def test_nothing_and_nan():
    assert math.isnan(weighted_quantile([], 0.5))
    assert weighted_quantile([math.nan, 4.0], 0.9) == 4.0
    assert np.isnan(weighted_quantile([math.nan], 0.5, np.ones((3, 1)))).all()


def test_refuses():
    with pytest.raises(ValueError, match="q must"):
        weighted_quantile([1.0], 1.5)
    with pytest.raises(ValueError, match="one-dimensional"):
        weighted_quantile(np.zeros((2, 2)), 0.5)
    with pytest.raises(ValueError, match="weights"):
        weighted_quantile([1.0, 2.0], 0.5, [1.0])
    with pytest.raises(ValueError, match="q and confidence"):
        quantile_interval([1.0], 0.0)


def test_interval_of_a_median_is_the_sign_test_s():
    # n = 20: P(Bin(20, ½) <= 5) = 0.0207 and P(<= 6) = 0.0577, so order statistics 6 and 15 (Hahn and Meeker 1991).
    assert quantile_interval(np.arange(1.0, 21.0), 0.5) == (6.0, 15.0)


def test_open_sides():
    assert quantile_interval(np.arange(71.0), 0.95).high == math.inf
    assert quantile_interval(np.arange(72.0), 0.95).high == 71.0
    assert quantile_interval([1.0, 2.0], 0.5) == (-math.inf, math.inf)
    assert all(map(math.isnan, quantile_interval([], 0.5)))


@pytest.mark.slow
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_covers_whatever_the_distribution(q):
    rng = np.random.default_rng(1)
    truth = float(np.exp(1.5 * np.sqrt(2) * _erfinv(2 * q - 1)))
    found = [quantile_interval(rng.lognormal(0, 1.5, size=150), q) for _ in range(1500)]
    assert 0.945 < np.mean([low < truth < high for low, high in found]) < 0.99


def _erfinv(x):
    from scipy.special import erfinv

    return erfinv(x)

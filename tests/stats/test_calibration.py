from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats as scipy_stats
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.calibration import calibration_interval, equal_mass_error
from evalharness.stats.intervals import wilson
from evalharness.stats.leaning import leaning_interval


def plain(confidence, correct, bins):
    """`numpy.array_split` of the samples in the order of their confidence."""
    parts = np.array_split(np.argsort(confidence), bins)
    return sum(abs(sum(confidence[i] - correct[i] for i in part)) for part in parts) / len(confidence)


@pytest.mark.parametrize("n", [1, 7, 15, 16, 100])
@pytest.mark.parametrize("bins", [1, 4, 15])
def test_against_the_plain_twin(n, bins):
    rng = np.random.default_rng(n)
    confidence, correct = rng.random(n), rng.integers(0, 2, n).astype(float)
    assert float(equal_mass_error(confidence, correct, bins=bins)) == pytest.approx(
        plain(confidence, correct, bins), abs=1e-12
    )


def test_weights_are_repetitions_and_order_does_not_matter():
    rng = np.random.default_rng(1)
    confidence, correct = rng.integers(5, 10, 30) / 10, rng.integers(0, 2, 30).astype(float)
    weights = rng.integers(0, 4, (2, 3, 30))
    found = equal_mass_error(confidence, correct, weights, bins=6)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        repeated = rng.permutation(np.repeat(np.arange(30), weights[place]))
        again = equal_mass_error(confidence[repeated], correct[repeated], bins=6)
        assert found[place] == pytest.approx(float(again), abs=1e-12)


def test_nothing():
    assert math.isnan(equal_mass_error([], []))
    assert np.isnan(equal_mass_error([0.5], [1.0], np.zeros((2, 1)))).all()
    with pytest.raises(ValueError, match="must go together"):
        equal_mass_error([0.5], [1.0, 0.0])


def test_the_lower_bound_is_that_of_the_error_less_what_chance_adds():
    """The mean of a folded normal is scipy's."""
    n, said, right = np.array([40.0, 60.0, 0.0]), np.array([24.0, 54.0, 0.0]), np.array([12.0, 36.0, 0.0])
    share = (right[:2] + 1) / (n[:2] + 2)
    s = np.sqrt(n[:2] * share * (1 - share))
    d = np.maximum(np.abs(said - right)[:2] - 2 * s, 0)
    added = sum(scipy_stats.foldnorm.mean(a / b, scale=b) - a for a, b in zip(d, s, strict=True))
    value = (12 + 18) / 100
    low, high = calibration_interval(n, said, right, 0.002)
    assert high == leaning_interval(value, 0.002, 100, (0, 1)).high
    assert low == pytest.approx(leaning_interval(value - added / 100, 0.002, 100, (0, 1)).low, abs=1e-12)
    assert 0 < low < leaning_interval(value, 0.002, 100, (0, 1)).low


def test_an_error_that_chance_alone_would_make_does_not_exclude_none():
    n, said = np.full(5, 20.0), np.array([11.0, 13.0, 15.0, 17.0, 19.0])
    low, high = calibration_interval(n, said, said - 1, 0.001)
    assert (low, high) == (0.0, leaning_interval(5 / 100, 0.001, 100, (0, 1)).high)
    assert calibration_interval(n, said, said - 10, 0.001).low > 0.2


def test_degenerate_calibration():
    assert all(map(math.isnan, calibration_interval([1], [0.9], [1], 0.1)))
    assert all(map(math.isnan, calibration_interval([9], [8], [7], math.nan)))
    low, high = calibration_interval([10], [9.0], [10.0], 0.0)
    others = wilson(0, 10).high
    assert (low, high) == pytest.approx((0.1 - others * 0.1, 0.1 + others * 0.9))


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_the_interval_holds_the_figure_and_widens_with_its_confidence(bins):
    n = np.array([b[0] for b in bins], dtype=float)
    said, right = n * [b[1] for b in bins], np.round(n * [b[2] for b in bins])
    if n.sum() < 2:
        return
    value = np.abs(said - right).sum() / n.sum()
    narrow, wide = (calibration_interval(n, said, right, 0.01, confidence=c) for c in (0.8, 0.95))
    assert 0 <= wide.low <= narrow.low <= value + 1e-12
    assert value - 1e-12 <= narrow.high <= wide.high <= 1

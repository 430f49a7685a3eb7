"""The test of how much nearer to a value one figure is than another."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.nearer import Nearer
from evalharness.stats.one_sided import Infinite, Scaled

figures = st.floats(-1, 1)
errors = st.floats(0.001, 0.3)


def made(b, c, error):
    return Nearer(Scaled(b - c, error, error), Scaled(-b - c, error, error))


@given(figures, figures, errors, st.floats(-2, 2), st.sampled_from([0.01, 0.05, 0.2]))
def test_bounds_are_the_inversion_of_the_tests(b, c, error, limit, alpha):
    found = made(b, c, error)
    low, high = found.lower(alpha), found.upper(alpha)
    assert low <= abs(b) - abs(c) + 1e-12
    assert high >= abs(b) - abs(c) - 1e-12
    if abs(limit - low) > 1e-6:
        assert (found.at_least(limit) <= alpha) == (limit < low)
    if abs(limit - high) > 1e-6:
        assert (found.at_most(limit) <= alpha) == (limit > high)


@given(figures, figures, errors)
def test_which_side_is_called_positive_does_not_matter(b, c, error):
    expected = made(b, c, error)
    for other in (made(-b, -c, error), made(-b, c, error), made(b, -c, error)):
        assert other.lower(0.05) == pytest.approx(expected.lower(0.05))
        assert other.upper(0.05) == pytest.approx(expected.upper(0.05))


def test_where_signs_are_beyond_doubt_it_is_the_plain_difference_at_half_of_alpha():
    found, plain = made(0.8, 0.5, 0.02), Scaled(0.3, 0.02, 0.02)
    assert found.lower(0.05) == pytest.approx(plain.lower(0.025))
    assert found.upper(0.05) == pytest.approx(plain.upper(0.025))
    assert found.scaled(4).lower(0.05) == pytest.approx(Scaled(0.3, 0.01, 0.01).lower(0.025))


def test_nothing_known_excludes_nothing():
    found = Nearer(Infinite(), Infinite())
    assert (found.lower(0.05), found.upper(0.05)) == (-math.inf, math.inf)
    assert found.at_least(-5) == found.at_most(5) == 1


@pytest.mark.parametrize("b", [0.0, 0.02, 0.1, 0.5])
def test_what_just_violates_a_margin_passes_no_more_often_than_alpha(b):
    # |c| = |b| + margin, on either side; b and c measured with error 0.05 each, correlated by one half.
    rng, margin, error, n = np.random.default_rng(5), 0.1, 0.05, 1000
    for c in (abs(b) + margin, -abs(b) - margin):
        noise = rng.multivariate_normal([0, 0], error**2 * np.array([[1, 0.5], [0.5, 1]]), size=n)
        passes = 0
        for db, dc in noise:
            apart = Scaled(b + db - c - dc, error, error)
            mirrored = Scaled(-b - db - c - dc, error * math.sqrt(3), error * math.sqrt(3))
            passes += Nearer(apart, mirrored).at_least(-margin) <= 0.05
        assert passes / n <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)

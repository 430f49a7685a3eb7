import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalharness.stats.weighted_chi_square import shrunken_weights, weighted_chi_square_above, weighted_chi_square_curve


@pytest.mark.parametrize("df", [np.inf, 30.0])
def test_equal_weights_are_the_chi_square_or_f_law(df):
    t = np.array([0.5, 3.0, 20.0, 80.0])
    found = weighted_chi_square_above(t, np.full(4, 2.0), df=df)
    law = stats.chi2(4).sf(t / 2) if np.isinf(df) else stats.f(4, df).sf(t / 8)
    np.testing.assert_allclose(found, law, rtol=1e-10)


@pytest.mark.parametrize("df", [np.inf, 60.0])
def test_the_tail_of_uneven_weights_is_right_within_a_tenth(df):
    weights = np.array([1 / (j * (j + 1)) for j in range(1, 40)])
    rng = np.random.default_rng(3)
    draws = rng.chisquare(1, (400_000, weights.size)).astype(np.float32) @ weights
    if np.isfinite(df):
        draws = draws / (rng.chisquare(df, draws.size) / df)
    for level in (0.5, 0.1, 0.01, 0.001):
        t = np.quantile(draws, 1 - level)
        assert weighted_chi_square_above(t, weights, df=df) == pytest.approx(level, rel=0.12)


def test_two_weights_against_numerical_integration():
    # P(a·X + b·Y > t) = E P(X > (t − bY)/a).
    for t in (0.5, 3.0, 12.0, 40.0):
        y = stats.chi2(1).ppf((np.arange(200_000) + 0.5) / 200_000)
        exact = stats.chi2(1).sf((t - 0.5 * y) / 1.0).mean()
        assert weighted_chi_square_above(t, [1.0, 0.5]) == pytest.approx(exact, rel=0.12)


def test_one_large_weight_far_in_the_tail():
    found = weighted_chi_square_above(50.0, [1.0, 1e-4])
    assert found == pytest.approx(stats.chi2(1).sf(50.0), rel=0.15)
    assert found > 0


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=8))
def test_it_falls_as_t_grows_and_starts_at_one(weights):
    w = np.array(weights)
    found = weighted_chi_square_above(np.concatenate([[-1.0, 0.0], w.sum() * np.geomspace(0.05, 30, 60)]), w)
    assert found[0] == found[1] == 1.0
    # The formula is an approximation, joined at the mean: rises of a thousandth are its error.
    assert (np.diff(found) <= 2e-3).all()


def test_nothing_varies_and_bad_weights():
    assert weighted_chi_square_above(1.0, [0.0, 0.0]) == 0.0
    with pytest.raises(ValueError, match="0 or more"):
        weighted_chi_square_above(1.0, [-1.0, 1.0])


def test_estimated_weights_are_drawn_together_without_bias():
    rng = np.random.default_rng(0)
    truth = np.array([4.0, 1.0, 1.0, 0.5])
    squares, raw = [], []
    for _ in range(600):
        rows = rng.standard_normal((31, 4)) * np.sqrt(truth / 30)
        rows -= rows.mean(axis=0)
        weights, df = shrunken_weights(rows, 30.0)
        assert weights.sum() == pytest.approx((rows**2).sum())
        assert df == pytest.approx(30 * weights.sum() ** 2 / (weights**2).sum(), rel=1e-6)
        squares.append((weights**2).sum())
        raw.append((np.linalg.eigvalsh(rows.T @ rows) ** 2).sum())
    assert np.mean(squares) == pytest.approx((truth**2).sum(), rel=0.05)
    assert np.mean(raw) > 1.08 * (truth**2).sum()


def test_one_estimated_weight_is_students_t_squared():
    rows = np.random.default_rng(1).standard_normal((11, 1))
    weights, df = shrunken_weights(rows, 10.0)
    assert df == pytest.approx(10.0)
    t = 3.5
    p = weighted_chi_square_above(t * t * weights[0], weights, df=df)
    assert p == pytest.approx(2 * stats.t(10).sf(t))


@pytest.mark.parametrize("weights", [[1 / (j * (j + 1)) for j in range(1, 75)], [0.6, 0.01], [0.3, 0.3, 0.2]])
def test_the_curve_is_the_law(weights):
    weights = np.array([*weights, 0.0])
    t, logs = weighted_chi_square_curve(weights)
    assert (np.diff(t) > 0).all()
    assert t[0] < 0.05 < 40 * weights.max() < t[-1]
    np.testing.assert_allclose(np.exp(logs), weighted_chi_square_above(t, weights), rtol=1e-3)
    between = np.linspace(0.05, 20, 50)
    np.testing.assert_allclose(
        np.interp(between, t, logs), np.log(weighted_chi_square_above(between, weights)), atol=0.02
    )

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evalharness.stats.correlation import (
    kendall,
    pair_moments,
    pearson,
    pearson_of_moments,
    spearman,
    weighted_ranks,
)

RNG = np.random.default_rng(5)
X = RNG.integers(1, 6, 40).astype(float)
Y = np.clip(X + RNG.integers(-2, 3, 40), 1, 5) + RNG.choice([0.0, 0.5], 40)


def test_agrees_with_scipy():
    assert pearson(X, Y) == pytest.approx(scipy_stats.pearsonr(X, Y).statistic, abs=1e-12)
    assert spearman(X, Y) == pytest.approx(scipy_stats.spearmanr(X, Y).statistic, abs=1e-12)
    assert pearson_of_moments(pair_moments(X, Y).sum(axis=0)) == pytest.approx(pearson(X, Y), abs=1e-12)


def test_weights_repeat_pairs():
    weights = np.random.default_rng(1).integers(0, 4, (3, 5, 40)).astype(float)
    for kernel in (pearson, spearman):
        found = kernel(X, Y, weights)
        assert found.shape == (3, 5)
        for index in np.ndindex(3, 5):
            many = weights[index].astype(int)
            assert found[index] == pytest.approx(kernel(np.repeat(X, many), np.repeat(Y, many)), abs=1e-12)


@given(st.lists(st.sampled_from([0.0, 1.0, 1.5, 9.0]), min_size=0, max_size=12))
def test_ranks_are_those_of_scipy(values):
    assert weighted_ranks(values, np.ones(len(values))).tolist() == scipy_stats.rankdata(values).tolist()


def test_missing_pairs_are_left_out():
    x, y = np.append(X, [np.nan, 3.0]), np.append(Y, [1.0, np.nan])
    for kernel in (pearson, spearman):
        assert kernel(x, y) == pytest.approx(kernel(X, Y), abs=1e-14)
        assert kernel(x, y, np.ones((2, 42))).shape == (2,)
    assert not pair_moments(x, y)[40:].any()


@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0], [2.0]), ([0.1] * 7, [1, 2, 3, 4, 5, 6, 7]), ([1, 2], [3, 3])])
def test_undefined_is_nan(x, y):
    assert np.isnan(pearson(x, y))
    assert np.isnan(spearman(x, y))
    assert np.isnan(pearson_of_moments(pair_moments(x, y).sum(axis=0)))


def test_no_weight_is_nan():
    assert np.isnan(pearson(X, Y, np.zeros(40)))
    assert np.isnan(spearman(X, Y, np.zeros((2, 40)))).all()


def test_never_beyond_one():
    x = np.array([0.1, 0.2, 0.30000000000000004])
    assert pearson(x, 3 * x) <= 1
    assert pearson_of_moments(pair_moments(x, -3 * x).sum(axis=0)) >= -1


@pytest.mark.parametrize("kernel", [pearson, spearman])
def test_wrong_input_is_refused(kernel):
    with pytest.raises(ValueError, match="one length"):
        kernel([1, 2], [1])
    with pytest.raises(ValueError, match="finite"):
        kernel([1, 2], [1, np.inf])
    with pytest.raises(ValueError, match="one entry a pair"):
        kernel([1, 2], [1, 2], [1, 1, 1])


@pytest.mark.parametrize("n_values", [3, 1000])
def test_kendall_is_scipys(n_values):
    rng = np.random.default_rng(7)
    for n in (2, 3, 10, 60):
        x, y = rng.integers(n_values, size=n), rng.integers(n_values, size=n)
        expected = scipy_stats.kendalltau(x, y).statistic if len(set(x)) > 1 and len(set(y)) > 1 else np.nan
        np.testing.assert_allclose(kendall(x, y), expected, atol=1e-12)
    np.testing.assert_allclose(kendall([1, 2, np.nan, 3], [1, 3, 9, 2]), 1 / 3)
    assert np.isnan(kendall([1.0], [1.0]))
    assert np.isnan(kendall([1.0, 1.0], [1.0, 2.0]))
    with pytest.raises(ValueError, match="one length"):
        kendall([1.0], [1.0, 2.0])

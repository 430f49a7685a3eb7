import numpy as np
import pytest

from evalharness.stats.group_spread import group_spread, joint_df


def test_the_covariance_is_that_of_the_shares_between_clusters():
    rng = np.random.default_rng(0)
    shares, estimates = [], []
    for _ in range(400):
        # 40 clusters, whose rows agree: each has a rate of its own.
        sizes = rng.integers(5, 15, 40)
        yes = rng.binomial(sizes, rng.beta(2, 6, 40))
        found = group_spread(np.stack([sizes - yes, yes], axis=1).astype(float))
        shares.append(found.shares[1])
        estimates.append((found.deviations[:, 1] ** 2).sum())
    assert np.mean(estimates) == pytest.approx(np.var(shares), rel=0.15)
    assert np.mean(estimates) > 1.5 * 0.25 * 0.75 / 400


def test_deviations_are_the_jackknifes():
    groups = np.random.default_rng(1).integers(0, 9, (6, 3)).astype(float)
    found = group_spread(groups)
    left = np.array([np.delete(groups, g, 0).sum(axis=0) / np.delete(groups, g, 0).sum() for g in range(6)])
    jackknife = 5 / 6 * (left - found.shares).T @ (left - found.shares)
    np.testing.assert_allclose(found.deviations.T @ found.deviations, jackknife)


def test_degrees_of_freedom_count_groups_of_equal_size_whole():
    assert group_spread(np.full((8, 2), 3.0)).df == pytest.approx(7)
    lopsided = np.full((8, 2), 1.0)
    lopsided[0] = 100
    assert group_spread(lopsided).df < 0.1
    assert group_spread(np.concatenate([np.full((8, 2), 3.0), np.zeros((50, 2))])).df == pytest.approx(7)
    assert group_spread(np.array([[3.0, 4.0], [0.0, 0.0]])).df == 0


def test_joint_df_is_welchs():
    assert joint_df(1.0, 1.0, 10, 10) == pytest.approx(20)
    assert joint_df(1.0, 0.0, 10, 10) == pytest.approx(10)
    assert joint_df(0.0, 0.0, 10, 5) == 5

"""The error of a mean in clusters and its degrees of freedom, against the matrix formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.cluster_spread import cluster_freedom, cluster_spread
from evalharness.stats.intervals import cluster_standard_error, mean_interval
from evalharness.stats.tests import paired_t


def by_matrices(values, codes, correlation):
    """Bell and McCaffrey's CR2 of a regression on a constant, written with whole matrices.

    A_c = (I − H_cc)^(−1/2) by eigenvalues, the degrees of freedom of the quadratic form y'Gy under the working variance
    of Imbens and Kolesár: 1 on the diagonal, `correlation` within clusters.
    """
    n, names = len(values), np.unique(codes)
    x = np.ones((n, 1))
    bread = np.linalg.inv(x.T @ x)
    hat = x @ bread @ x.T
    columns, variance = [], 0.0
    for name in names:
        own = np.flatnonzero(codes == name)
        lambdas, vectors = np.linalg.eigh(np.eye(own.size) - hat[np.ix_(own, own)])
        a = vectors @ np.diag(1 / np.sqrt(lambdas)) @ vectors.T
        weights = (np.eye(n) - hat)[:, own] @ a @ x[own] @ bread
        columns.append(weights[:, 0])
        variance += float((weights[:, 0] @ values) ** 2)
    g = np.array(columns).T
    omega = np.where(codes[:, None] == codes[None, :], correlation, 0.0) + (1 - correlation) * np.eye(n)
    inner = g.T @ omega @ g
    return math.sqrt(variance), np.trace(inner) ** 2 / np.sum(inner * inner)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (1, 2, 9), (5, 1, 1, 1, 30, 4), (2, 2, 1)])
def test_agrees_with_bell_mccaffrey_and_imbens_kolesar(sizes, correlation):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    values = np.random.default_rng(1).normal(size=codes.size)
    error, freedom = by_matrices(values, codes, correlation)
    assert cluster_spread(values, codes).error == pytest.approx(error, rel=1e-10)
    assert cluster_freedom(sizes, correlation) == pytest.approx(freedom, rel=1e-10)


def test_clusters_of_one_size_have_millers_error_and_one_less_than_their_number():
    values, codes = np.random.default_rng(2).normal(size=24), np.repeat(np.arange(6), 4)
    found = cluster_spread(values, codes)
    assert found.error == pytest.approx(cluster_standard_error(values, codes) * math.sqrt(6 / 5), rel=1e-12)
    assert found.freedom == 5.0
    assert cluster_spread(values, np.arange(24))[:2] == pytest.approx((values.std(ddof=1) / math.sqrt(24), 23.0))


@given(st.lists(st.integers(1, 60), min_size=2, max_size=40), st.floats(0, 1))
def test_freedom_lies_between_one_and_one_less_than_the_clusters(sizes, correlation):
    assert 1.0 <= cluster_freedom(sizes, correlation) <= len(sizes) - 1
    # What is not a correlation counts as the nearest one that is.
    assert cluster_freedom(sizes, -3.0) == cluster_freedom(sizes, 0.0)
    assert cluster_freedom(sizes, 1.5) == cluster_freedom(sizes, 1.0)


def test_one_big_cluster_leaves_little_freedom_whatever_the_number_of_the_others():
    assert cluster_freedom([100, *[1] * 100], 1.0) < 1.1
    assert cluster_freedom([100, *[1] * 100], 0.0) < 4
    # Samples that are nothing alike in their clusters tell more.
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(21), [40, *[4] * 20])
    alike = cluster_spread(rng.normal(size=21)[codes], codes)
    alone = cluster_spread(rng.normal(size=codes.size), codes)
    assert alike.freedom < alone.freedom


def test_one_cluster_tells_no_spread():
    assert all(map(math.isnan, cluster_spread([1.0, 2.0], np.array([4, 4]))[:2]))
    assert all(map(math.isnan, cluster_spread([], np.zeros(0, dtype=int))[:2]))


def test_intervals_and_tests_of_clusters_use_it():
    values = np.random.default_rng(4).normal(0.3, 1.0, size=47)
    codes = np.repeat(np.arange(6), [1, 2, 3, 5, 6, 30])
    error, freedom = cluster_spread(values, codes)[:2]
    low, high = mean_interval(values, codes=codes)
    p = paired_t(values, codes=codes, shift=low).p_value
    assert p == pytest.approx(0.05, abs=1e-9)
    assert (high - low) / 2 > 3 * error
    assert freedom < 3

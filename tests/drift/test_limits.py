"""How well the limiting laws hold where the tests go over to them, against tables drawn under the null."""

import numpy as np
import pytest
from scipy.special import chdtrc

from evalharness.drift.defaults import make_test
from evalharness.drift.shared import Shared
from evalharness.drift.tests import omnibus
from evalharness.drift.tests.order import bridge_weights
from evalharness.stats import count_distances as distances
from evalharness.stats.combining import cauchy_statistic
from evalharness.stats.monte_carlo import hypergeometric_tables
from evalharness.stats.weighted_chi_square import weighted_chi_square_above

TAIL = 0.05 / 200


def _tables(k, expected, ratio, draws):
    """`draws` tables of k bins, the rarest of which has `expected` rows to expect in the smaller window."""
    share = 1 / np.sqrt(np.arange(1, k + 1))
    pooled = np.rint(share / share.min() * expected * (1 + ratio))
    x = hypergeometric_tables(pooled, round(pooled.sum() / (1 + ratio)), seed=k)(draws)
    return pooled, x, pooled - x


def _holds(p):
    n = p.size
    for level, slack in ((0.05, 0.1), (TAIL, 0.5)):
        # Three standard errors of the simulation on top.
        assert (p <= level).mean() <= level * (1 + slack) + 3 * np.sqrt(level / n)
    assert (p <= 0.05).mean() >= 0.045


@pytest.mark.parametrize("ratio", [1, 10])
@pytest.mark.parametrize("name", ["chi_square", "g_test", "psi", "jensen_shannon", "hellinger"])
def test_shares(name, ratio):
    test = make_test(name)
    _, x, y = _tables(10, test.expected, ratio, 100_000)
    _holds(chdtrc(9, test._as_chi_square(test._statistic(x, y), x[0].sum(), y[0].sum())))


def test_psi_would_not_hold_with_fewer_rows():
    """That the test above can fail."""
    test = make_test("psi")
    _, x, y = _tables(10, 20, 10, 100_000)
    p = chdtrc(9, test._as_chi_square(test._statistic(x, y), x[0].sum(), y[0].sum()))
    assert (p <= 0.05).mean() > 0.055


@pytest.mark.parametrize("ratio", [1, 10])
@pytest.mark.parametrize("name", ["cramer_von_mises", "anderson_darling", "energy"])
def test_forms_of_the_gaps(name, ratio):
    test = make_test(name)
    pooled, x, y = _tables(64, 20, ratio, 30_000)
    n, m = x[0].sum(), y[0].sum()
    weights = test._weights(Shared(x[0], y[0], distances.normal_scores(pooled)))
    form = n * m / (n + m) * (distances.cdf_gaps(x, y) ** 2 @ weights)
    law = bridge_weights(weights, distances.pooled_cuts(pooled)[0])
    # Only what lies about the levels needs the law itself.
    least = np.quantile(form, 0.94)
    p = np.where(form < least, 1.0, 0.05)
    tail = form >= least
    p[tail] = weighted_chi_square_above(form[tail], law)
    _holds(p)


@pytest.mark.parametrize("ratio", [1, 10])
@pytest.mark.parametrize("far", [False, True])
def test_the_combination_of_the_omnibus(ratio, far):
    """As soon as it is taken; also where few rows lie far away in bins of their own."""
    outer = np.array([1.0, 3.0, 6.0]) * (1 + ratio)
    rows = 1_000
    while True:
        scores = np.linspace(-2.5, 2.5, 64)
        pooled = np.rint(np.exp(-(scores**2) / 2) * rows * (1 + ratio) / 25)
        positions = scores / 1.35
        if far:
            pooled, positions = np.concatenate([pooled, outer[::-1]]), np.concatenate([positions, [3.0, 4.0, 5.0]])
        n = round(pooled.sum() / (1 + ratio))
        parts = omnibus._parts(pooled, positions)
        law = omnibus._Law(parts, pooled, n, pooled.sum() - n)
        if law.enough >= 1:
            break
        rows = round(rows * 1.2)
    x = hypergeometric_tables(pooled, n, seed=7)(30_000)
    y = pooled - x
    t = cauchy_statistic(law.p_values(x, y, drawn=True), parts.weights)
    _holds(0.5 - np.arctan(t) / np.pi)
    # What draws share is the law itself.
    np.testing.assert_allclose(law.p_values(x[0], y[0], drawn=True), law.p_values(x[0], y[0]), rtol=0.03)

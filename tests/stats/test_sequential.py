from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import integrate, optimize
from scipy import stats as scipy_stats

from evalharness.stats.sequential import (
    _upper,
    _with_futility,
    boundaries,
    crossings,
    drift,
    futility,
    inflation,
    spent,
)

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize(
    ("fractions", "alpha", "expected"),
    [
        # Lan-DeMets spending, one-sided .025, five looks, as ldbounds and gsDesign (sfLDOF) print it.
        (FIFTHS, 0.025, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
        # Julia SeqBounds, README: bounds([0.25, 0.5, 0.75, 1.0], 0.05; h = 0.05).
        ((0.25, 0.5, 0.75, 1.0), 0.05, (3.74955, 2.53993, 2.01604, 1.72014)),
    ],
)
def test_published_boundaries(fractions, alpha, expected):
    """To the digits that their grids have: see the next test for ours."""
    assert boundaries("obrien-fleming", fractions, alpha) == pytest.approx(expected, abs=1.2e-4)


@pytest.mark.parametrize("kind", ["obrien-fleming", "pocock"])
@pytest.mark.parametrize(("first", "second"), [(0.2, 0.4), (0.02, 1.0), (0.9, 0.95)])
def test_two_looks_by_adaptive_integration(kind, first, second):
    upper, error = boundaries(kind, (first, second), 0.025), spent(kind, (first, second), 0.025)
    root, step = math.sqrt(first), math.sqrt(second - first)

    def crossed(bound):
        def integrand(s):
            return scipy_stats.norm.pdf(s, scale=root) * scipy_stats.norm.sf((bound * math.sqrt(second) - s) / step)

        top = min(upper[0], 9) * root
        return integrate.quad(integrand, -9 * root, top, epsabs=1e-15, epsrel=1e-12, limit=500)[0]

    found = optimize.brentq(lambda bound: crossed(bound) - (error[1] - error[0]), 1, 6, xtol=1e-12)
    assert upper == pytest.approx([scipy_stats.norm.isf(error[0]), found], abs=1e-9)


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    # Jennison and Turnbull 2000, tables 2.1 and 2.3, two-sided α = .05: C_P(K, α) and C_B(K, α).
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (4, 2.361, 2.024), (5, 2.413, 2.040)],
)
def test_the_constants_of_jennison_and_turnbull_keep_the_error(looks, pocock, obrien_fleming):
    t = np.arange(1, looks + 1) / looks
    for upper in (np.full(looks, pocock), obrien_fleming / np.sqrt(t)):
        found = crossings(upper, t, lower=-upper)
        assert found.upper.sum() + found.lower.sum() == pytest.approx(0.05, abs=1.5e-4)
        assert found.upper == pytest.approx(found.lower, abs=1e-12)


@pytest.mark.parametrize("fractions", [(0.5, 1.0), (0.1, 0.9), (0.3, 0.35, 1.0)])
@pytest.mark.parametrize("kind", ["obrien-fleming", "pocock"])
def test_equals_the_multivariate_normal(fractions, kind):
    """scipy integrates the joint normal distribution of the Z directly: what is not crossed by look k is 1 − α(t_k)."""
    t = np.array(fractions)
    covariance = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    upper = boundaries(kind, fractions, 0.05)
    for k in range(1, len(t) + 1):
        joint = scipy_stats.multivariate_normal(np.zeros(k), covariance[:k, :k], abseps=1e-8, releps=1e-8)
        assert 1 - joint.cdf(upper[:k]) == pytest.approx(spent(kind, fractions, 0.05)[k - 1], abs=2e-6)


def test_one_look_is_the_fixed_test():
    z = scipy_stats.norm.isf(0.05)
    for kind in ("obrien-fleming", "pocock"):
        assert boundaries(kind, [1.0], 0.05) == pytest.approx([z], abs=1e-10)
        assert futility(kind, [1.0], 0.05, 0.8) == pytest.approx([z], abs=1e-10)
        assert inflation(kind, [1.0], 0.05, 0.8) == pytest.approx(1.0, abs=1e-8)


def test_all_is_spent_at_the_end():
    for kind in ("obrien-fleming", "pocock"):
        found = spent(kind, FIFTHS, 0.04)
        assert found[-1] == pytest.approx(0.04, rel=1e-9)
        assert (np.diff(found) > 0).all()
        assert crossings(boundaries(kind, FIFTHS, 0.04), FIFTHS).upper.cumsum() == pytest.approx(found, abs=1e-10)


def test_hwang_shih_decani_futility_of_gsdesign():
    """R gsDesign's default plan: gsDesign() with k = 3, test.type = 4, alpha .025, beta .1, sfHSD −4 and −2."""

    def hsd(total, gamma):
        return tuple(total * (1 - math.exp(-gamma * t)) / (1 - math.exp(-gamma)) for t in (1 / 3, 2 / 3, 1.0))

    thirds = (1 / 3, 2 / 3, 1.0)
    upper = _upper(thirds, hsd(0.025, -4))
    assert upper == pytest.approx((3.0107, 2.5465, 1.9992), abs=1e-4)
    eta, lower = _with_futility(thirds, upper, hsd(0.1, -2), 0.025)
    assert lower == pytest.approx((-0.2387, 0.9410, 1.9992), abs=1e-4)
    assert (eta / (1.959964 + 1.281552)) ** 2 == pytest.approx(1.070, abs=5e-4)


@pytest.mark.parametrize("kind", ["obrien-fleming", "pocock"])
def test_the_plan_has_its_power_with_and_without_futility(kind):
    upper = boundaries(kind, FIFTHS, 0.05)
    plain = drift(kind, FIFTHS, 0.05, 0.8)
    assert crossings(upper, FIFTHS, drift=plain).upper.sum() == pytest.approx(0.8, abs=1e-8)
    lower = futility(kind, FIFTHS, 0.05, 0.8)
    eta = drift(kind, FIFTHS, 0.05, 0.8, with_futility=True)
    found = crossings(upper, FIFTHS, lower=lower, drift=eta)
    assert found.upper.sum() == pytest.approx(0.8, abs=1e-8)
    # β is spent as the function says, look by look.
    assert found.lower.cumsum() == pytest.approx(spent(kind, FIFTHS, 0.2), abs=1e-8)
    assert lower[-1] == upper[-1]
    assert (lower[:-1] < upper[:-1]).all()
    assert eta > plain
    assert inflation(kind, FIFTHS, 0.05, 0.8) < inflation(kind, FIFTHS, 0.05, 0.8, with_futility=True)


def test_by_simulation():
    """100,000 normal walks: how often each side is crossed, with the boundaries stopping the walk."""
    rng = np.random.default_rng(0)
    upper, lower = boundaries("pocock", FIFTHS, 0.05), futility("pocock", FIFTHS, 0.05, 0.8)
    eta = 1.3
    steps = rng.normal(eta * 0.2, math.sqrt(0.2), (100_000, 5))
    z = np.cumsum(steps, axis=1) / np.sqrt(FIFTHS)
    over, under = z > upper, z < lower
    first = np.argmax(over | under, axis=1)
    stopped = np.take_along_axis(over, first[:, None], 1)[:, 0]
    found = crossings(upper, FIFTHS, lower=lower, drift=eta)
    assert [np.mean(stopped & (first == k)) for k in range(5)] == pytest.approx(found.upper.tolist(), abs=0.005)
    assert found.upper.sum() + found.lower.sum() == pytest.approx(1.0, abs=1e-9)


def test_a_look_depends_on_those_before_it_alone():
    planned = boundaries("obrien-fleming", FIFTHS, 0.05)
    assert boundaries("obrien-fleming", (0.2, 0.4), 0.05) == pytest.approx(planned[:2], abs=1e-9)


def test_very_early_looks_spend_nothing():
    found = boundaries("obrien-fleming", (0.001, 0.01, 0.5, 1.0), 0.05)
    assert found[0] == math.inf or found[0] > 30
    assert found[2] < 2.6
    assert np.isfinite(found[1:]).all()


def test_many_looks_are_fast():
    start = time.process_time()
    t = np.arange(1, 51) / 50
    upper = boundaries("obrien-fleming", t, 0.0312)
    assert crossings(upper, t).upper.sum() == pytest.approx(0.0312, abs=1e-9)
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: boundaries("pocock", [], 0.05), "one look or more"),
        (lambda: boundaries("pocock", [0.5, 0.5], 0.05), "ascend"),
        (lambda: boundaries("pocock", [0.5, 1.5], 0.05), "ascend"),
        (lambda: boundaries("pocock", [0.5, math.nan], 0.05), "ascend"),
        (lambda: boundaries("pocock", [0.5, 0.5001], 0.05), "0.001 or more apart"),
        (lambda: boundaries("haybittle", [1.0], 0.05), "obrien-fleming, pocock"),
        (lambda: boundaries("pocock", [1.0], 0.0), "alpha"),
        (lambda: futility("pocock", [0.5], 0.05, 0.8), "last look"),
        (lambda: futility("pocock", [1.0], 0.05, 0.01), "power"),
        (lambda: crossings([1.0], [0.5, 1.0]), "a look"),
        (lambda: crossings([1.0], [1.0], lower=[2.0]), "not above"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()

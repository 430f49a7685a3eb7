from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from evalharness.stats.paired_intervals import newcombe, tango, tango_statistic
from evalharness.stats.tests import mcnemar

counts = st.integers(0, 60)


@pytest.mark.parametrize(
    ("table", "expected", "digits"),
    [
        # Altman, Machin, Bryant and Gardner 2000, "Statistics with Confidence", table 6.2.
        ((14, 5, 0, 22), (0.011, 0.226), 5e-4),
        # Fagerland, Lydersen and Laake 2017, "Statistical Analysis of Contingency Tables", table 8.8: Cavo et al. 2012.
        ((59, 6, 16, 80), (-0.1186, -0.0046), 5e-5),
    ],
)
def test_newcombe_published(table, expected, digits):
    assert newcombe(*table) == pytest.approx(expected, abs=digits)


@pytest.mark.parametrize(
    ("b", "c", "n", "expected", "digits"),
    [
        # Fagerland, Lydersen and Laake 2014 (Stat Med 33:2850), table 1 as computed there: Bentur et al. 2009.
        (1, 7, 21, (-0.517, -0.026), 5e-4),
        # Duffy and Rothwell, table 2: b = 25, c = 2, n = 102.
        (25, 2, 102, (0.139, 0.321), 5e-4),
    ],
)
def test_tango_published(b, c, n, expected, digits):
    assert tango(b, c, n) == pytest.approx(expected, abs=digits)


def test_newcombe_of_unrelated_answers_is_that_of_two_samples():
    """With ad = bc the correlation is 0 and what is left is Newcombe's interval for two independent samples."""
    a, b, c, d = 12, 18, 8, 12
    theirs = confint_proportions_2indep(a + b, 50, a + c, 50, method="newcomb", compare="diff")
    assert newcombe(a, b, c, d) == pytest.approx(theirs, abs=1e-9)


@given(counts, counts, counts, counts)
def test_both_are_antisymmetric_and_hold_the_point(a, b, c, d):
    n = a + b + c + d
    if n == 0:
        return
    point = (b - c) / n
    for found, other in ((newcombe(a, b, c, d), newcombe(a, c, b, d)), (tango(b, c, n), tango(c, b, n))):
        assert -1 <= found.low <= point + 1e-9
        assert point - 1e-9 <= found.high <= 1
        assert found == pytest.approx((-other.high, -other.low), abs=1e-9)


def test_identical_pairs_do_not_prove_equality():
    low, high = newcombe(10, 0, 0, 0)
    assert -0.3 < low < -0.2
    assert 0.2 < high < 0.3
    z = 1.959963984540054
    assert tango(0, 0, 10).high == pytest.approx(z * z / (10 + z * z), abs=1e-9)


def test_no_pairs_give_nan():
    assert all(map(math.isnan, newcombe(0, 0, 0, 0)))
    assert all(map(math.isnan, tango(0, 0, 0)))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 100))
def test_tango_at_zero_is_mcnemar(b, c, same):
    expected = mcnemar(b, c, method="asymptotic").statistic
    assert tango_statistic(0.0, b, c, b + c + same) == pytest.approx(expected, abs=1e-9)


def test_the_bounds_of_tango_invert_its_statistic():
    low, high = tango(4, 9, 70, confidence=0.9)
    assert tango_statistic(low, 4, 9, 70) == pytest.approx(1.6448536, abs=1e-6)
    assert tango_statistic(high, 4, 9, 70) == pytest.approx(-1.6448536, abs=1e-6)


@pytest.mark.parametrize("bad", [(-1, 2, 3, 4), (1, 2, math.nan, 3), (1, 2, math.inf, 3)])
def test_newcombe_refuses(bad):
    with pytest.raises(ValueError, match="count pairs"):
        newcombe(*bad)


def test_tango_refuses():
    with pytest.raises(ValueError, match="among the n pairs"):
        tango(3, 4, 6)
    for interval in (lambda: tango(1, 1, 6, confidence=1.0), lambda: newcombe(1, 1, 1, 1, confidence=0)):
        with pytest.raises(ValueError, match="confidence"):
            interval()


@pytest.mark.slow
@pytest.mark.parametrize("shares", [(0.86, 0.06, 0.03, 0.05), (0.45, 0.05, 0.05, 0.45)])
def test_both_cover(shares):
    draws = np.random.default_rng(1).multinomial(40, shares, size=3000)
    truth = shares[1] - shares[2]
    for interval in (lambda a, b, c, d: newcombe(a, b, c, d), lambda a, b, c, d: tango(b, c, a + b + c + d)):
        hits = [low <= truth <= high for low, high in (interval(*map(int, row)) for row in draws)]
        assert 0.93 < np.mean(hits) < 0.995

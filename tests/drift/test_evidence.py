"""p-values between groups of clusters, where no draw comes near."""

import numpy as np
import pytest
from scipy import stats

from evalharness.drift.evidence import Spread, supremum_p
from evalharness.stats.group_spread import GroupSpread


def largest(gaps):
    return np.abs(gaps).max(axis=-1)


@pytest.mark.parametrize("df", [4.0, 10.0, 1e8])
@pytest.mark.parametrize("p", [1e-2, 1e-5, 1e-7])
def test_far_out_the_largest_gap_keeps_students_tail(df, p):
    # One share of each window, with 1/√2 of the spread each: the largest gap is |t| of df degrees of freedom.
    gap = stats.t(df).isf(p / 2) * 1e-3
    side = np.array([[1e-3 / np.sqrt(2)]])
    spread = Spread(GroupSpread(np.array([gap]), side, df / 2), GroupSpread(np.zeros(1), side, df / 2))
    found = supremum_p(spread, np.eye(1), largest, seed=1)
    assert found.law == ("clusters" if p == 1e-2 else "clusters, tail fitted")
    assert 1 / 4 < found.p_value / p < 4


def test_without_any_spread_no_draw_says_more_than_its_number():
    flat = np.zeros((3, 1))
    spread = Spread(GroupSpread(np.array([0.5]), flat, 2.0), GroupSpread(np.array([0.4]), flat, 2.0))
    assert supremum_p(spread, np.eye(1), largest, seed=1).p_value == pytest.approx(1e-4)

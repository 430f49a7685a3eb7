"""What changed for everybody at once, where rows belong together: no spread within a side, and all between them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from evalharness.drift.api import drift
from evalharness.drift.evidence import Spread, quadratic_p
from evalharness.stats.group_spread import GroupSpread


def frame(model: str, number: float, flag: bool, *, conversations: int, name: str = "c") -> pd.DataFrame:
    rows = conversations * 4
    groups = [f"{name}{i // 4}" for i in range(rows)]
    return pd.DataFrame({"model": [model] * rows, "number": number, "flag": flag, "conversation": groups})


def test_a_model_that_is_swapped_for_all_is_found() -> None:
    before, after = frame("v1", 5.0, False, conversations=100), frame("v2", 7.0, True, conversations=100, name="d")
    for one in drift(before, after, cluster="conversation").findings:
        assert (one.state, one.p_value < 1e-6) == ("drift", True), one.column
    same = drift(before, frame("v1", 5.0, False, conversations=100, name="d"), cluster="conversation")
    assert {one.state for one in same.findings} == {"no_drift"}


@pytest.mark.parametrize("conversations", [2, 3, 5])
def test_few_groups_that_are_parted_prove_little(conversations: int) -> None:
    before = frame("v1", 5.0, False, conversations=conversations)
    after = frame("v2", 7.0, True, conversations=conversations, name="d")
    found = drift(before, after, cluster="conversation").findings
    least = 2 / math.comb(2 * conversations, conversations)
    for one in found:
        assert math.isnan(one.p_value) or one.p_value >= least * (1 - 1e-9), (one.column, one.p_value)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5), (16, 16)])
def test_the_chance_is_that_of_dealing_the_groups_out_so(n: int, m: int) -> None:
    sides = [GroupSpread(np.array(shares), np.zeros((g, 2)), g - 1) for g, shares in ((n, [1.0, 0.0]), (m, [0.0, 1.0]))]
    found = quadratic_p(Spread(*sides), np.eye(2))
    assert found.p_value == pytest.approx(min(1.0, 2 / math.comb(n + m, n)), rel=1e-9)

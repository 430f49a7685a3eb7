"""What changed for everybody at once, where rows belong together: no spread within a side, and all between them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from evalharness.drift.api import drift


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

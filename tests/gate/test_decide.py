import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.gate.decide import decide_point, show

finite = st.floats(-1e6, 1e6, allow_nan=False)
conditions = st.sampled_from(["at_least", "at_most"])


@pytest.mark.parametrize(
    ("value", "limit", "condition", "state"),
    [
        (0.8, 0.8, "at_least", "pass"),
        (0.8, 0.8, "at_most", "pass"),
        (0.9 - 0.85, 0.05, "at_most", "pass"),  # 0.05000000000000004
        (0.1 + 0.2, 0.3, "at_most", "pass"),  # 0.30000000000000004
        (1 - 0.9, 0.1, "at_least", "pass"),  # 0.09999999999999998
        (0.8 - 1e-13, 0.8, "at_least", "pass"),
        (0.8 - 1e-9, 0.8, "at_least", "fail"),
        (0.8 + 1e-9, 0.8, "at_most", "fail"),
        (0.81, 0.8, "at_least", "pass"),
        (0.79, 0.8, "at_least", "fail"),
        (1e9 + 1e-4, 1e9, "at_most", "pass"),  # the tolerance is relative for large figures
        (1e9 + 1, 1e9, "at_most", "fail"),
        (math.inf, 0.8, "at_most", "fail"),
        (math.inf, 0.8, "at_least", "pass"),
        (-math.inf, 0.8, "at_least", "fail"),
        (math.nan, 0.8, "at_least", "fail"),
        (math.nan, 0.8, "at_most", "fail"),
        (0.0, 0.0, "at_least", "pass"),
        (-0.0, 0.0, "at_most", "pass"),
    ],
)
def test_point(value, limit, condition, state):
    assert decide_point(value, limit, condition).state == state


@given(finite, finite, conditions)
def test_point_agrees_with_plain_comparison_beyond_the_tolerance(value, limit, condition):
    if abs(value - limit) <= 1e-5:
        return
    holds = value > limit if condition == "at_least" else value < limit
    assert decide_point(value, limit, condition).state == ("pass" if holds else "fail")


@given(finite, conditions)
def test_a_figure_at_its_limit_passes(value, condition):
    assert decide_point(value, value, condition).state == "pass"


@pytest.mark.parametrize(
    ("value", "beside", "text"),
    [
        (0.8, None, "0.8"),
        (0.79999999, 0.8, "0.79999999"),
        (1234567.0, None, "1,234,567"),
        (-0.25, None, "−0.25"),
        (math.nan, None, "not a number"),
        (math.inf, None, "∞"),
        (1e-9, None, "1e-09"),
        (0.1 + 0.2, 0.3, "0.3"),  # a rule takes them for equal,
    ],
)
def test_show(value, beside, text):
    assert show(value, beside) == text


@given(finite, finite)
def test_show_tells_different_numbers_apart(value, beside):
    if abs(value - beside) > 1e-11 * max(1.0, abs(value), abs(beside)):
        assert show(value, beside) != show(beside, value)

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.gate.decide import decide_interval, decide_point, samples_needed, show
from evalharness.stats.intervals import wilson

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
    ("low", "high", "condition", "state"),
    [
        (0.81, 0.9, "at_least", "pass"),
        (0.8, 0.9, "at_least", "pass"),
        (0.79, 0.9, "at_least", "inconclusive"),
        (0.7, 0.8, "at_least", "inconclusive"),  # the best end just reaches the limit
        (0.7, 0.79, "at_least", "fail"),
        (0.7, 0.79, "at_most", "pass"),
        (0.7, 0.8, "at_most", "pass"),
        (0.8, 0.9, "at_most", "inconclusive"),
        (0.81, 0.9, "at_most", "fail"),
        (0.8, 0.8, "at_least", "pass"),
        (math.nan, 0.9, "at_least", "inconclusive"),
        (0.7, math.nan, "at_least", "inconclusive"),
        (-math.inf, math.inf, "at_most", "inconclusive"),
    ],
)
def test_interval(low, high, condition, state):
    assert decide_interval(0.8, low, high, 0.8, condition, n=50).state == state


@given(finite, st.floats(0, 1e3), st.floats(0, 1e3), finite, conditions)
def test_interval_verdicts_are_never_more_certain_than_the_point(value, down, up, limit, condition):
    state = decide_interval(value, value - down, value + up, limit, condition, n=10).state
    point = decide_point(value, limit, condition).state
    assert state in (point, "inconclusive")


@given(st.floats(0, 1), st.floats(0.001, 0.5), st.floats(0.001, 0.5), st.floats(0, 1))
def test_a_wider_interval_never_decides_more(value, half, more, limit):
    narrow = decide_interval(value, value - half, value + half, limit, "at_least", n=10).state
    wide = decide_interval(value, value - half - more, value + half + more, limit, "at_least", n=10).state
    assert wide in (narrow, "inconclusive")


def test_no_figure_fails_even_where_the_interval_decides():
    assert decide_interval(math.nan, 0.9, 1.0, 0.5, "at_least", n=3).state == "fail"


def test_samples_needed_shrinks_the_half_width_to_the_gap():
    # half-width 0.08 at n = 100, gap 0.02: sixteen times as many
    assert samples_needed(0.82, 0.74, 0.90, 0.80, 100) == 1600
    decision = decide_interval(0.82, 0.74, 0.90, 0.80, "at_least", n=100, needed=1600)
    assert "about 1,600 samples" in decision.because
    assert "now 100" in decision.because


@pytest.mark.parametrize(("right", "n", "limit"), [(90, 100, 0.85), (50, 50, 0.95), (3, 10, 0.35), (0, 20, 0.05)])
def test_samples_needed_of_a_proportion_is_where_wilson_clears_the_limit(right, n, limit):
    low, high = wilson(right, n)
    assert low < limit < high
    needed = samples_needed(right / n, low, high, limit, n, method="wilson")
    for factor, clear in ((1.01, True), (0.99, False)):
        low, high = wilson(right / n * needed * factor, needed * factor)
        assert (limit <= low or limit >= high) == clear


def test_samples_needed_where_nothing_varies():
    # All of 20 samples at 100 of 100: Wilson's share for 0 of 20 times what is possible.
    low = 100 - wilson(0, 20).high * 100
    needed = samples_needed(100, low, 100, 95, 20, method="no-variation")
    assert wilson(0, needed).high * 100 <= 5 < wilson(0, needed - 1).high * 100


@pytest.mark.parametrize(
    ("value", "low", "high", "limit", "n"),
    [
        (0.8, 0.7, 0.9, 0.8, 100),  # on the limit: no number of samples would do
        (0.8, -math.inf, math.inf, 0.7, 100),
        (0.8, 0.8, 0.8, 0.7, 100),
        (0.8, 0.7, 0.9, 0.75, 0),
    ],
)
def test_samples_needed_is_unknown(value, low, high, limit, n):
    assert samples_needed(value, low, high, limit, n) is None


@given(st.floats(0.1, 0.9), st.floats(0.01, 0.4), st.integers(2, 10_000), st.floats(0.01, 0.99))
def test_samples_needed_is_more_than_there_are(value, half, n, limit):
    needed = samples_needed(value, value - half, value + half, limit, n)
    if needed is not None and abs(value - limit) < half:
        assert needed > n


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

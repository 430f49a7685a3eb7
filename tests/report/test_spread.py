"""Histograms of what stands behind figures: nothing is lost, and nothing is drawn that shows nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.report.bars import sparkline
from evalharness.report.spread import latencies_of, spread_of

MARKS = (("median", 50),)


@given(st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=60))
def test_every_value_is_counted_or_told_beyond(values):
    found = spread_of(values, bounds=(-math.inf, math.inf), marks=MARKS)
    if found is None:
        assert np.unique(values).size < 4
        return
    low, high = found.edges[0], found.edges[-1]
    told = sum(value > high for value in values) if found.beyond else 0
    assert sum(found.counts) + told == len(values)
    assert bool(told) == bool(found.beyond)
    rounding = 1e-6 * (high - low)
    assert min(values) >= low - rounding
    assert found.beyond or max(values) <= high + rounding
    assert len(found.edges) == len(found.counts) + 1
    assert list(found.edges) == sorted(found.edges)


@pytest.mark.parametrize(
    "values", [[], [0.5] * 100, [0.0, 1.0] * 50, [0.1, 0.2, 0.3, 0.4, 0.5], [math.nan] * 30], ids=str
)
def test_what_shows_nothing_is_none(values):
    assert spread_of(values, bounds=(0.0, 1.0), marks=MARKS) is None


def test_a_value_less_than_a_rounding_error_below_the_first_edge_is_counted():
    found = spread_of([0.0] * 9 + [1.0, 2.0, -5.7e-106], bounds=(-math.inf, math.inf), marks=MARKS)
    assert (found.edges[0], sum(found.counts)) == (0.0, 12)


def test_what_is_told_beyond_is_not_drawn_too():
    values = [*np.linspace(1, 2, 300), 2.35, 2.45, 2.55, 90.0, 95.0]
    found = spread_of(values, bounds=(0.0, math.inf), marks=MARKS)
    told = int(found.beyond.split()[0])
    assert sum(found.counts) + told == len(values)


def test_scores_with_bounds_are_drawn_over_all_of_them():
    found = spread_of(np.linspace(0.1, 0.8, 50), bounds=(0.0, 1.0), marks=MARKS)
    assert (found.edges[0], found.edges[-1]) == (0.0, 1.0)
    assert found.marks == (("median", pytest.approx(0.45)),)


def test_a_few_values_far_above_the_others_are_told_not_drawn():
    values = [*np.linspace(1, 2, 300), 90.0]
    found = spread_of(values, bounds=(0.0, math.inf), marks=MARKS)
    assert found.edges[-1] < 3
    assert found.beyond.endswith("up to 90.00")


def test_latencies_come_from_the_record(make_record):
    assert latencies_of(make_record(n=12), "sentiment", "small").tolist() == pytest.approx(
        [0.01 * (i + 1) for i in range(12)]
    )


def test_a_sparkline_says_what_it_draws():
    drawn = sparkline([0.5, math.nan, 0.7], 0.6)
    assert 'aria-label="2 earlier: from 0.500, lowest 0.500, highest 0.700, now 0.600"' in drawn
    assert sparkline([], 0.5) == ""
    assert sparkline([0.5], math.nan) == ""

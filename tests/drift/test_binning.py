"""Frozen bins: equal shares, heavy values apart, and counts that are those of numpy's own search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalharness.drift.binning import bin_codes, bin_edges, count_sorted, sum_of_squares
from evalharness.drift.layout import _positions

ANY = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -0.0, 1.0, 2.0]))


@example(np.array([-np.finfo(np.float64).max]), 1)
@example(np.array([-np.finfo(np.float64).max] * 8 + [0.0, 1.0]), 1)
@given(arrays(np.float64, st.integers(0, 300), elements=ANY), st.integers(1, 20))
def test_counts_are_those_of_a_search_for_each_value(values, bins):
    finite = values[np.isfinite(values)]
    edges = bin_edges(finite, bins)
    assert (np.diff(edges) > 0).all()
    counts, missing, low, high = count_sorted(values, edges)
    assert counts.tolist() == np.bincount(bin_codes(finite, edges), minlength=edges.size + 1).tolist()
    assert (missing, low, high) == (np.isnan(values).sum(), (values == -np.inf).sum(), (values == np.inf).sum())


def test_blocks_add_up():
    values = np.random.default_rng(0).standard_normal(200_001)
    values[::7] = np.nan
    edges = bin_edges(values[np.isfinite(values)], 64)
    counts, missing, _, _ = count_sorted(values, edges)
    by_hand = np.bincount(np.searchsorted(edges, values[np.isfinite(values)]), minlength=edges.size + 1)
    assert counts.tolist() == by_hand.tolist()
    assert missing == np.isnan(values).sum()


def test_bins_have_equal_shares_and_tails_of_their_own():
    values = np.random.default_rng(1).lognormal(size=100_000)
    edges = bin_edges(values, 50)
    shares = count_sorted(values, edges)[0] / values.size
    assert shares.max() == pytest.approx(0.02, abs=1e-4)
    for share in (0.001, 0.002, 0.005, 0.01, 0.02):
        assert np.isclose(np.cumsum(shares), share, atol=1e-4).any()
        assert np.isclose(np.cumsum(shares[::-1]), share, atol=1e-4).any()


def test_far_beyond_the_bulk_there_are_bins_too():
    values = np.random.default_rng(1).standard_normal(1_000)
    low, high = np.quantile(values, [0.25, 0.75])
    for rows in (values, np.concatenate([values, np.zeros(9_000)])):
        edges = bin_edges(rows, 40)
        for times in (1.5, 3, 6, 12):
            assert np.isclose(edges, high + times * (high - low), rtol=0.02).any()
            assert np.isclose(edges, low - times * (high - low), rtol=0.02).any()
    # The quartiles of nothing but a heavy value leave no distance, those of the largest doubles no place.
    assert bin_edges(np.concatenate([np.zeros(990), np.arange(10.0)]), 5).max() < 10
    assert np.isfinite(bin_edges(np.linspace(-1, 1, 1_000) * 1.7e308, 20)).all()


def test_a_heavy_value_has_a_bin_that_nothing_else_is_in():
    rng = np.random.default_rng(2)
    values = np.where(rng.random(50_000) < 0.4, 0.0, rng.standard_normal(50_000))
    edges = bin_edges(values, 64)
    zero = int(bin_codes(np.array([0.0]), edges)[0])
    assert count_sorted(values, edges)[0][zero] == (values == 0).sum()
    assert bin_codes(np.array([-1e-300, 1e-300]), edges).tolist() == [zero - 1, zero + 1]


def test_few_distinct_values_are_a_bin_each():
    values = np.random.default_rng(3).poisson(3.0, 5_000).astype(float)
    counts = count_sorted(values, bin_edges(values, 64))[0]
    assert counts[1:-1].tolist() == np.bincount(values.astype(int)).tolist()
    assert counts[0] == counts[-1] == 0


@pytest.mark.parametrize("values", [np.zeros(0), np.full(10, 7.0)])
def test_nothing_and_one_value(values):
    edges = bin_edges(values, 64)
    assert count_sorted(values, edges)[0].sum() == values.size


def test_squares_add_up_over_blocks():
    values = np.arange(200_000.0)
    assert sum_of_squares(values, values.mean()) == pytest.approx(values.var() * values.size, rel=1e-12)


def test_positions_are_the_means_of_bins_with_their_edges():
    sample = np.repeat([0.0, 1.0, 5.0], [10, 10, 20])
    got = np.array(_positions(sample, np.array([0.0, 1.0]))) * sample.std() + np.median(sample)
    np.testing.assert_allclose(got, [0.0, 1.0, 5.0])

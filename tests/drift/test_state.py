"""Window states: what they keep is what a plain pass finds, and they add up in any order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.core.errors import NotComparableError, RecordError, UsageError
from evalharness.drift.column_states import CategoryState, NumericState
from evalharness.drift.groups import group_of, name_codes
from evalharness.drift.layout import Layout, freeze
from evalharness.drift.state import WindowState
from evalharness.drift.table import Table
from evalharness.stats.fourier import fourier_features

WORDS = ["the flight was late", "my bag is lost", "thank you very much", "refund me now please", "ça va très bien"]
KINDS = {"number": "numeric", "level": "category", "text": "text", "vector": "embedding"}


def rows(n, seed, *, levels="abcdef"):
    rng = np.random.default_rng(seed)
    number = np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(size=n))
    number[rng.random(n) < 0.1] = np.nan
    vector = rng.standard_normal((n, 3))
    return {
        "number": number,
        "level": [None if rng.random() < 0.05 else str(rng.choice(list(levels))) for _ in range(n)],
        "text": [None if rng.random() < 0.1 else str(rng.choice(WORDS)) for _ in range(n)],
        "vector": [None if rng.random() < 0.1 else row.tolist() for row in vector],
        "chat": [f"chat {rng.integers(1 + n // 3)}" for _ in range(n)],
        "language": [str(rng.choice(["de", "en", "fr"])) for _ in range(n)],
    }


def table(n, seed, *, clustered=True, **more):
    return Table.of(
        rows(n, seed, **more),
        kinds=KINDS,
        columns=list(KINDS),
        cluster="chat" if clustered else None,
        segments=["language"],
    )


def frozen(*, segment_levels=2):
    return freeze(table(400, 0), bins=16, features=8, groups=8, terms=6, segment_levels=segment_levels)


LAYOUT = frozen()


def folded(*tables):
    state = WindowState(LAYOUT)
    for one in tables:
        state.update(one)
    return state


def merged(*states):
    whole = WindowState(LAYOUT)
    for one in states:
        whole.merge(one)
    return whole


def assert_same(one, other):
    assert one.n == other.n
    assert one.segments == other.segments
    for segment in ("", *one.segments):
        assert one.sizes[segment] == other.sizes[segment]
        for name in LAYOUT.columns:
            first, second = one.column(name, segment), other.column(name, segment)
            assert first.fresh == second.fresh
            mine, theirs = first.arrays(), second.arrays()
            assert set(mine) == set(theirs)
            for key, array in mine.items():
                if array.dtype.kind == "f":
                    np.testing.assert_allclose(array, theirs[key], rtol=1e-9, atol=1e-9)
                else:
                    assert array.tolist() == theirs[key].tolist(), (segment, name, key)


sizes = st.integers(0, 40)
seeds = st.integers(0, 1_000)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(sizes, seeds), min_size=1, max_size=4), st.booleans())
def test_merged_states_are_the_single_pass(parts, clustered):
    tables = [table(n, seed, clustered=clustered, levels="abcdefghij") for n, seed in parts]
    whole = folded(*tables)
    states = [folded(one) for one in tables]
    assert_same(merged(*states), whole)
    assert_same(merged(*states[::-1]), whole)
    left = merged(merged(*states[:2]), *states[2:])
    right = merged(states[0], merged(*states[1:]))
    assert_same(left, right)
    assert_same(merged(whole, WindowState(LAYOUT)), whole)


@settings(deadline=None, max_examples=15)
@given(sizes, seeds, sizes, seeds)
def test_merging_commutes_to_the_last_bit(n, first, m, second):
    a, b = folded(table(n, first)), folded(table(m, second))
    assert merged(a, b).to_bytes() == merged(b, a).to_bytes()


def test_what_is_kept_is_what_a_plain_pass_finds():
    data = rows(500, 9, levels="abcdefgh")
    state = folded(Table.of(data, kinds=KINDS, columns=list(KINDS), cluster="chat", segments=["language"]))
    number = np.array(data["number"])
    there = number[~np.isnan(number)]
    moments = state.moments("number")
    assert moments.n == there.size
    assert moments.mean == pytest.approx(there.mean())
    assert moments.var == pytest.approx(there.var(ddof=1))
    assert state.column("number").missing == np.isnan(number).sum()
    edges = LAYOUT.columns["number"].cuts
    assert (
        state.counts("number").counts.tolist()
        == np.bincount(np.searchsorted(edges, there), minlength=edges.size + 1).tolist()
    )
    held = Counter(level for level in data["level"] if level)
    known = LAYOUT.columns["level"].names
    assert set(known) == set("abcdef")
    assert state.counts("level").counts.tolist() == [*(held[name] for name in known), held["g"] + held["h"]]
    assert state.fresh("level") == {"g": held["g"], "h": held["h"]}
    assert state.distinct("level") == len(held)
    texts = [text for text in data["text"] if text]
    counts = state.counts("text")
    for term, count in zip(LAYOUT.columns["text"].names, counts.counts, strict=False):
        assert count == sum(term in text.split() for text in texts)
    vectors = np.array([row for row in data["vector"] if row], dtype=np.float32)
    expected = fourier_features(vectors, LAYOUT.columns["vector"].matrix).sum(axis=0)
    np.testing.assert_allclose(state.features("vector").groups.sum(axis=0), expected, rtol=1e-5, atol=1e-5)
    assert state.features("vector").n == len(vectors)


def test_groups_are_those_of_the_clusters():
    data = rows(300, 4)
    state = folded(Table.of(data, kinds=KINDS, columns=list(KINDS), cluster="chat", segments=["language"]))
    group = group_of(name_codes(data["chat"]), 8)
    counts = state.counts("level")
    for g in range(8):
        held = Counter(level for level, own in zip(data["level"], group, strict=True) if own == g and level)
        assert counts.groups[g].tolist() == [held[name] for name in LAYOUT.columns["level"].names] + [0]
    number = np.array(data["number"])
    sums = [number[(group == g) & ~np.isnan(number)].sum() for g in range(8)]
    np.testing.assert_allclose(state.moments("number").groups[:, 1], sums)
    assert counts.groups.sum(axis=0).tolist() == counts.counts.tolist()


def test_segments_are_divided_and_the_rest_is_other():
    data = rows(300, 5)
    state = folded(Table.of(data, kinds=KINDS, columns=list(KINDS), cluster="chat", segments=["language"]))
    sizes_of = Counter(data["language"])
    known = LAYOUT.segments["language"]
    assert len(known) == 2
    (rest,) = set(sizes_of) - set(known)
    told = {segment: state.sizes[segment] for segment in state.segments}
    assert told == {f"language={level}": sizes_of[level] for level in known} | {"language=(other)": sizes_of[rest]}
    level = known[0]
    held = Counter(x for x, own in zip(data["level"], data["language"], strict=True) if own == level and x)
    counts = state.counts("level", f"language={level}").counts
    assert counts[:-1].tolist() == [held[name] for name in LAYOUT.columns["level"].names]


def test_many_new_levels_stay_bounded_and_are_never_counted_too_high():
    layout = freeze(Table.of({"x": ["a", "b"]}, kinds={"x": "category"}))
    state = WindowState(layout)
    state.update(Table.of({"x": [f"n{i}" for i in range(20_000)] + ["often"] * 5_000}, kinds={"x": "category"}))
    state.update(Table.of({"x": [f"m{i}" for i in range(20_000)] + ["often"] * 5_000}, kinds={"x": "category"}))
    column = state.column("x")
    assert isinstance(column, CategoryState)
    assert len(column.fresh) <= 256
    assert 10_000 - 50_000 / 257 <= state.fresh("x")["often"] <= 10_000
    assert state.distinct("x") == pytest.approx(40_001, rel=0.2)
    assert len(state.to_bytes()) < 10_000


def test_quantiles_come_from_the_bins():
    values = np.random.default_rng(7).lognormal(size=50_000)
    data = Table.of({"x": values})
    state = WindowState(freeze(data))
    state.update(data)
    for q in (0.01, 0.5, 0.9, 0.99):
        below = (values <= state.quantile("x", q)).mean()
        assert below == pytest.approx(q, abs=0.004)
    assert state.quantile("x", 0.0) == values.min()
    assert state.quantile("x", 1.0) == values.max()


def test_infinite_numbers_are_counted_apart():
    layout = freeze(Table.of({"x": [1.0, 2.0, 3.0]}, kinds={"x": "numeric"}))
    state = WindowState(layout)
    state.update(Table.of({"x": [1.0, np.inf, -np.inf, np.nan, np.inf]}, kinds={"x": "numeric"}))
    column = state.column("x")
    assert isinstance(column, NumericState)
    assert column.tally.tolist() == [1, 1, 1, 2]
    assert state.moments("x").mean == 1.0


def test_a_chunk_without_any_vector_is_missing():
    data = Table.of({**rows(5, 1), "vector": [None] * 5}, kinds=KINDS, columns=list(KINDS), segments=["language"])
    state = WindowState(LAYOUT)
    state.update(data)
    assert (state.column("vector").n, state.column("vector").missing) == (0, 5)
    assert not state.features("vector").groups.any()


def test_threads_change_nothing():
    data = table(300, 3)
    one, two = WindowState(LAYOUT), WindowState(LAYOUT)
    one.update(data)
    two.update(data, threads=3)
    assert one.to_bytes() == two.to_bytes()


def test_the_layout_does_not_depend_on_the_chunks():
    data = rows(600, 8)
    whole = Table.of(data, kinds=KINDS, columns=list(KINDS), segments=["language"])
    parts = [
        Table.of({k: v[a:b] for k, v in data.items()}, kinds=KINDS, columns=list(KINDS), segments=["language"])
        for a, b in ((0, 100), (100, 350), (350, 600))
    ]
    one, other = freeze(whole), freeze(parts)
    for name in ("number", "level", "text"):
        assert one.columns[name].names == other.columns[name].names
        assert one.columns[name].edges == other.columns[name].edges
    assert one.segments == other.segments
    assert Layout.from_json(one.to_json()).digest == one.digest


@settings(deadline=None, max_examples=15)
@given(sizes, seeds, st.booleans())
def test_bytes_round_trip(n, seed, clustered):
    state = folded(table(n, seed, clustered=clustered, levels="abcxyz"))
    data = state.to_bytes()
    again = WindowState.from_bytes(data, layout=LAYOUT)
    assert again.to_bytes() == data
    assert again.clustered == state.clustered
    assert_same(again, state)
    again.update(table(5, 1, clustered=clustered))
    assert again.n == n + 5


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_bytes_are_refused(data):
    whole = BYTES
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    broken = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
    with pytest.raises(RecordError):
        WindowState.from_bytes(broken)
    with pytest.raises(RecordError):
        WindowState.from_bytes(whole[:place])


BYTES = folded(table(30, 1)).to_bytes()


def test_another_version_is_refused():
    with pytest.raises(RecordError, match="version 2, and this evalharness reads version 1"):
        WindowState.from_bytes(BYTES[:8] + b"\x02\x00" + BYTES[10:])


def test_another_layout_is_refused_by_the_name_of_the_field():
    other = freeze(table(400, 1), bins=16, features=8, groups=8, terms=6, segment_levels=2)
    with pytest.raises(NotComparableError, match="column 'number' has another 'edges'"):
        WindowState(LAYOUT).merge(WindowState(other))
    with pytest.raises(NotComparableError, match="segments"):
        WindowState.from_bytes(BYTES, layout=frozen(segment_levels=1))
    with pytest.raises(NotComparableError, match="only one of them has the column 'level'"):
        WindowState(LAYOUT).merge(WindowState(Layout({k: v for k, v in LAYOUT.columns.items() if k != "level"})))


def test_windows_that_do_not_fit_are_refused():
    state = folded(table(10, 1))
    with pytest.raises(UsageError, match="some rows of this window have clusters"):
        state.update(table(10, 1, clustered=False))
    with pytest.raises(UsageError, match="has no column 'level'"):
        WindowState(LAYOUT).update(Table.of({"number": [1.0]}, kinds={"number": "numeric"}))
    other = Table.of(
        {**rows(5, 1), "vector": [[1.0, 2.0]] * 5}, kinds=KINDS, columns=list(KINDS), segments=["language"]
    )
    with pytest.raises(UsageError, match="vectors of 2 numbers here and of 3"):
        WindowState(LAYOUT).update(other)
    with pytest.raises(UsageError, match="there is no column 'numbre'; did you mean 'number'"):
        state.counts("numbre")
    with pytest.raises(UsageError, match="kind category, and this asks for one of kind numeric"):
        state.moments("level")

"""Rows of files as tables, whole and in chunks, and the kinds that columns are said to have."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from evalharness.core.errors import DataError, UsageError
from evalharness.drift.layout import freeze
from evalharness.drift.reading import find_files, read_table, stream_tables
from evalharness.drift.state import WindowState
from evalharness.drift.table import Table

N = 250


def rows(start=0):
    rng = np.random.default_rng(start)
    return [
        {
            "latency": float(rng.lognormal()) if i % 9 else None,
            "tokens": int(rng.integers(500)),
            "language": str(rng.choice(["de", "en"])),
            "output": f"answer number {rng.integers(10**6)} to you",
            "chat": f"chat {i // 3}",
        }
        for i in range(start, start + N)
    ]


def write(folder, ending, start=0):
    path = folder / f"part{start}.{ending}"
    match ending:
        case "csv" | "tsv":
            pd.DataFrame(rows(start)).to_csv(path, index=False, sep="," if ending == "csv" else "\t")
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows(start)))
        case _:
            parquet.write_table(pa.Table.from_pylist(rows(start)), path, row_group_size=100)
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_table_and_state(tmp_path, ending):
    for start in (0, N):
        write(tmp_path, ending, start)
    options = {"cluster": "chat", "segments": ["language"], "ignore": ["chat"]}
    whole = read_table(tmp_path, **options)
    assert whole.n == 2 * N
    kinds = {name: column.kind for name, column in whole.columns.items()}
    assert kinds == {"latency": "numeric", "tokens": "numeric", "language": "category", "output": "text"}
    expected = [row["tokens"] for start in (0, N) for row in rows(start)]
    assert whole.columns["tokens"].values.tolist() == expected
    assert np.isnan(whole.columns["latency"].values).sum() == sum(i % 9 == 0 for i in range(2 * N))
    layout = freeze(whole)
    one, many = WindowState(layout), WindowState(layout)
    one.update(whole)
    chunks = list(stream_tables(str(tmp_path / f"*.{ending}"), rows=70, **options))
    assert max(chunk.n for chunk in chunks) <= 70
    for chunk in chunks:
        many.update(chunk)
    assert many.n == one.n
    for name in layout.columns:
        assert many.counts(name).groups.tolist() == one.counts(name).groups.tolist()
    assert many.segments == one.segments == ("language=de", "language=en")


def test_frames_arrow_and_columns_are_one():
    plain = rows()
    frame = pd.DataFrame(plain)
    made = [
        Table.of(given) for given in (plain, frame, pa.Table.from_pylist(plain), {k: list(frame[k]) for k in frame})
    ]
    for other in made[1:]:
        for name, column in made[0].columns.items():
            np.testing.assert_array_equal(column.values, other.columns[name].values)
            assert column.levels == other.columns[name].levels
            assert column.texts == other.columns[name].texts


@pytest.mark.parametrize(
    ("values", "kind", "reason"),
    [
        ([1.5, 2.0, None] * 20, "numeric", "numbers"),
        ([True, False, None] * 20, "category", "yes and no"),
        (["a", "b"] * 20, "category", "2 values that come again"),
        (["always"] * 40, "category", "1 values that come again"),
        ([f"this is text number {i}" for i in range(60)], "text", "5 words on average"),
        ([[1.0, 2.0]] * 5, "embedding", "lists of numbers"),
        ([f"id-{i}" for i in range(60)], None, "names of single rows"),
        (list(range(60)), None, "larger than the one before"),
        ([None] * 9, None, "it has no values"),
        ([float("nan")] * 9, None, "it has no finite values"),
        ([datetime.datetime(2026, 1, 1)] * 9, None, "times are not compared"),
    ],
)
def test_kinds_are_read_off_values_with_a_reason(values, kind, reason):
    found = Table.of(pa.table({"x": values}))
    if kind is None:
        assert not found.columns
        assert len(found.notes) == 1
        assert reason in found.notes[0]
    else:
        assert found.columns["x"].kind == kind
        assert found.reasons["x"] == reason


def test_a_hundred_thousand_levels_and_mixed_types():
    many = [f"level {i % 100_000}" for i in range(200_000)]
    found = Table.of({"x": many, "y": [1, "one"] * 100_000}, kinds={"x": "category", "y": "category"})
    assert len(found.columns["x"].levels) == 100_000
    assert set(found.columns["y"].levels) == {"1", "one"}
    layout = freeze(found)
    assert len(layout.columns["x"].names) == 256
    state = WindowState(layout)
    state.update(found)
    assert state.counts("x").counts.tolist() == [2.0] * 256 + [200_000 - 512.0]


def test_clusters_mean_the_same_in_every_chunk(tmp_path):
    path = write(tmp_path, "jsonl")
    whole = read_table(path, cluster="chat").clusters
    chunks = [chunk.clusters for chunk in stream_tables(path, cluster="chat", rows=32)]
    assert np.concatenate(chunks).tolist() == whole.tolist()
    assert len(set(whole.tolist())) == -(-N // 3)


def test_faults_name_the_place(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        find_files(tmp_path / "nothing.csv")
    with pytest.raises(UsageError, match="no file fits the pattern"):
        find_files(str(tmp_path / "*.csv"))
    with pytest.raises(UsageError, match="holds no file that ends in"):
        find_files(tmp_path)
    odd = tmp_path / "odd.xlsx"
    odd.write_text("x")
    with pytest.raises(UsageError, match=r"ends in \.xlsx, and not in"):
        find_files(odd)
    broken = write(tmp_path, "jsonl")
    lines = broken.read_text().splitlines()
    lines[150] = '{"latency": '
    broken.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"part0\.jsonl:151: no JSON: "):
        list(stream_tables(broken, rows=100))
    fake = tmp_path / "fake.parquet"
    fake.write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_table(fake)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(UsageError, match="holds no rows"):
        read_table(empty)
    with pytest.raises(UsageError, match="did you mean 'latency'"):
        read_table(write(tmp_path, "csv"), columns=["latncy"])


def test_fields_without_one_type_are_text(tmp_path):
    path = tmp_path / "mixed.jsonl"
    rows = [{"x": i % 4 if i % 2 else str(i % 4), "y": [1, {"a": 2}], "b": (True, 1, None)[i % 3]} for i in range(200)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = read_table(path).columns
    assert set(found["x"].levels) == {"0", "1", "2", "3"}
    assert set(found["b"].levels) == {"true", "1"}
    assert found["y"].levels == ('[1, {"a": 2}]',)
    # In two files, one of numbers and one of texts, it is text in both.
    for name, values in (("a", [1, 2] * 50), ("b", ["1", "x"] * 50)):
        (tmp_path / f"part-{name}.jsonl").write_text("".join(f"{json.dumps({'x': v})}\n" for v in values))
    assert set(read_table(str(tmp_path / "part-*.jsonl")).columns["x"].levels) == {"1", "2", "x"}
    path.write_text('{"x": 1}\n[1]\n\nnull\n')
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert [problem.place.line for problem in caught.value.problems] == [2, 4]


def test_whole_numbers_beyond_what_floats_hold_are_read(tmp_path):
    path = tmp_path / "big.parquet"
    parquet.write_table(pa.table({"big": [2**62 + i % 7 for i in range(100)], "x": [i % 5 for i in range(100)]}), path)
    assert read_table(path).columns["big"].values[0] == 2.0**62


def test_a_column_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("x,x\n" + "1,2\n" * 60)
    with pytest.raises(UsageError, match="'x'"):
        read_table(path)

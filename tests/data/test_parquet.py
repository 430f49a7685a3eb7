from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from evalharness.core.errors import DataError, Place
from evalharness.data.parquet import read_parquet

_text = st.text(st.characters(exclude_categories=["Cs"]))
_row = st.fixed_dictionaries(
    {
        "s": st.none() | _text,
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(allow_nan=False),
        "b": st.none() | st.booleans(),
        "l": st.none() | st.lists(st.none() | _text, max_size=3),
        "o": st.fixed_dictionaries({"x": st.none() | st.lists(st.integers(0, 9), max_size=2)}),
    }
)
_SCHEMA = pa.schema(
    [
        ("s", pa.string()),
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("b", pa.bool_()),
        ("l", pa.list_(pa.string())),
        ("o", pa.struct([("x", pa.list_(pa.int64()))])),
    ]
)


@given(rows=st.lists(_row, max_size=5))
def test_rows_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    file = tmp_path_factory.mktemp("round") / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), file)
    assert [r.fields for r in read_parquet(str(file))] == rows


def _one(folder: Path, array: pa.Array) -> list:
    file = folder / "one.parquet"
    pq.write_table(pa.table({"c": array}), file)
    return [r.fields["c"] for r in read_parquet(str(file))]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([float("nan"), 1.5]), [None, 1.5]),
        (pa.array([[float("nan")], [2.0]]), [[None], [2.0]]),
        (pa.array([dt.date(2024, 2, 29), None]), ["2024-02-29", None]),
        (pa.array([dt.datetime(2024, 1, 2, 3, 4, 5)], pa.timestamp("us")), ["2024-01-02T03:04:05"]),
        (pa.array([1], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001"]),
        (pa.array([None, 0], pa.timestamp("ns", tz="UTC")), [None, "1970-01-01T00:00:00+00:00"]),
        (pa.array([dt.time(1, 2, 3)]), ["01:02:03"]),
        (pa.array([dt.timedelta(minutes=1, milliseconds=500)]), [60.5]),
        (pa.array([Decimal("1.25"), None]), [1.25, None]),
        (pa.array([Decimal(12)]), [12]),
        (pa.array([b"caf\xc3\xa9", b"\xff\x00"]), ["café", "/wA="]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), [{"k": 1}]),
        (pa.array([None, None], pa.null()), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types_become_json(tmp_path: Path, array: pa.Array, expected: list) -> None:
    assert _one(tmp_path, array) == expected


def test_places_count_rows_over_row_groups(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"c": list(range(10_000))}), file, row_group_size=1500)
    rows = list(read_parquet(str(file)))
    assert [r.fields["c"] for r in rows] == list(range(10_000))
    assert rows[9_999].place == Place(str(file), 10_000)


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet at all PAR1", b"a,b\n1,2\n"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "rows.parquet"
    file.write_bytes(content)
    with pytest.raises(DataError, match="not a Parquet file that can be read"):
        list(read_parquet(str(file)))


def test_repeated_columns_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), file)
    with pytest.raises(DataError, match="several columns are named 'a'"):
        list(read_parquet(str(file)))

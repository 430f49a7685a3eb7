from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import DataError
from evalharness.data.delimited import read_csv, read_tsv

_cell = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\n", "\r\n", ",", "\t", "a\rb"]
)


@given(
    rows=st.lists(st.lists(_cell, min_size=2, max_size=2), max_size=6),
    dialect=st.sampled_from(["excel", "excel-tab", "unix"]),
)
def test_rows_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list, dialect: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, dialect).writerows([["a", "b"], *rows])
    file = tmp_path_factory.mktemp("round") / "rows.csv"
    file.write_bytes(out.getvalue().encode())
    read = read_tsv if dialect == "excel-tab" else read_csv
    assert [list(r.fields.values()) for r in read(str(file))] == rows


def _write(folder: Path, content: str) -> str:
    file = folder / "rows.csv"
    file.write_bytes(content.encode())
    return str(file)


def test_places_are_the_lines_on_which_rows_start(tmp_path: Path) -> None:
    path = _write(tmp_path, '\ufeffid,text\r\n1,"two\r\nlines"\r\n\r\n2,plain\r\n"3","x\n\ny"\r\n4,end')
    rows = list(read_csv(path))
    assert [r.place.line for r in rows] == [2, 5, 6, 9]
    assert rows[0].fields == {"id": "1", "text": "two\r\nlines"}
    assert rows[3].fields == {"id": "4", "text": "end"}


def test_old_macintosh_line_ends(tmp_path: Path) -> None:
    assert [r.fields for r in read_csv(_write(tmp_path, "a,b\r1,2\r3,4\r"))] == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
    ]


def test_every_bad_row_is_reported_with_its_line(tmp_path: Path) -> None:
    path = _write(tmp_path, 'a,b\n1\n"x\ny",2\n1,2,3\n"q"r,1\n5,6\n"never\nends,7\n')
    with pytest.raises(DataError) as caught:
        list(read_csv(path))
    assert [(p.place.line, p.message.split(";")[0]) for p in caught.value.problems] == [
        (2, "expected 2 fields (a, b), found 1"),
        (5, "expected 2 fields (a, b), found 3"),
        (6, "',' expected after '\"'"),
        (8, "unexpected end of data"),
    ]


def test_bytes_that_are_not_text_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes('a,b\n1,"x\né",\n'.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        list(read_csv(str(file)))
    assert [p.place.line for p in caught.value.problems] == [2, 3]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b,a", "2 columns are named 'a'"),
        ("a,,b", "column 2 has no name"),
        ("a, ", "column 2 has no name"),
    ],
)
def test_headers(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"rows\.csv:1: {message}"):
        list(read_csv(_write(tmp_path, f"{header}\n1,2,3\n")))


def test_empty_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file is empty"):
        list(read_csv(_write(tmp_path, "")))


def test_long_fields_and_gzip(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv.gz"
    file.write_bytes(gzip.compress(b"a,b\n" + b"x" * 300_000 + b",1\n"))
    assert len(str(next(read_csv(str(file))).fields["a"])) == 300_000

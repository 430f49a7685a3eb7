"""Texts that a user brings in a file: one a line, or a field of JSONL, JSON, CSV, TSV and Parquet rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.registry import registry, suggestion
from evalharness.core.types import Row

__all__ = ["read_corpus", "read_plain"]

_READERS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_MOST_SHOWN = 20


def read_plain(path: str, *, base: Path, option: str) -> str:
    """The text of a UTF-8 file; `option` is the probe's option that names it.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    file = base / Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: {file} cannot be read as UTF-8 text: {reason}") from None
    if not text.strip():
        raise UsageError(f"{option}: {file} is empty; give a text")
    return text


def read_corpus(path: str, *, base: Path, option: str, field: str) -> Sequence[Row]:
    """The rows of a file with their places; `field` holds the text of each, of a `.txt` file a line that is not blank.

    Raises:
        UsageError: the file cannot be read, or its ending stands for no format.
        DataError: rows lack the field, or have no text there; there are no rows.
    """
    file = base / Path(path).expanduser()
    ending = file.suffix.lower()
    if ending == ".txt":
        lines = read_plain(path, base=base, option=option).splitlines()
        rows = [Row("", {field: line.strip()}, Place(str(file), i)) for i, line in enumerate(lines, 1) if line.strip()]
    elif ending in _READERS:
        if not file.is_file():
            raise UsageError(f"{option}: there is no file {file}")
        rows = list(registry("datasets").load(_READERS[ending])(str(file)))
    else:
        known = ", ".join((".txt", *_READERS))
        raise UsageError(f"{option}: {file}: the ending {ending!r} stands for no format; there are: {known}")
    problems = [problem for row in rows if (problem := _fault(row, field, option)) is not None]
    if not rows:
        problems = [Problem(Place(str(file)), option, "the file holds no rows; give at least one")]
    if rows and not any(field in row.fields for row in rows):
        problems = problems[:1]  # a column that is missing is missing in every row
    if problems:
        raise DataError(problems[:_MOST_SHOWN])
    return rows


def _fault(row: Row, field: str, option: str) -> Problem | None:
    if field not in row.fields:
        near = suggestion(field, row.fields) or f"; it has: {', '.join(row.fields) or 'none'}"
        return Problem(row.place, option, f"there is no field {field!r}{near}")
    value = row.fields[field]
    if not isinstance(value, str) or not value.strip():
        return Problem(row.place, option, f"the field {field!r} must be text that is not blank; got {value!r}")
    return None

"""Stable sample ids: they name the same row however the rows are ordered and whatever is added between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from evalharness.core.canonical import digest
from evalharness.core.errors import Place
from evalharness.core.registry import suggestion
from evalharness.core.types import Json, Row

from .problems import Problems

__all__ = ["assign_ids"]

_DEFAULT = "id"
_DIGITS = 16


def assign_ids(rows: Sequence[Row], contents: Iterable[Mapping[str, Json]], *, column: str | None) -> list[str]:
    """The id of each row: its value in `column`; else in the column `id`, if that names every row; else its digest.

    `contents` are the rows as they were read, of which digests are taken; identical rows are told apart by the
    suffixes -2, -3 ….

    Raises:
        DataError: if `column` is given and a row has no value there, or two rows have the same one.
    """
    if column is not None:
        return _from_column(rows, column)
    values = [_as_id(row.fields.get(_DEFAULT)) for row in rows]
    ids = [value for value in values if value is not None]
    if len(ids) == len(rows) == len(set(ids)):
        return ids
    return list(_numbered(digest(content)[:_DIGITS] for content in contents))


def _from_column(rows: Sequence[Row], column: str) -> list[str]:
    problems = Problems()
    first: dict[str, Place] = {}
    ids: list[str] = []
    for row in rows:
        value = _as_id(row.fields.get(column))
        if column not in row.fields:
            problems.add(row.place, f"there is no id column {column!r}{suggestion(column, row.fields)}")
        elif value is None:
            found = "nothing" if row.fields[column] in (None, "") else repr(row.fields[column])
            problems.add(row.place, f"the id must be text or a whole number, found {found}", column)
        elif value in first:
            problems.add(row.place, f"the id {value!r} is taken by the row at {first[value]}; ids must differ", column)
        else:
            first[value] = row.place
            ids.append(value)
    problems.check()
    return ids


def _as_id(value: Json) -> str | None:
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _numbered(digests: Iterable[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for name in digests:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}"

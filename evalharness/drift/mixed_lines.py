"""Lines of JSON whose fields have not one type each: numbers that came as text, or once an object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import DataError, Place, Problem

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["mixed_table"]


def mixed_table(lines: Sequence[bytes], file: Path, first: int) -> pa.Table:
    """Lines as a table; a field that Arrow finds no one type for is read as text, as it stands in JSON.

    Raises:
        DataError: naming each line, counted from `first`, that is no JSON object.
    """
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    problems = []
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(Place(str(file), number), "", f"no JSON: {error}"))
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            problems.append(Problem(Place(str(file), number), "", "no JSON object; each line must be one: {…}"))
    if problems:
        raise DataError(problems[:20])
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _array(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    # Arrow would take true for 1 among numbers.
    if len({isinstance(value, bool) for value in values if value is not None}) < 2:
        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError, UnicodeError):
            pass
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()

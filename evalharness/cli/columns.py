"""Plain columns on standard output: easy to read, to `cut` and to `grep`. Nothing in data can steer the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

__all__ = ["columns", "print_json"]


def columns(heads: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> str:
    """The table as text: heads, then one line a row; the columns named in `right` are set to the right."""
    from evalharness.report.text import single_line

    lines = [list(heads), *([single_line(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(line, widths, heads, strict=True)
        ).rstrip()
        for line in lines
    )


def print_json(value: object) -> None:
    """Print `value` as JSON (dataclasses as mappings, NaN as "nan") that any encoding can carry."""
    from evalharness.core.canonical import to_jsonable

    print(json.dumps(to_jsonable(value), indent=2))

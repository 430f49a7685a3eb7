"""A chart: its Vega-Lite, what it is called, what it says in words, and the table of what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..text import single_line

__all__ = ["Chart", "Column", "Spec", "number", "rows_of", "shown"]

Spec = dict[str, Any]


class Column(NamedTuple):
    """The head of a column in a chart's table, and whether it holds numbers."""

    name: str
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class Chart:
    """What a page needs to show a chart: `svg_of` draws it, `columns` and `rows` are the table behind it.

    `spec` is Vega-Lite without a title, size of text or colour scheme: those are the theme's. Text of the data stands
    in its values only, never in a field's name or an expression, and so cannot act.
    """

    title: str
    description: str
    spec: Spec
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def number(value: float | None) -> float | None:
    """`value`, None where it is no finite number: a chart has no place for it."""
    return None if value is None or not math.isfinite(value) else float(value)


def shown(value: Any) -> Any:
    """`value` fit for a drawing: no text in it can act on a terminal, a page or the drawing itself.

    The drawing library ends the process at a character that XML does not allow, so none may pass.
    """
    if isinstance(value, str):
        return single_line(value)
    if isinstance(value, Mapping):
        return {str(key): shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return number(value) if isinstance(value, float) else value


def rows_of(rows: Iterable[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    """Cells as text."""
    return tuple(tuple(single_line(str(cell)) for cell in row) for row in rows)

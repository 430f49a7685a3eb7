"""Figures by two things at once, as a map: the groups of a column called `rows×columns`, such as `length×depth`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.language import t
from ..core.types import MetricResult
from .text import amount, figure

if TYPE_CHECKING:
    from .group_tables import GroupTable

__all__ = ["CROSS", "Grid", "grid_of"]

CROSS = "×"
_SHADES = 9


@dataclass(frozen=True, slots=True)
class Grid:
    """A metric's figures by two columns of groups; a cell is None where there were no samples."""

    task: str
    model: str
    metric: str
    of_rows: str
    of_columns: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[MetricResult | None, ...], ...]

    @property
    def sizes(self) -> str:
        """How many samples a cell has."""
        found = sorted({cell.n for line in self.cells for cell in line if cell is not None})
        return (
            amount(found[0])
            if len(found) == 1
            else t("%(low)s to %(high)s", low=amount(found[0]), high=amount(found[-1]))
        )

    def shade(self, cell: MetricResult | None) -> int:
        """How dark a cell is drawn, from 0 to 9: where its figure lies within the metric's bounds, or the map's."""
        if cell is None or math.isnan(cell.value):
            return 0
        low, high = cell.bounds
        if not (math.isfinite(low) and math.isfinite(high)):
            values = [c.value for line in self.cells for c in line if c is not None and not math.isnan(c.value)]
            low, high = min(values), max(values)
        return round(_SHADES * (cell.value - low) / (high - low)) if high > low else 0

    @staticmethod
    def shown(cell: MetricResult | None) -> str:
        """The figure of a cell, with two decimals where it lies between 0 and 1."""
        if cell is None or math.isnan(cell.value):
            return figure(None)
        return f"{cell.value:.2f}" if 0 <= cell.value <= 1 else figure(cell.value)


def grid_of(table: GroupTable) -> Grid | None:
    """The map that `table` is, None where its column names no two things, or a group has no two parts."""
    of_rows, cross, of_columns = table.column.partition(CROSS)
    parts = {name: name.split(CROSS) for name, _ in table.rows}
    if not cross or CROSS in of_columns or any(len(part) != 2 for part in parts.values()):
        return None
    by_place = {(parts[name][0], parts[name][1]): result for name, result in table.rows}
    rows = _sorted(row for row, _ in by_place)
    columns = _sorted(column for _, column in by_place)
    cells = tuple(tuple(by_place.get((row, column)) for column in columns) for row in rows)
    return Grid(table.task, table.model, table.metric, of_rows, of_columns, rows, columns, cells)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    """Numbers by size, whatever unit stands behind them; other names as text."""

    def key(name: str) -> tuple[bool, float, str]:
        try:
            return False, float(name.rstrip("% ")), name
        except ValueError:
            return True, 0.0, name

    return tuple(sorted(set(names), key=key))

"""Time, tokens and cost as plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .charts import Column
from .costs import cost_table
from .text import figure
from .view import ReportView, operations_of

if TYPE_CHECKING:
    from ..record import RunManifest

__all__ = ["PlainTable", "costs_table", "operations_table"]


class PlainTable(NamedTuple):
    """Heads and lines as text, for the component `plain_table`."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def operations_table(view: ReportView) -> PlainTable | None:
    """One line a task and model, one column a figure that every task has; None where there is none."""
    found = operations_of(view)
    if found is None:
        return None
    heads = (Column("task", is_number=False), Column("model", is_number=False), *map(Column, found.names))
    rows = ((row.task, row.model, *("" if r is None else figure(r.value) for r in row.cells)) for row in found.rows)
    return PlainTable(heads, tuple(rows))


def costs_table(manifest: RunManifest) -> PlainTable | None:
    """One line a model and one for all of them; None where no model may have cost anything."""
    found = cost_table(manifest)
    if found is None:
        return None
    first, *others = found.heads
    return PlainTable((Column(first, is_number=False), *map(Column, others)), found.rows)

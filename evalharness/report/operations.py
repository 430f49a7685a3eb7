"""Time, tokens and cost as plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from ..core.language import t
from .bars import Scale, span_bar
from .charts import Column
from .costs import cost_table
from .spread import latencies_of
from .text import figure
from .view import ReportView, operations_of

if TYPE_CHECKING:
    from ..record import Record, RunManifest

__all__ = ["PlainTable", "costs_table", "operations_table"]


class PlainTable(NamedTuple):
    """Heads and lines as text, for the component `plain_table`."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Markup, ...], ...]


def operations_table(record: Record, view: ReportView) -> PlainTable | None:
    """One line a task and model, one column a figure that every task has; None where there is none.

    The last column draws how long answers took, from the 5th to the 95th percentile, all on one scale.
    """
    found = operations_of(view)
    if found is None:
        return None
    import numpy as np

    seconds = [latencies_of(record, row.task, row.model) for row in found.rows]
    spans = [tuple(np.percentile(own, (5, 50, 95)).tolist()) if own.size else None for own in seconds]
    longest = max((span[2] for span in spans if span is not None), default=0.0)
    heads = [Column(t("task"), is_number=False), Column(t("model"), is_number=False), *map(Column, found.names)]
    if longest > 0:
        heads.append(Column(t("latency, 5th to 95th percentile"), is_number=False))
    rows = []
    for row, span in zip(found.rows, spans, strict=True):
        cells: list[str | Markup] = [row.task, row.model]
        cells += ["" if r is None else figure(r.value) for r in row.cells]
        if longest > 0:
            cells.append(span_bar(span, Scale(0.0, longest), unit="s") if span is not None else "")
        rows.append(tuple(cells))
    return PlainTable(tuple(heads), tuple(rows))


def costs_table(manifest: RunManifest) -> PlainTable | None:
    """One line a model and one for all of them; None where no model may have cost anything."""
    found = cost_table(manifest)
    if found is None:
        return None
    first, *others = found.heads
    return PlainTable((Column(first, is_number=False), *map(Column, others)), found.rows)

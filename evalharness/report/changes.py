"""What changed against the baseline, for the report of a run: the comparison, shortened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..compare.records import compare_records
from ..compare.result import Comparison
from ..core.errors import EvalHarnessError
from ..core.language import t
from .compare_html import changed_view, figure_tables
from .compare_text import changed_by_figure, headline, how_text, summary_text
from .text import plural

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["Changes", "changes_of"]

_CHANGED = ("better", "worse", "changed sides")
# The page of the comparison has more of them.
_SAMPLES = 3
_FIGURES = 4


@dataclass(frozen=True, slots=True)
class Changes:
    """What the report says of the baseline; `why_not` where the two cannot be compared, and then nothing else.

    `tables` hold the figures that changed, `same` those of which no difference is shown.
    """

    headline: str
    summary: str = ""
    why_not: str = ""
    how: str = ""
    comparison: Comparison | None = None
    tables: tuple[dict[str, Any], ...] = ()
    same: tuple[dict[str, Any], ...] = ()
    same_title: str = ""
    changed: tuple[dict[str, Any], ...] = ()
    command: str = ""


def changes_of(record: Record, baseline: Record) -> Changes:
    """How `record` differs from `baseline` on the samples that both have."""
    try:
        found = compare_records([record], baseline, n_changed=_SAMPLES)
    except EvalHarnessError as error:
        return Changes(
            t("%(run)s is not compared with %(baseline)s", run=record.id, baseline=baseline.id), why_not=str(error)
        )
    flipped = [pair for pair in changed_by_figure(found) if pair[1]][:_FIGURES]
    tables = [table for table in figure_tables(found) if table["id"] == "figures"]
    changed, same = _rows(tables, are_changed=True), _rows(tables, are_changed=False)
    n_same = sum(len(table["rows"]) for table in same)
    return Changes(
        headline(found),
        summary=t("%(sentence)s.", sentence=summary_text(found)),
        how=how_text(found),
        comparison=found,
        tables=changed,
        same=same,
        same_title=t("%(figures)s without a difference shown", figures=plural(n_same, "figure")) if n_same else "",
        changed=tuple(changed_view(found, one, own) for one, own in flipped),
        command=f"evalharness compare {baseline.id} {record.id} --format html",
    )


def _rows(tables: list[dict[str, Any]], *, are_changed: bool) -> tuple[dict[str, Any], ...]:
    """The tables with the rows of figures that changed, or of those that did not; each row with its full name."""
    found = [
        {
            **table,
            "rows": [{**row, "again": False} for row in table["rows"] if (_finding(row) in _CHANGED) is are_changed],
        }
        for table in tables
    ]
    return tuple(table for table in found if table["rows"])


def _finding(row: dict[str, Any]) -> str:
    return str(row["row"].of.finding)

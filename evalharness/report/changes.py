"""What changed against the baseline, for the report of a run: the comparison, shortened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..compare.records import compare_records
from ..compare.result import Comparison
from ..core.errors import EvalHarnessError
from ..core.language import t
from .compare_html import changed_view, figure_tables
from .compare_text import changed_by_figure, headline, how_text

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["Changes", "changes_of"]

# The page of the comparison has more of them.
_SAMPLES = 3
_FIGURES = 4


@dataclass(frozen=True, slots=True)
class Changes:
    """What the report says of the baseline; `why_not` where the two cannot be compared, and then nothing else."""

    headline: str
    why_not: str = ""
    how: str = ""
    comparison: Comparison | None = None
    tables: tuple[dict[str, Any], ...] = ()
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
    return Changes(
        headline(found),
        how=how_text(found),
        comparison=found,
        tables=tuple(table for table in figure_tables(found) if table["id"] == "figures"),
        changed=tuple(changed_view(found, one, own) for one, own in flipped),
        command=f"evalharness compare {baseline.id} {record.id} --format html",
    )

"""A drift report as GitHub-flavoured Markdown. Nothing in the data is read as markup."""

from __future__ import annotations

from ..core.drifting import DriftReport
from .drift_text import Row, headline, how_text, rows_of, summary_text
from .markdown import escape_markdown, markdown_table

__all__ = ["drift_markdown"]

_HEAD = ("column", "finding", "effect", "threshold", "measure", "p", "reference → current", "n")


def drift_markdown(report: DriftReport) -> str:
    """The headline, the table, and how it is to be read."""
    lines = [f"# {_e(headline(report))}", "", f"{_e(summary_text(report), limit=2000)}.", ""]
    rows = rows_of(report)
    segments = any(row.segment for row in rows)
    head = [_HEAD[0], *(["segment"] if segments else []), *_HEAD[1:]]
    right = [head.index(name) for name in ("effect", "threshold", "p", "n")]
    lines += markdown_table(head, [_cells(row, segments) for row in rows], right=right)
    lines += ["", how_text(report), ""]
    lines += [f"- {_e(note, limit=2000)}" for note in report.notes]
    return "\n".join(lines).rstrip() + "\n"


def _cells(row: Row, segments: bool) -> list[str]:
    state = f"**{row.state}**" if row.of.drifted else row.state
    first = [_e(row.column), *([_e(row.segment)] if segments else []), state]
    return [*first, row.effect, row.threshold, _e(row.of.effect_name), row.p, _e(row.moved), row.n]


def _e(text: str, *, limit: int = 200) -> str:
    return escape_markdown(text, limit=limit)

"""A drift report on a terminal. No markup in data is obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.drifting import DriftReport
from .drift_text import headline, how_text, rows_of, summary_text
from .terminal import Printer, make_console
from .terminal import table as table_of
from .terminal import text as text_of
from .text import clip, share, single_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_drift"]

_STYLES = {"drift": "bold red", "small": "yellow", "no_drift": "", "too_few": "dim"}
_LINES, _TERMS, _EXAMPLES, _TEXT = 40, 6, 2, 100


def print_drift(report: DriftReport, *, console: Console | None = None) -> None:
    """Print what has drifted, every column's line, and the terms and examples that moved most."""
    out = Printer(console or make_console())
    out(text_of(headline(report), "bold red" if report.drifted else "bold"))
    out(text_of(summary_text(report)))
    rows = rows_of(report)
    segments = any(row.segment for row in rows)
    shown = table_of(
        ("column", "left"),
        *([("segment", "left")] if segments else []),
        ("finding", "left"),
        ("effect", "right"),
        ("from", "right"),
        ("finds", "right"),
        ("measure", "left"),
        ("p", "right"),
        ("reference → current", "left"),
    )
    for row in rows[:_LINES]:
        cells = [row.column, *([row.segment] if segments else []), row.state, row.effect, row.threshold, row.smallest]
        cells += [row.of.effect_name, row.p, row.moved]
        style = _STYLES[row.of.state]
        shown.add_row(*(text_of(cell, style if i in (0, 1 + segments) else "") for i, cell in enumerate(cells)))
    out(shown)
    if len(rows) > _LINES:
        out(text_of(f"… {len(rows) - _LINES:,} more lines: --html, --csv or --json", "dim"))
    _terms(report, out)
    _examples(report, out)
    out(text_of(how_text(report), "dim"))
    for note in report.notes:
        out(text_of(f"note: {note}", "yellow"))


def _terms(report: DriftReport, out: Printer) -> None:
    for column in dict.fromkeys(term[0] for term in report.terms):
        mine = [term for term in report.terms if term[0] == column]
        for title, found in (("more", [t for t in mine if t[2] > 0]), ("less", [t for t in mine if t[2] < 0])):
            if found:
                words = ", ".join(
                    f"{single_line(clip(word, 40))} ({share(before, 1)} → {share(now, 1)})"
                    for _, word, _, before, now in found[:_TERMS]
                )
                out(text_of(f"{column}: {title} often than before: {words}"))


def _examples(report: DriftReport, out: Printer) -> None:
    for column in dict.fromkeys(example[0] for example in report.examples):
        for side in ("reference", "current"):
            mine = [e for e in report.examples if e[0] == column and e[1] == side]
            for _, _, body, why in mine[:_EXAMPLES]:
                out(text_of(f"{column}, typical of the {side} ({why}): {clip(single_line(body), _TEXT)}", "dim"))

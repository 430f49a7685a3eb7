"""A comparison on a terminal. No markup in data is obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..compare.result import ChangedSample, Comparison
from .compare_text import (
    SECTIONS,
    Row,
    attribution_text,
    changed_by_figure,
    changes_text,
    compression_text,
    differs_text,
    headline,
    how_text,
    rows_of,
    summary_text,
    won_text,
)
from .terminal import Printer, make_console
from .terminal import table as table_of
from .terminal import text as text_of
from .text import clip, figure, single_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_comparison"]

_STYLES = {
    "better": "green",
    "worse": "bold red",
    "changed sides": "yellow",
    "no difference shown": "",
    "nothing to compare": "dim",
}
_WIDE, _MEDIUM = 104, 84
_GROUPS = 12
_CHANGED = 3
_ANSWER = 90


def print_comparison(comparison: Comparison, *, console: Console | None = None) -> None:
    """Print the tables, what differs and must be said, and the samples that changed most."""
    out = Printer(console or make_console())
    out(text_of(headline(comparison), "bold"))
    if said := differs_text(comparison):
        out(text_of(f"! {said}", "bold yellow"))
    for section, title in SECTIONS:
        rows = rows_of(comparison, section)
        if section == "groups":
            rows, hidden = _worth_showing(rows)
        else:
            hidden = 0
        if rows:
            if section != "figures":
                out(text_of(title, "underline"))
            _table(rows, out)
        if hidden:
            out(text_of(f"… {hidden:,} more rows of groups: --html, --csv or --json", "dim"))
    heads, lines = compression_text(comparison)
    if lines:
        out(text_of("What is kept of the base", "underline"))
        kept = table_of(*((name, "right" if name in ("value", "interval", "n") else "left") for name in heads))
        for line in lines:
            kept.add_row(*map(text_of, line))
        out(kept)
    for title, body, words in attribution_text(comparison):
        out(text_of(f"Attributions: {title}", "underline"))
        drifts = table_of(("", "left"), ("figure", "right"), ("interval", "right"), ("texts", "right"))
        for cells in body:
            drifts.add_row(*map(text_of, cells))
        out(drifts)
        if words:
            out(text_of(f"words that changed most: {words}", "dim"))
    out(text_of(summary_text(comparison), "bold"))
    out(text_of(how_text(comparison), "dim"))
    for note in comparison.notes:
        out(text_of(f"note: {note}", "yellow"))
    _changed(comparison, out)


def _worth_showing(rows: list[Row]) -> tuple[list[Row], int]:
    """The rows of groups, those that got worse first if there are too many; and how many are left out."""
    if len(rows) <= _GROUPS:
        return rows, 0
    order = {"worse": 0, "changed sides": 1, "better": 2}
    first = sorted(rows, key=lambda row: order.get(row.of.finding, 3))[:_GROUPS]
    return [row for row in rows if any(row is one for one in first)], len(rows) - _GROUPS


def _table(rows: list[Row], out: Printer) -> None:
    width = out.console.width
    candidates = any(row.candidate for row in rows)
    columns = [("figure", "left"), *([("candidate", "left")] if candidates else []), ("", "center")]
    columns += [("baseline", "right"), ("value", "right"), ("difference", "right")]
    level = f"{100 * rows[0].of.confidence:g} % interval"
    columns += [(level, "right")] if width >= _MEDIUM else []
    columns += [
        ("p", "right"),
        *([("won, lost", "right")] if width >= _WIDE else []),
        ("n", "right"),
        ("", "left"),
    ]
    table = table_of(*columns)
    table.padding = (0, 1, 0, 0)  # eleven columns
    last = ""
    for row in rows:
        style = _STYLES[row.of.finding]
        name = f"{row.task}.{row.metric}"
        cells = [text_of(name if name != last else "")]
        last = name
        cells += [text_of(row.candidate)] if candidates else []
        cells += [text_of(row.way, "dim"), text_of(row.baseline), text_of(row.value, "bold")]
        cells += [text_of(row.difference, style)]
        cells += [text_of(row.interval)] if width >= _MEDIUM else []
        cells += [text_of(row.p)]
        cells += [text_of(won_text(row.of))] if width >= _WIDE else []
        cells += [text_of(row.n), text_of(f"{row.sign} {row.of.finding}" if row.sign in "✓✗" else row.sign, style)]
        table.add_row(*cells)
    out(table)
    for said in dict.fromkeys(_alone(row) for row in rows if row.alone and row.of.section == "figures"):
        out(text_of(said, "yellow"))


def _alone(row: Row) -> str:
    return f"{row.task}{f' of {row.candidate}' if row.candidate else ''}: {row.alone}"


def _changed(comparison: Comparison, out: Printer) -> None:
    told = set()
    models = len({f.model for f in comparison.figures}) > 1
    for one, samples in changed_by_figure(comparison):
        # One figure of each task tells which samples to look at; the page has them all.
        place = (one.task, one.candidate, one.model)
        if place in told:
            continue
        told.add(place)
        names = [one.candidate] if len(comparison.candidates) > 1 else []
        names += [one.model] if models and one.model not in names else []
        of = f" of {' · '.join(names)}" if names else ""
        out(text_of(f"{one.task}.{one.metric}{of}: {changes_text(one)}", "underline"))
        worst = [sample for sample in samples if sample.worsening > 0][:_CHANGED]
        for sample in worst:
            out(text_of(f"  {clip(single_line(sample.sample_id), 40)}  {_values(sample)}"))
            if _is_answered(sample):
                out(text_of(f"    − {_answer(sample.baseline_answer, sample.baseline_status)}", "dim"))
                out(text_of(f"    + {_answer(sample.answer, sample.status)}", "dim"))
        if (left := one.losses - len(worst)) > 0:
            out(text_of(f"  and {left:,} more that got worse: --html FILE shows them", "dim"))


def _values(sample: ChangedSample) -> str:
    return sample.flip or f"{figure(sample.baseline_value)} to {figure(sample.value)}"


def _is_answered(sample: ChangedSample) -> bool:
    """Whether there is something to show: where a whole text is scored nobody answers."""
    return not (sample.answer is None and sample.baseline_answer is None and sample.status == sample.baseline_status)


def _answer(answer: str | None, status: str) -> str:
    return f"({status})" if answer is None else clip(single_line(answer), _ANSWER)

"""A drift report in words and rounded figures: what its forms on a terminal, in Markdown and on the page share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.drifting import DriftFinding, DriftReport, DriftState
from .compare_text import p_text
from .text import MISSING, figure, interval, plural

__all__ = ["STATES", "Row", "headline", "how_text", "rows_of", "summary_text"]

STATES: dict[DriftState, str] = {
    "drift": "drift",
    "small": "small shift",
    "no_drift": "no drift shown",
    "too_few": "too few rows",
}
_ORDER: tuple[DriftState, ...] = ("drift", "small", "no_drift", "too_few")
_CORRECTIONS = {"bh": "Benjamini-Hochberg", "holm": "Holm", "by": "Benjamini-Yekutieli", "none": "no correction"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, as text; `of` is the finding itself."""

    of: DriftFinding
    column: str
    segment: str
    kind: str
    state: str
    effect: str
    interval: str
    threshold: str
    smallest: str
    p: str
    unadjusted: str
    moved: str
    n: str


def _strength(finding: DriftFinding) -> float:
    """How far the effect is above its threshold: what the table is sorted by."""
    if not math.isfinite(finding.effect) or finding.effect_threshold <= 0:
        return 0.0
    return abs(finding.effect) / finding.effect_threshold


def rows_of(report: DriftReport) -> list[Row]:
    """The lines of the table: what has drifted first, the strongest first, columns in their order otherwise."""
    found = sorted(report.findings, key=lambda f: (_ORDER.index(f.state), -_strength(f)))
    return [_row(report, finding) for finding in found]


def _row(report: DriftReport, one: DriftFinding) -> Row:
    return Row(
        of=one,
        column=one.column,
        segment=one.segment,
        kind=one.kind,
        state=STATES[one.state],
        effect=figure(one.effect),
        interval=interval(one.effect_low, one.effect_high, like=one.effect),
        threshold=figure(one.effect_threshold),
        smallest=figure(one.smallest_effect),
        p=MISSING if math.isnan(one.q_value) else p_text(one.q_value),
        unadjusted=MISSING if math.isnan(one.p_value) else p_text(one.p_value),
        moved=_moved(report, one),
        n=f"{one.n_reference:,} / {one.n_current:,}",
    )


def _moved(report: DriftReport, one: DriftFinding) -> str:
    """The column's first figure on both sides: "mean 2.1 → 2.9"; empty for segments, which have none of their own."""
    found = () if one.segment else report.summaries.get(one.column, ())
    for name, before, now in found:
        like = max(abs(before), abs(now)) if math.isfinite(before) and math.isfinite(now) else None
        return f"{name} {figure(before, like=like)} → {figure(now, like=like)}"
    return ""


def headline(report: DriftReport) -> str:
    """What was found, in one line."""
    whole = {f.column for f in report.findings if not f.segment}
    drifted = {f.column for f in report.drifted if not f.segment}
    parts = {(f.column, f.segment) for f in report.drifted if f.segment and f.column not in drifted}
    if not whole:
        return "Nothing was compared"
    have = "has" if len(parts) == 1 else "have"
    if drifted:
        text = f"{len(drifted)} of {plural(len(whole), 'column')} {'has' if len(drifted) == 1 else 'have'} drifted"
        return f"{text}, and {plural(len(parts), 'segment')} of others" if parts else text
    text = f"No drift shown in {plural(len(whole), 'column')}"
    return f"{text} as a whole, but {plural(len(parts), 'segment')} {have} drifted" if parts else text


def summary_text(report: DriftReport) -> str:
    """What was compared with what."""
    return (
        f"{report.current} ({plural(report.n_current, 'row')}) compared with {report.reference} "
        f"({plural(report.n_reference, 'row')})"
    )


def how_text(report: DriftReport) -> str:
    """How a finding is made, in two sentences."""
    return (
        f"Drift needs evidence and effect: p, corrected over all lines by {_CORRECTIONS[report.correction]}, at most "
        f"{report.alpha:g}, and an effect of at least its threshold. A small shift has the evidence alone; “finds” is "
        "the smallest effect that so many rows would find four times in five."
    )

"""A drift report in words and rounded figures: what its forms on a terminal, in Markdown and on the page share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.drifting import DriftFinding, DriftReport, DriftState
from ..core.language import retold, t
from .compare_text import p_text
from .text import MISSING, figure, interval, plural

__all__ = ["CORRECTION_NAMES", "STATES", "Row", "headline", "how_text", "rows_of", "summary_text"]

STATES: dict[DriftState, str] = {
    "drift": "drift",
    "small": "small shift",
    "no_drift": "no drift shown",
    "too_few": "too few rows",
}
_ORDER: tuple[DriftState, ...] = ("drift", "small", "no_drift", "too_few")
CORRECTION_NAMES = {"bh": "Benjamini-Hochberg", "holm": "Holm", "by": "Benjamini-Yekutieli", "none": "no correction"}


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
    """The lines of the table: columns that have drifted most first, each with its segments after it."""
    best: dict[str, tuple[int, float]] = {}
    for one in report.findings:
        key = (_ORDER.index(one.state), -_strength(one))
        best[one.column] = min(best.get(one.column, key), key)
    found = sorted(
        report.findings,
        key=lambda f: (best[f.column], f.column, bool(f.segment), _ORDER.index(f.state), -_strength(f)),
    )
    return [_row(report, finding) for finding in found]


def _row(report: DriftReport, one: DriftFinding) -> Row:
    return Row(
        of=one,
        column=one.column,
        segment=one.segment,
        kind=one.kind,
        state=t(STATES[one.state]),
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
        return f"{retold(name)} {figure(before, like=like)} → {figure(now, like=like)}"
    return ""


def headline(report: DriftReport) -> str:
    """What was found, in one line."""
    whole = {f.column for f in report.findings if not f.segment}
    drifted = {f.column for f in report.drifted if not f.segment}
    parts = {(f.column, f.segment) for f in report.drifted if f.segment and f.column not in drifted}
    if not whole:
        return t("Nothing was compared")
    columns, segments = plural(len(whole), "column"), plural(len(parts), "segment")
    if drifted:
        n = len(drifted)
        text = (
            t("%(n)s of %(columns)s has drifted", n=n, columns=columns)
            if n == 1
            else t("%(n)s of %(columns)s have drifted", n=n, columns=columns)
        )
        return t("%(sentence)s, and %(segments)s of others", sentence=text, segments=segments) if parts else text
    text = t("No drift shown in %(columns)s", columns=columns)
    if not parts:
        return text
    if len(parts) == 1:
        return t("%(sentence)s as a whole, but %(segments)s has drifted", sentence=text, segments=segments)
    return t("%(sentence)s as a whole, but %(segments)s have drifted", sentence=text, segments=segments)


def summary_text(report: DriftReport) -> str:
    """What was compared with what."""
    return t(
        "%(current)s (%(now)s) compared with %(reference)s (%(before)s)",
        current=report.current,
        now=plural(report.n_current, "row"),
        reference=report.reference,
        before=plural(report.n_reference, "row"),
    )


def how_text(report: DriftReport) -> str:
    """How a finding is made, in two sentences."""
    return t(
        "Drift needs evidence and effect: p, corrected over all lines by %(correction)s, at most %(alpha)s, and an "
        "effect of at least its threshold. A small shift has the evidence alone; “finds” is the smallest effect that "
        "so many rows would find four times in five.",
        correction=t(CORRECTION_NAMES[report.correction]),
        alpha=f"{report.alpha:g}",
    )

"""A drift report as one page that opens from disk, asks no network for anything and runs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from ..core.drifting import DriftFinding, DriftReport
from ..core.language import speaking, t
from .bars import Scale
from .charts import two_sides
from .drift_text import Row, headline, how_text, rows_of, summary_text
from .page import environment, page_css, source_hash
from .text import amount, clip, figure, safe, share

__all__ = ["drift_html"]

_TEXT = 2_000
_PICTURES = 60


def drift_html(report: DriftReport, *, language: str = "en") -> str:
    """The page: the verdict, every column's line, distributions, terms and examples, and how all of it was made.

    Raises:
        UsageError: there is no such language.
    """
    with speaking(language):
        return _page(report)


def _page(report: DriftReport) -> str:
    css = page_css("report.css", "compare.css", "drift.css")
    rows = rows_of(report)
    columns = list(_columns(report, rows))
    text = (
        environment()
        .get_template("drift.html.j2")
        .render(
            css=Markup(css),
            css_hash=Markup(source_hash(css)),
            title=headline(report),
            headline=headline(report),
            summary=summary_text(report),
            how=how_text(report),
            facts=_facts(report),
            notes=report.notes,
            segments=any(row.segment for row in rows),
            rows=[{"row": row, "css": _CSS[row.of.state], "bar": _bar(row.of)} for row in rows],
            columns=columns[:_PICTURES],
            more=len(columns) - _PICTURES,
            tests=sorted({(f.test, f.effect_name) for f in report.findings}),
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")


_CSS = {"drift": "worse", "small": "inconclusive", "no_drift": "none", "too_few": "none"}


def _facts(report: DriftReport) -> list[tuple[str, str, str]]:
    whole = [f for f in report.findings if not f.segment]
    return [
        (t("Drifted"), str(sum(f.state == "drift" for f in whole)), ""),
        (t("Small shift"), str(sum(f.state == "small" for f in whole)), ""),
        (t("No drift shown"), str(sum(f.state == "no_drift" for f in whole)), ""),
        (t("Too few rows"), str(sum(f.state == "too_few" for f in whole)), ""),
        (t("Rows before"), amount(report.n_reference), ""),
        (t("Rows now"), amount(report.n_current), ""),
    ]


def _bar(one: DriftFinding) -> Markup:
    """The effect on a scale that ends at three times its threshold, with the threshold as a tick."""
    if not math.isfinite(one.effect) or one.effect_threshold <= 0:
        return Markup("")
    limit = one.effect_threshold
    scale = Scale(0.0, max(3 * limit, min(abs(one.effect), 6 * limit)))
    css = _CSS[one.state]
    parts = ['<path class="track" d="M0 10h100"/>']
    if math.isfinite(one.effect_low) and math.isfinite(one.effect_high):
        left, right = sorted((scale.x(abs(one.effect_low)), scale.x(abs(one.effect_high))))
        parts.append(f'<path class="ci {css}" d="M{left:.2f} 10h{max(right - left, 0.01):.2f}"/>')
    parts.append(f'<path class="limit" d="M{scale.x(limit):.2f} 1v18"/>')
    parts.append(f'<path class="dot {css}" d="M{scale.x(abs(one.effect)):.2f} 10h0.01"/>')
    label = t("effect %(effect)s, threshold %(threshold)s", effect=figure(one.effect), threshold=figure(limit))
    head = Markup('<svg class="bar" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(safe(label)) + Markup("".join(parts) + "</svg>")


def _columns(report: DriftReport, rows: list[Row]) -> Iterator[dict[str, Any]]:
    """What there is to see of each column, in the order of the table."""
    for row in rows:
        if row.segment:
            continue
        picture = report.pictures.get(row.column, {})
        terms = [t for t in report.terms if t[0] == row.column]
        examples = [e for e in report.examples if e[0] == row.column]
        summaries = report.summaries.get(row.column, ())
        if not (picture or terms or examples or summaries):
            continue
        yield {
            "row": row,
            "css": _CSS[row.of.state],
            "open": row.of.state in ("drift", "small"),
            "chart": two_sides(picture, row.column),
            "summaries": [(name, figure(a), figure(b)) for name, a, b in summaries],
            "terms": [(term, figure(z), share(before, 1), share(now, 1)) for _, term, z, before, now in terms],
            "sides": [
                (side, [(clip(body, _TEXT), why) for _, at, body, why in examples if at == side])
                for side in ("reference", "current")
            ]
            if examples
            else [],
        }

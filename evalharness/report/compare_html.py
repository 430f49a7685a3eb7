"""A comparison as one page that opens from disk, asks no network for anything and runs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from ..compare.result import CORRECTIONS, ChangedSample, ComparedFigure, Comparison
from ..core.language import speaking, t
from .bars import difference_bar
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
    p_text,
    rows_of,
    summary_text,
)
from .page import environment, page_css, source_hash
from .text import amount, clip, figure, level_of, plural
from .worddiff import Piece, word_diff

__all__ = ["changed_view", "compare_html", "figure_tables"]

_TEXT = 8_000


def compare_html(comparison: Comparison, *, language: str = "en") -> str:
    """The page: tables, the samples that changed with their words marked, and where it all comes from.

    Raises:
        UsageError: there is no such language.
    """
    with speaking(language):
        return _page(comparison)


def _page(comparison: Comparison) -> str:
    css = page_css("report.css", "compare.css")
    page = environment().get_template("compare.html.j2")
    text = page.render(
        css=Markup(css),
        css_hash=Markup(source_hash(css)),
        title=headline(comparison),
        headline=headline(comparison),
        summary=summary_text(comparison),
        differs=differs_text(comparison),
        how=how_text(comparison),
        has_two_sided=any(one.best is not None for one in comparison.figures),
        facts=_facts(comparison),
        kept_heads=compression_text(comparison)[0],
        kept=compression_text(comparison)[1],
        attributions=attribution_text(comparison),
        notes=comparison.notes,
        tables=list(figure_tables(comparison)),
        changed=[changed_view(comparison, one, own) for one, own in changed_by_figure(comparison)],
        sides=[("Baseline", comparison.baseline), *(("Candidate", side) for side in comparison.candidates)],
        methods=list(
            dict.fromkeys((f"{f.task}.{f.metric}", f.test, f.interval_method) for f in comparison.of("figures"))
        ),
    )
    # Lone surrogates were made visible on the way; what is left over is a fault, and must not lose the page.
    return text.encode("utf-8", "replace").decode("utf-8")


def _facts(comparison: Comparison) -> list[tuple[str, str, str]]:
    figures = comparison.of("figures")
    found = [f.finding for f in figures]
    pairs = [f.n_paired for f in figures]
    span = amount(max(pairs, default=0)) if len(set(pairs)) < 2 else f"{amount(min(pairs))}–{amount(max(pairs))}"
    return [
        (t("Better"), str(found.count("better")), ""),
        (t("Worse"), str(found.count("worse")), ""),
        *([(t("Changed sides"), str(sides), "")] if (sides := found.count("changed sides")) else []),
        (t("No difference shown"), str(len(found) - sides - found.count("better") - found.count("worse")), ""),
        (t("Samples in pairs"), span, ""),
        (t("Confidence"), level_of(comparison.confidence), ""),
        (t("Correction"), t(CORRECTIONS[comparison.correction]), t("of p-values, over each table")),
    ]


def figure_tables(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The tables of figures as the template takes them; figures of one name share a scale."""
    reach: dict[tuple[str, str], float] = {}
    for one in comparison.figures:
        seen = [abs(v) for v in (one.difference, one.low, one.high) if math.isfinite(v)]
        key = (one.task, one.metric)
        reach[key] = max([reach.get(key, 0.0), *seen])
    for section, title in SECTIONS:
        rows = rows_of(comparison, section)
        if rows:
            yield {
                "id": section,
                "title": title,
                "candidates": any(row.candidate for row in rows),
                "rows": [_line(row, before, reach) for row, before in zip(rows, [None, *rows], strict=False)],
            }


def _line(row: Row, before: Row | None, reach: dict[tuple[str, str], float]) -> dict[str, Any]:
    one = row.of
    css = one.finding if one.finding in ("better", "worse") else "none"
    return {
        "row": row,
        "css": css,
        "again": before is not None and (before.task, before.metric) == (row.task, row.metric),
        "unadjusted": p_text(one.p_value),
        "bar": difference_bar(one, reach[one.task, one.metric], css),
    }


def changed_view(comparison: Comparison, one: ComparedFigure, samples: Sequence[ChangedSample]) -> dict[str, Any]:
    """The samples of a figure that changed, as the template takes them."""
    names = [one.candidate] if len(comparison.candidates) > 1 else []
    if len({f.model for f in comparison.figures}) > 1 and one.model not in names:
        names.append(one.model)
    name = f"{one.task}.{one.metric}"
    left = one.losses + one.wins - len(samples)
    more = t("%(samples)s changed; --changed N shows more.", samples=plural(left, "more sample")) if left > 0 else ""
    return {
        "name": t("%(figure)s of %(names)s", figure=name, names=" · ".join(names)) if names else name,
        "counts": changes_text(one),
        "samples": [_sample(sample) for sample in samples],
        "more": more,
    }


def _sample(sample: ChangedSample) -> dict[str, Any]:
    old, new = sample.baseline_answer, sample.answer
    before: list[Piece] | None
    after: list[Piece] | None
    before, after = word_diff(clip(old or "", _TEXT), clip(new or "", _TEXT))
    if old is None or new is None:
        before = None if old is None else [Piece("same", clip(old, _TEXT))] if old else []
        after = None if new is None else [Piece("same", clip(new, _TEXT))] if new else []
    sides = [
        {"title": "baseline", "pieces": before, "status": sample.baseline_status, "read": sample.baseline_read},
        {"title": "candidate", "pieces": after, "status": sample.status, "read": sample.read},
    ]
    return {
        "id": sample.sample_id,
        "css": "worse" if sample.worsening > 0 else "better",
        "change": sample.flip or f"{figure(sample.baseline_value)} → {figure(sample.value)}",
        "groups": list(sample.groups.items()),
        "gold": clip(" | ".join(sample.gold), 500),
        "sides": sides,
        "prompt": clip(sample.prompt, _TEXT),
        "baseline_prompt": None if sample.baseline_prompt is None else clip(sample.baseline_prompt, _TEXT),
    }

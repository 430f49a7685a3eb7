"""A comparison as GitHub-flavoured Markdown, for pull requests. Nothing in the data is read as markup."""

from __future__ import annotations

from collections.abc import Sequence

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
)
from .markdown import escape_markdown, markdown_table
from .text import MISSING, figure

__all__ = ["compare_markdown", "figures_markdown"]

_SIGN = {"better": "✅ better", "worse": "❌ worse", "no difference shown": "no difference shown"}
_CHANGED = 10
_ANSWER = 300


def compare_markdown(comparison: Comparison) -> str:
    """The tables, and of each figure the samples that changed most."""
    lines = [f"# {_e(headline(comparison))}", ""]
    if said := differs_text(comparison):
        lines += [f"> ⚠️ **{_e(said, limit=2000)}**", ""]
    lines += [f"{summary_text(comparison)}.", ""]
    for section, title in SECTIONS:
        rows = rows_of(comparison, section)
        if rows:
            lines += [f"## {title}", "", *_table(rows)]
    heads, kept = compression_text(comparison)
    if kept:
        body = [[_e(cell) for cell in line] for line in kept]
        numbers = [index for index, name in enumerate(heads) if name in ("value", "interval", "n")]
        lines += ["## What is kept of the base", "", *markdown_table(list(heads), body, right=numbers)]
    drifts = attribution_text(comparison)
    lines += ["## Attributions", "", "What the explanations of the same texts look at.", ""] if drifts else []
    for title, facts, words in drifts:
        cells = [[_e(cell) for cell in line] for line in facts]
        lines += [
            f"### {_e(title)}",
            "",
            *markdown_table(["what", "figure", "interval", "texts"], cells, right=(1, 2, 3)),
        ]
        lines += [f"Words that changed most: {_e(words, limit=2000)}", ""] if words else []
    lines += [how_text(comparison).replace("<", "&lt;"), ""]
    several = len({f.model for f in comparison.figures}) > 1
    changed = list(changed_by_figure(comparison))
    if changed:
        lines += ["## Samples that changed", ""]
    for one, samples in changed:
        names = [one.candidate] if len(comparison.candidates) > 1 else []
        names += [one.model] if several and one.model not in names else []
        of = f" of {' · '.join(names)}" if names else ""
        lines += [
            f"<details><summary>{_e(f'{one.task}.{one.metric}{of}')}: {changes_text(one)}</summary>",
            "",
            *_changed(samples),
            "</details>",
            "",
        ]
    if comparison.notes:
        lines += ["## Notes", "", *(f"- {_e(note, limit=2000)}" for note in comparison.notes), ""]
    return "\n".join(lines).rstrip() + "\n"


def figures_markdown(comparison: Comparison) -> list[str]:
    """The table of its figures alone, for the report of a run, and how it is to be read."""
    rows = rows_of(comparison, "figures")
    return [*_table(rows), how_text(comparison).replace("<", "&lt;"), ""] if rows else []


def _e(text: str, *, limit: int = 300) -> str:
    return escape_markdown(text, limit=limit)


def _table(rows: Sequence[Row]) -> list[str]:
    candidates = any(row.candidate for row in rows)
    level = f"{100 * rows[0].of.confidence:g} % interval"
    head = ["task", "metric", *(["candidate"] if candidates else []), "baseline", "value", "difference", level, "p"]
    head += ["better / worse / same", "n", "finding"]
    first = 3 if candidates else 2
    body = []
    for row in rows:
        names = [row.task, f"{row.metric} {row.way}", *([row.candidate] if candidates else [])]
        numbers = [row.baseline, row.value, row.difference, row.interval, row.p.replace("<", "&lt;"), row.counts, row.n]
        body.append([*map(_e, names), *numbers, _SIGN.get(row.of.finding, row.of.finding)])
    return markdown_table(head, body, right=range(first, first + 7))


def _changed(samples: Sequence[ChangedSample]) -> list[str]:
    worse = [s for s in samples if s.worsening > 0][:_CHANGED]
    better = [s for s in samples if s.worsening < 0][-_CHANGED:]
    rows = [
        [
            _e(sample.sample_id),
            sample.flip or f"{figure(sample.baseline_value)} → {figure(sample.value)}",
            _answer(sample.baseline_answer, sample.baseline_status),
            _answer(sample.answer, sample.status),
            _e(" | ".join(sample.gold), limit=_ANSWER) if sample.gold else MISSING,
        ]
        for sample in (*worse, *better)
    ]
    return markdown_table(["sample", "change", "baseline", "candidate", "gold"], rows)


def _answer(answer: str | None, status: str) -> str:
    return f"*{_e(status)}*" if answer is None else _e(answer, limit=_ANSWER)

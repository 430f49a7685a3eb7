"""Two windows compared: every column, and every column within every segment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core.drifting import DriftFinding
from ..stats.arrays import Bools, Ints
from .decide import decided
from .embedded import typical_texts
from .lines import chosen_test, tested
from .policy import Policy
from .result import Drift
from .shapes import missing_counts, sides_of
from .show import examples_of, picture_of, summary_of, terms_of
from .table import Column, Table
from .tests.location import Rate

__all__ = ["MISSING", "compare_tables"]

MISSING = " is missing"
_SEGMENTS = 50

Masks = tuple[Bools, Bools]


def compare_tables(
    reference: Table, current: Table, policy: Policy, *, names: tuple[str, str] = ("reference", "current")
) -> Drift:
    """What has drifted between two windows, with what a reader needs to see it.

    Numbers are compared by every row. Levels of categories are those of both windows; texts are compared by the words
    that most of them hold. Values that are missing on any side are compared beside the column, as `NAME is missing`.
    """
    pairs = {name: (was, current.columns[name]) for name, was in reference.columns.items() if name in current.columns}
    notes = list(dict.fromkeys((*reference.notes, *current.notes)))
    notes += [f"column {name!r} is in {names[0]} only" for name in reference.columns if name not in pairs]
    segments = list(_segments(reference, current, notes))
    clusters = (reference.clusters, current.clusters)
    lines = [
        line
        for name, pair in pairs.items()
        for segment, masks in segments
        if not segment or name != segment.partition("=")[0]
        for line in _lines(name, segment, pair, masks, clusters, policy.of_segment(segment))
    ]
    found = decided(lines, policy)
    moved = [f.column for f in found if f.state in ("drift", "small") and not f.segment]
    texts = [name for name, pair in pairs.items() if pair[0].kind == "text"]
    terms, examples = [], []
    for name in (name for name in pairs if name in moved):
        if pairs[name][0].kind == "embedding":
            examples += typical_texts(name, pairs[name])
        elif name in texts:
            told, typical = terms_of(name, pairs[name])
            terms += told
            examples += typical
        elif texts:
            shown = _best_text(texts)
            examples += examples_of(name, pairs[name], pairs[shown], shown)
    return Drift(
        reference=names[0],
        current=names[1],
        n_reference=reference.n,
        n_current=current.n,
        findings=found,
        alpha=policy.alpha,
        correction=policy.correction,
        notes=tuple(notes),
        pictures={name: picture for name, pair in pairs.items() if (picture := picture_of(pair))},
        summaries={name: summary for name, pair in pairs.items() if (summary := summary_of(pair))},
        terms=tuple(terms),
        examples=tuple(examples),
    )


def _best_text(texts: list[str]) -> str:
    """What was answered says more of a row than what was asked."""
    return next((name for name in texts if "output" in name.lower() or "answer" in name.lower()), texts[0])


def _segments(reference: Table, current: Table, notes: list[str]) -> Iterator[tuple[str, Masks]]:
    """The whole window as "", then each level of each segment as "language=de"."""
    yield "", (np.ones(reference.n, dtype=bool), np.ones(current.n, dtype=bool))
    for name, before in reference.segments.items():
        now = current.segments[name]
        levels = sorted({*before.levels, *now.levels}, key=lambda level: (-_size(before, level), level))
        if len(levels) > _SEGMENTS:
            notes.append(f"segment {name!r} has {len(levels):,} values; the {_SEGMENTS} most frequent are looked at")
        for level in levels[:_SEGMENTS]:
            yield f"{name}={level}", (_rows_of(before, level), _rows_of(now, level))


def _rows_of(column: Column, level: str) -> Bools:
    code = column.levels.index(level) if level in column.levels else -2
    found: Bools = np.asarray(column.values) == code
    return found


def _size(column: Column, level: str) -> int:
    return int(_rows_of(column, level).sum())


def _lines(
    name: str,
    segment: str,
    pair: tuple[Column, Column],
    masks: Masks,
    clusters: tuple[Ints | None, Ints | None],
    policy: Policy,
) -> Iterator[DriftFinding]:
    kind = pair[0].kind
    both = all(column.is_yes_or_no for column in pair)
    test = chosen_test(name, kind, policy.tests, yes_or_no=both)
    sizes = [int((mask & column.present).sum()) for mask, column in zip(masks, pair, strict=True)]
    sides = sides_of(pair, masks, clusters, rate=test.name == "rate")
    yield tested(name, segment, kind, test, sides, (sizes[0], sizes[1]), policy)
    gone = None if name in policy.sampled else missing_counts(pair, masks, clusters)
    if gone is not None:
        rows = (int(masks[0].sum()), int(masks[1].sum()))
        yield tested(name + MISSING, segment, "category", Rate(), gone, rows, policy)

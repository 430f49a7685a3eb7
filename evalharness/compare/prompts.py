"""Comparing prompts: what must agree all the same, so that only the prompt differs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import NotComparableError
from ..core.types import MetricResult
from ..record.arrays import rows_at
from .matching import match_rows

if TYPE_CHECKING:
    from ..record import Record
    from .subjects import FigurePair

__all__ = ["require_same_gold", "same_rows"]


def same_rows(record: Record, figure: MetricResult, other: Record, against: MetricResult) -> bool:
    """Whether both tasks read datasets of the same digest, though perhaps other fields of their rows."""
    ours, theirs = _dataset_digest(record, figure), _dataset_digest(other, against)
    return ours is not None and ours == theirs


def _dataset_digest(record: Record, figure: MetricResult) -> str | None:
    tasks: Any = record.manifest.suite.get("tasks") or ()
    names = [task.get("dataset") for task in tasks if task.get("id") == figure.task]
    entry = record.manifest.datasets.get(str(names[0])) if names else None
    found = entry.get("digest") if entry is not None else None
    return str(found) if found else None


def require_same_gold(record: Record, other: Record, pairs: Iterable[FigurePair]) -> None:
    """Raise unless the samples of equal ids have the same target and references in both records.

    The digest of a prompt's sources covers those of its references, too: allowing the one to differ must not let
    answers be measured against other gold.

    Raises:
        NotComparableError: with the task and how many samples differ.
    """
    done = set()
    for pair in pairs:
        place = (pair.current.task, pair.current.model, pair.baseline.task, pair.baseline.model)
        if place in done:
            continue
        done.add(place)
        ids, gold = record.gold(*place[:2])
        other_ids, other_gold = other.gold(*place[2:])
        match = match_rows(ids, other_ids)
        for name, column in gold.items():
            ours, theirs = rows_at(column, match.ours), rows_at(other_gold[name], match.theirs)
            if ours.equals(theirs):
                continue
            cells = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
            n = int(np.count_nonzero([a != b for a, b in cells]))
            raise NotComparableError(
                f"{place[0]} of {record.id} and {place[2]} of {other.id} measure against other answers: {name} differs "
                f"in {n:,} of {len(match.ours):,} samples; prompts are compared on the same {name}"
            )

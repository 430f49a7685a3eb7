"""Pairs two records' samples for one figure, and computes both figures anew on the pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.protocols import Array
from ..core.types import MetricResult
from .paired import figure_of, paired_change, paired_point
from .rebuild import metric_of

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["PairedFigure", "Pairing", "identity_of", "pair"]


@dataclass(frozen=True, slots=True)
class Pairing:
    """How a run was paired with its baseline for one rule.

    `n_worse` and `n_better` count the pairs whose own value changed.

    `regression` is how much worse the run is than the baseline on the `n_paired` samples that both have (negative
    where it is better), in the metric's own unit; `low` and `high` are its interval at `confidence`.
    """

    n_paired: int
    n_only_current: int
    n_only_baseline: int
    n_worse: int
    n_better: int
    regression: float
    low: float
    high: float
    method: str
    confidence: float


class PairedFigure(NamedTuple):
    """Both runs' figures on the samples that both have."""

    current: float
    baseline: float
    pairing: Pairing


class _Rows(NamedTuple):
    keys: list[tuple[str, int]]
    clusters: list[str | None]
    values: Array


def identity_of(record: Record, figure: MetricResult) -> dict[str, Any]:
    """The digests of data, prompt, generation and kind of the task that `figure` belongs to."""
    for task in record.manifest.tasks:
        if (task.id, task.model) == (figure.task, figure.model):
            return dict(task.identity) if isinstance(task.identity, dict) else {"identity": task.identity}
    return {}


def pair(
    record: Record,
    figure: MetricResult,
    baseline: Record,
    against: MetricResult,
    *,
    confidence: float,
    interval: bool,
) -> PairedFigure:
    """The paired figures of `figure` and `against`; the interval of the regression only where it is asked for."""
    ours, theirs = _rows(record, figure), _rows(baseline, against)
    place = {key: i for i, key in enumerate(theirs.keys)}
    both = [(i, place[key]) for i, key in enumerate(ours.keys) if key in place]
    mine = np.array([i for i, _ in both], dtype=np.intp)
    other = np.array([j for _, j in both], dtype=np.intp)
    current, before = ours.values[mine], theirs.values[other]
    metric = metric_of(record, figure)
    n = len(both)
    values = figure_of(metric, current), figure_of(metric, before)
    change = (
        paired_change(
            current,
            before,
            metric,
            confidence=confidence,
            seed=record.manifest.seed,
            clusters=[ours.clusters[i] for i, _ in both],
        )
        if interval
        else paired_point(current, before, metric)
    )
    pairing = Pairing(
        n_paired=n,
        n_only_current=len(ours.keys) - n,
        n_only_baseline=len(theirs.keys) - n,
        n_worse=change.n_worse,
        n_better=change.n_better,
        regression=change.regression,
        low=change.low,
        high=change.high,
        method=change.method,
        confidence=confidence,
    )
    return PairedFigure(values[0], values[1], pairing)


def _rows(record: Record, figure: MetricResult) -> _Rows:
    """The statistics rows of a figure. The key counts the samples of equal content, so that each is paired once."""
    table = record.stats(figure.task, figure.model, figure.metric)
    keep = range(len(table))
    if figure.group is not None:
        members = _members(record, figure)
        keep = [i for i in keep if table.sample_ids[i] in members]  # type: ignore[assignment]
    seen: Counter[str] = Counter()
    keys: list[tuple[str, int]] = []
    for i in keep:
        digest = str(table.digests[i])
        keys.append((digest, seen[digest]))
        seen[digest] += 1
    index = np.array(list(keep), dtype=np.intp)
    return _Rows(keys, [table.clusters[i] for i in keep], np.asarray(table.values, dtype=np.float64)[index])


def _members(record: Record, figure: MetricResult) -> set[str]:
    column, _, value = (figure.group or "").partition("=")
    rows = record.iter_samples(task=figure.task, model=figure.model)
    return {row.sample.id for row in rows if row.sample.groups.get(column) == value}

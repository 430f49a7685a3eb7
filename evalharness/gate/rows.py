"""The statistics rows behind recorded figures: of one run, and of two runs paired by the samples' content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..core.protocols import Array, Metric
from ..core.types import MetricResult
from ..metrics.base import measured_pairs, with_originals

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["FigureRows", "PairedRows", "figure_rows", "paired_rows"]


@dataclass(frozen=True, slots=True)
class FigureRows:
    """The rows (n, k) of a figure; `keys` count the samples of equal content, so that each is paired once."""

    keys: tuple[tuple[str, int], ...]
    clusters: tuple[str | None, ...]
    values: Array


@dataclass(frozen=True, slots=True)
class PairedRows:
    """Rows of the samples that both runs have, in the same order, and those of samples that only one has."""

    current: Array
    baseline: Array
    clusters: tuple[str | None, ...]
    only_current: Array
    only_baseline: Array

    def measured(self, metric: Metric) -> PairedRows:
        """Without the pairs in which neither run has something that `metric` measures."""
        kept = measured_pairs(metric, self.current, self.baseline)
        if kept is None:
            return self
        clusters = tuple(cluster for cluster, speaks in zip(self.clusters, kept, strict=True) if speaks)
        return replace(self, current=self.current[kept], baseline=self.baseline[kept], clusters=clusters)


def figure_rows(record: Record, figure: MetricResult) -> FigureRows:
    """The rows of `figure`; for a group's figure those of its samples."""
    table = record.stats(figure.task, figure.model, figure.metric)
    values = np.asarray(table.values, dtype=np.float64)
    keep: Sequence[int] = range(len(table))
    if figure.group is not None:
        members = _members(record, figure)
        mine = np.array([table.sample_ids[i] in members for i in keep], dtype=np.bool_)
        chosen = with_originals(mine, figure.columns, values).nonzero()[0]
        keep, values = chosen.tolist(), values[chosen]
    seen: Counter[str] = Counter()
    keys: list[tuple[str, int]] = []
    for i in keep:
        digest = str(table.digests[i])
        keys.append((digest, seen[digest]))
        seen[digest] += 1
    return FigureRows(tuple(keys), tuple(table.clusters[i] for i in keep), values)


def paired_rows(record: Record, figure: MetricResult, baseline: Record, against: MetricResult) -> PairedRows:
    """The rows of `figure` and `against`, paired by content."""
    ours, theirs = figure_rows(record, figure), figure_rows(baseline, against)
    place = {key: i for i, key in enumerate(theirs.keys)}
    both = [(i, place[key]) for i, key in enumerate(ours.keys) if key in place]
    mine = np.array([i for i, _ in both], dtype=np.intp)
    other = np.array([j for _, j in both], dtype=np.intp)
    return PairedRows(
        current=ours.values[mine],
        baseline=theirs.values[other],
        clusters=tuple(ours.clusters[i] for i in mine),
        only_current=np.delete(ours.values, mine, axis=0),
        only_baseline=np.delete(theirs.values, other, axis=0),
    )


def _members(record: Record, figure: MetricResult) -> set[str]:
    column, _, value = (figure.group or "").partition("=")
    rows = record.iter_samples(task=figure.task, model=figure.model)
    return {row.sample.id for row in rows if row.sample.groups.get(column) == value}

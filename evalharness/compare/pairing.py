"""Pairs two records' samples for one figure, and computes both figures anew on the pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.errors import NotComparableError
from ..core.protocols import Array, Metric
from ..core.types import MetricResult
from ..metrics.base import measured_pairs
from ..record.arrays import texts_at
from .matching import Ints, Matcher, cluster_codes_of
from .paired import figure_of, paired_change, paired_point
from .rebuild import metric_of
from .rows import RowSource

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["PairedFigure", "PairedRows", "Pairing", "identities_of", "identity_of", "pair", "paired_rows"]


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

    @property
    def tells_samples(self) -> bool:
        """Whether the samples have values of their own: MCC is 0 of each of them, and does not say which changed."""
        return bool(self.n_paired) and (self.n_worse + self.n_better > 0 or self.regression == 0)


class PairedFigure(NamedTuple):
    """Both runs' figures on the samples that both have."""

    current: float
    baseline: float
    pairing: Pairing


class PairedRows(NamedTuple):
    """(n, k) statistics of two figures on the same n samples in the same order, and the samples' clusters.

    `current_ids` and `baseline_ids` give the ids of the pairs at some places.
    """

    current: Array
    baseline: Array
    codes: Ints | None
    n_only_current: int
    n_only_baseline: int
    current_ids: Callable[[Ints], list[str]]
    baseline_ids: Callable[[Ints], list[str]]

    def measured(self, metric: Metric) -> PairedRows:
        """Without the pairs in which neither run has something that `metric` measures."""
        kept = measured_pairs(metric, self.current, self.baseline)
        if kept is None:
            return self
        own: Ints = np.flatnonzero(kept)
        codes = None if self.codes is None else np.unique(self.codes[own], return_inverse=True)[1].astype(np.int64)
        return self._replace(
            current=self.current[own],
            baseline=self.baseline[own],
            codes=codes,
            current_ids=lambda places: self.current_ids(own[places]),
            baseline_ids=lambda places: self.baseline_ids(own[places]),
        )


def identity_of(record: Record, figure: MetricResult) -> dict[str, Any]:
    """The digests of data, prompt, generation and kind of the task that `figure` belongs to."""
    for task in record.manifest.tasks:
        if (task.id, task.model) == (figure.task, figure.model):
            return dict(task.identity) if isinstance(task.identity, dict) else {"identity": task.identity}
    return {}


def identities_of(
    record: Record, figure: MetricResult, baseline: Record, against: MetricResult
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both figures' digests; with the number of repeats where it differs and the metric goes by it.

    More answers to a sample make the mean of a figure surer, and the highest of them higher.
    """
    ours, theirs = identity_of(record, figure), identity_of(baseline, against)
    repeats = _repeats_of(record, figure), _repeats_of(baseline, against)
    if repeats[0] != repeats[1] and figure.signature == against.signature and _counts_repeats(record, figure):
        ours["repeats"], theirs["repeats"] = repeats
    return ours, theirs


def _repeats_of(record: Record, figure: MetricResult) -> int:
    task = next((t for t in record.manifest.tasks if (t.id, t.model) == (figure.task, figure.model)), None)
    return 1 if task is None else max(task.n_requests // max(task.n_samples, 1), 1)


def _counts_repeats(record: Record, figure: MetricResult) -> bool:
    try:
        metric = metric_of(record, figure)
    except NotComparableError:
        return False  # said where the figure is computed
    return any(getattr(one, "counts_repeats", False) for one in (metric, getattr(metric, "base", None)))


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
    metric = metric_of(record, figure)
    pairs = paired_rows(RowSource(record), figure, RowSource(baseline), against).measured(metric)
    n = len(pairs.current)
    values = figure_of(metric, pairs.current), figure_of(metric, pairs.baseline)
    change = (
        paired_change(
            pairs.current,
            pairs.baseline,
            metric,
            confidence=confidence,
            seed=record.manifest.seed,
            codes=pairs.codes,
        )
        if interval
        else paired_point(pairs.current, pairs.baseline, metric)
    )
    pairing = Pairing(
        n_paired=n,
        n_only_current=pairs.n_only_current,
        n_only_baseline=pairs.n_only_baseline,
        n_worse=change.n_worse,
        n_better=change.n_better,
        regression=change.regression,
        low=change.low,
        high=change.high,
        method=change.method,
        confidence=confidence,
    )
    return PairedFigure(values[0], values[1], pairing)


def paired_rows(
    source: RowSource,
    figure: MetricResult,
    baseline: RowSource,
    against: MetricResult,
    *,
    by_id: bool = False,
    matcher: Matcher | None = None,
) -> PairedRows:
    """The rows of two figures on the samples that both have.

    Samples are paired on their digests, each of several equal ones once; `by_id` pairs them on their ids, for prompts
    that differ and data that do not.
    """
    ours, theirs = source.rows(figure), baseline.rows(against)
    keys = (ours.sample_ids, theirs.sample_ids) if by_id else (ours.digests, theirs.digests)
    match = (matcher or Matcher()).match(*keys)
    return PairedRows(
        ours.values[match.ours],
        theirs.values[match.theirs],
        cluster_codes_of(ours.clusters, match.ours),
        match.n_only_ours,
        match.n_only_theirs,
        lambda places: texts_at(ours.sample_ids, match.ours[places]),
        lambda places: texts_at(theirs.sample_ids, match.theirs[places]),
    )

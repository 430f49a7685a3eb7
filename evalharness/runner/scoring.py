"""From samples and responses to statistics, scores and figures: the same code for a run and for a re-scored record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.protocols import Array, Metric
from evalharness.core.types import FAILED_STATES, MetricResult, Response, Sample

__all__ = ["Answered", "Figure", "FigureStats", "score_task"]

CountAs = Literal["failure", "wrong", "excluded"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A response with the sample that it answers; a sample has one for each repeat."""

    sample: Sample
    response: Response
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric under the name that the suite gives it."""

    name: str
    metric: Metric


@dataclass(frozen=True, slots=True)
class FigureStats:
    """What a figure was computed from: the scored samples in order, their statistics (n, k) and own values (n,)."""

    figure: Figure
    samples: tuple[Sample, ...]
    stats: Array
    values: Array


def score_task(
    task: str,
    model: str,
    answered: Sequence[Answered],
    figures: Sequence[Figure],
    *,
    count_as: CountAs,
    confidence: float,
    seed: int,
    groups: Sequence[str] = (),
) -> Iterator[tuple[FigureStats, list[MetricResult]]]:
    """For each figure its statistics and its results: over all samples, then for each value of each group column.

    A sample's statistics are the mean over its repeats, so that n counts samples and a repeat adds no evidence that
    it does not have. Failed responses are left out, or scored as an empty answer where `count_as` is "wrong" and the
    metric knows what an empty answer is worth.
    """
    failed = {a.sample.id for a in answered if a.response.status in FAILED_STATES}
    for figure in figures:
        stats = _stats_of(figure, answered, count_as=count_as)
        results = [
            _result(task, model, stats, rows, group, failed_n, confidence=confidence, seed=seed)
            for group, rows, failed_n in _selections(stats.samples, answered, failed, groups)
        ]
        yield stats, results


def _stats_of(figure: Figure, answered: Sequence[Answered], *, count_as: CountAs) -> FigureStats:
    import numpy as np

    from evalharness.metrics.interval import sample_values

    metric = figure.metric
    scored: list[tuple[Sample, Response]] = []
    for item in answered:
        if item.response.status not in FAILED_STATES or _counts_failures(metric):
            scored.append((item.sample, item.response))
        elif count_as == "wrong" and metric.scores_blank:
            scored.append((item.sample, Response(key=item.response.key, status=item.response.status, text="")))
    rows = metric.sample_stats([s for s, _ in scored], [r for _, r in scored])
    order: dict[str, int] = {}
    owner = np.array([order.setdefault(sample.id, len(order)) for sample, _ in scored], dtype=np.intp)
    samples = {sample.id: sample for sample, _ in scored}
    if len(order) < len(scored) and hasattr(metric, "merge_repeats"):
        rows = metric.merge_repeats(rows, owner)
    elif len(order) < len(scored):
        sums = np.zeros((len(order), rows.shape[1]))
        np.add.at(sums, owner, rows)
        rows = sums / np.bincount(owner, minlength=len(order))[:, None]
    return FigureStats(figure, tuple(samples[i] for i in order), rows, sample_values(metric, rows))


def _counts_failures(metric: Metric) -> bool:
    """Whether the metric measures the states themselves (error rate …) and so must see the failed responses."""
    return bool(getattr(metric, "counts_states", False))


def _selections(
    samples: Sequence[Sample], answered: Sequence[Answered], failed: set[str], columns: Sequence[str]
) -> Iterator[tuple[str | None, list[int], int]]:
    """(group name, indexes into `samples`, number of failed samples) for all samples and for each group value."""
    yield None, list(range(len(samples))), len(failed)
    every = {a.sample.id: a.sample for a in answered}
    for column in columns:
        values = sorted({s.groups[column] for s in every.values() if column in s.groups})
        for value in values:
            rows = [i for i, s in enumerate(samples) if s.groups.get(column) == value]
            yield f"{column}={value}", rows, sum(every[i].groups.get(column) == value for i in failed)


def _result(
    task: str,
    model: str,
    stats: FigureStats,
    rows: Sequence[int],
    group: str | None,
    n_failed: int,
    *,
    confidence: float,
    seed: int,
) -> MetricResult:
    from evalharness.metrics.interval import summarize

    metric = stats.figure.metric
    chosen = stats.stats[list(rows)]
    clusters = [stats.samples[i].cluster for i in rows]
    summary = summarize(
        metric,
        chosen,
        clusters=clusters if any(c is not None for c in clusters) else None,
        confidence=confidence,
        seed=seed,
    )
    return MetricResult(
        task=task,
        model=model,
        metric=stats.figure.name,
        value=summary.value,
        ci_low=summary.low,
        ci_high=summary.high,
        ci_method=summary.method,
        confidence=confidence,
        n=len(rows),
        n_failed=n_failed,
        higher_is_better=metric.higher_is_better,
        bounds=metric.bounds,
        signature=metric.signature,
        group=group,
        columns=tuple(metric.columns),
        totals=tuple(float(x) for x in chosen.sum(axis=0)),
    )

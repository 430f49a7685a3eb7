"""Which charts a run's report shows of each task; what would show nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ..core.language import t
from .charts import Chart, histogram, reliability_chart
from .page import variant_of
from .spread import latencies_of, latency_spread, score_spread
from .view import ReportView, TaskView

if TYPE_CHECKING:
    from ..record import Record
    from .spread import Spread

__all__ = ["latency_charts", "task_charts"]

# A chart takes some ten milliseconds and five kilobytes; nobody looks at a hundred of them.
_MOST_OF_TASK, _MOST_LATENCIES = 6, 6


def task_charts(record: Record, view: ReportView) -> dict[str, list[Chart]]:
    """The charts of each task by its id; a task of which nothing is worth a chart is left out."""
    found = {task.id: list(islice(_charts(record, task), _MOST_OF_TASK)) for task in view.tasks}
    return {name: charts for name, charts in found.items() if charts}


def _charts(record: Record, task: TaskView) -> Iterator[Chart]:
    for r in task.reliabilities:
        of = _of(task, r.task, r.model)
        title = t("Reliability of %(name)s (%(metric)s)", name=of, metric=r.metric) if of else ""
        yield reliability_chart(r.bins, title=title or t("Reliability (%(metric)s)", metric=r.metric))
    for result in task.figures:
        spread = score_spread(record, result)
        if spread is not None:
            of = _of(task, result.task, result.model)
            title = t("%(metric)s of single samples", metric=result.metric)
            if of:
                title = t("%(metric)s of single samples of %(name)s", metric=result.metric, name=of)
            yield _histogram(spread, title, result.metric, t("samples"))


def latency_charts(record: Record) -> list[Chart]:
    """How long the answers of each task took, of the first six tasks and models."""
    return list(islice(_latencies(record), _MOST_LATENCIES))


def _latencies(record: Record) -> Iterator[Chart]:
    several = len({entry.model for entry in record.manifest.tasks}) > 1
    for entry in record.manifest.tasks:
        spread = latency_spread(latencies_of(record, entry.id, entry.model))
        if spread is not None:
            title = t("Latency in %(task)s", task=entry.id)
            if several:
                title = t("Latency in %(task)s of %(model)s", task=entry.id, model=entry.model)
            yield _histogram(spread, title, t("seconds"), t("answers"))


def _histogram(spread: Spread, title: str, of: str, counted: str) -> Chart:
    if spread.beyond:
        title = t("%(title)s (%(beyond)s)", title=title, beyond=spread.beyond)
    return histogram(spread.edges, spread.counts, title=title, of=of, counted=counted, marks=spread.marks)


def _of(task: TaskView, variant: str, model: str) -> str:
    """Whose the chart is, where a task has several."""
    return variant_of(variant, model) if task.several else ""

"""Which charts a run's report shows of each task."""

from __future__ import annotations

from .charts import Chart, reliability_chart
from .page import variant_of
from .view import ReportView, TaskView

__all__ = ["task_charts"]


def task_charts(view: ReportView) -> dict[str, list[Chart]]:
    """The charts of each task by its id; a task of which nothing is worth a chart is left out."""
    found = {task.id: _charts(task) for task in view.tasks}
    return {name: charts for name, charts in found.items() if charts}


def _charts(task: TaskView) -> list[Chart]:
    return [
        reliability_chart(r.bins, title=f"Reliability{_of(task, r.task, r.model)} ({r.metric})")
        for r in task.reliabilities
    ]


def _of(task: TaskView, variant: str, model: str) -> str:
    return f" of {variant_of(variant, model)}" if task.several else ""

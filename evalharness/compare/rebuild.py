"""The metric behind a recorded figure, built again from the suite that the record carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import NotComparableError
from ..core.protocols import Metric
from ..core.types import MetricResult
from ..metrics.lm_eval import PREFIX as LM_EVAL

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["metric_of"]


def metric_of(record: Record, figure: MetricResult) -> Metric:
    """The metric that made `figure`, with its options and its task's labels.

    Raises:
        NotComparableError: if this evalharness computes the figure otherwise than the record did, or not at all.
    """
    from ..suite.metric_specs import OPERATIONAL, build_metric, figure_names, figures_of_metric

    if figure.signature.startswith(LM_EVAL):
        return _of_lm_eval(record, figure)
    suite: Mapping[str, Any] = record.manifest.suite
    tasks = [t for t in suite.get("tasks") or () if t.get("id") == figure.task]
    specs = [spec for task in tasks for spec in task.get("metrics") or ()]
    labels = next(
        (tuple(t.labels) for t in record.manifest.tasks if (t.id, t.model) == (figure.task, figure.model)), ()
    )
    for spec in (*specs, *OPERATIONAL):
        if figure.metric in figure_names(spec):
            name, metric = build_metric(spec)
            # A metric that is the user's code, or a judge's, knows from the record which one it was.
            recorded = getattr(metric, "as_recorded", None)
            metric = metric if recorded is None else recorded(figure.signature)
            metric = dict(figures_of_metric(name, metric))[figure.metric]
            break
    else:
        found = _of_groups(specs, figure, labels)
        if found is None:
            raise NotComparableError(
                f"{figure.task}.{figure.metric} cannot be computed anew on the paired samples: the suite in the record "
                f"{record.manifest.id} does not define it; score the record again: evalharness score RECORD --suite "
                "SUITE"
            )
        metric = found
    bound: Metric = metric.for_task(labels)
    if bound.signature != figure.signature:
        raise NotComparableError(
            f"{figure.task}.{figure.metric} cannot be computed anew on the paired samples: signature: this evalharness "
            f"computes {bound.signature}, the record {record.manifest.id} has {figure.signature}; score both runs "
            f"again with this version: evalharness score RECORD --suite SUITE"
        )
    return bound


def _of_groups(specs: Sequence[Any], figure: MetricResult, labels: tuple[str, ...]) -> Metric | None:
    """The disparity between groups that stands beside the task's figures without being named in the suite."""
    from ..metrics.disparity import column_of_signature
    from ..metrics.group_figures import group_figures
    from ..suite.metric_specs import build_metric, figures_of_metric

    column = column_of_signature(figure.signature)
    if column is None:
        return None
    own = [pair for spec in specs for pair in figures_of_metric(*build_metric(spec))]
    metric: Any = dict(group_figures(own, column, labels)).get(figure.metric)
    return None if metric is None else metric.as_recorded(figure.signature)


def _of_lm_eval(record: Record, figure: MetricResult) -> Metric:
    from ..metrics.lm_eval import figure_from_record

    found = figure_from_record(figure)
    if found is not None and found.signature == figure.signature:
        return found
    raise NotComparableError(
        f"{figure.task}.{figure.metric} cannot be computed anew on the paired samples: its aggregation is a function "
        f"of the task's own ({figure.signature}, in the record {record.manifest.id}); use at_least or at_most for it"
    )

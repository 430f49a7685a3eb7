"""The metric behind a recorded figure, built again from the suite that the record carries."""

from __future__ import annotations

from collections.abc import Mapping
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
    for spec in (*specs, *OPERATIONAL):
        if figure.metric in figure_names(spec):
            name, metric = build_metric(spec)
            # A metric that is the user's code, or a judge's, knows from the record which one it was.
            recorded = getattr(metric, "as_recorded", None)
            metric = metric if recorded is None else recorded(figure.signature)
            metric = dict(figures_of_metric(name, metric))[figure.metric]
            break
    else:
        raise NotComparableError(
            f"{figure.task}.{figure.metric} cannot be computed anew on the paired samples: the suite in the record "
            f"{record.manifest.id} does not define it; score the record again: evalharness score RECORD --suite SUITE"
        )
    labels = next((t.labels for t in record.manifest.tasks if (t.id, t.model) == (figure.task, figure.model)), ())
    bound: Metric = metric.for_task(tuple(labels))
    if bound.signature != figure.signature:
        raise NotComparableError(
            f"{figure.task}.{figure.metric} cannot be computed anew on the paired samples: signature: this evalharness "
            f"computes {bound.signature}, the record {record.manifest.id} has {figure.signature}; score both runs "
            f"again with this version: evalharness score RECORD --suite SUITE"
        )
    return bound


def _of_lm_eval(record: Record, figure: MetricResult) -> Metric:
    from ..metrics.lm_eval import figure_from_record

    found = figure_from_record(figure)
    if found is not None and found.signature == figure.signature:
        return found
    raise NotComparableError(
        f"{figure.task}.{figure.metric} cannot be computed anew on the paired samples: its aggregation is a function "
        f"of the task's own ({figure.signature}, in the record {record.manifest.id}); use at_least or at_most for it"
    )

"""The disparities that stand beside a task's figures by group, without being asked: fairlearn's MetricFrame view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from evalharness.core.errors import UsageError
from evalharness.core.levels import DISPARITIES, disparity_name
from evalharness.core.nulls import best_between
from evalharness.core.protocols import Metric

from .by_group import ByGroup, unfit
from .disparity import DisparityMetric, column_of_signature
from .fairness import DemographicParity, EqualizedOdds
from .labels import choose_positive

__all__ = [
    "MOST_LABELS",
    "MOST_LEVELS",
    "group_figures",
    "is_group_figure",
    "is_small",
]

MOST_LEVELS = 50
"""Of a column with more values no disparity is told unasked: it numbers samples rather than groups them."""
MOST_LABELS = 16
# What a sample's row may take up in a figure that nobody asked for by name.
_MOST_COLUMNS = 1_000


def is_group_figure(metric: str, signature: str) -> bool:
    """Whether the figure called `metric` is a disparity that nobody asked for by name."""
    # What a suite calls a figure itself has no @.
    return "@" in metric and column_of_signature(signature) is not None


def group_figures(
    figures: Sequence[tuple[str, Metric]], column: str, labels: tuple[str, ...] | None
) -> Iterator[tuple[str, Metric]]:
    """(name, metric) of the disparities between the levels of `column` in `figures`, and of answers with `labels`.

    Each figure whose metric follows from totals has `_difference`, `_worst` and, where it is never negative, `_ratio`;
    one that is best between its bounds, such as a bias score, has neither a highest nor a lowest level that is worst.
    A task that asks for labels (`labels` is not None) has demographic parity and equalised odds too: of the positive
    label where a name says which of two that is, else of each label against the rest. Levels are still to be bound.
    """
    # Who asks for disparities of a column says which.
    named = {metric.name for _, metric in figures if isinstance(metric, DisparityMetric) and metric.column == column}
    for name, metric in figures if ByGroup.name not in named else ():
        if unfit(metric) or name == "confusion_matrix" or getattr(metric, "over_groups", False):
            continue
        for what in DISPARITIES:
            told = metric.bounds[0] >= 0 if what == "ratio" else what != "worst" or best_between(metric) is None
            if told:
                yield disparity_name(name, what, column), cast(Metric, ByGroup.around(metric, column, what))
    if not labels or not 2 <= len(labels) <= MOST_LABELS:
        return
    positive = _positive(labels)
    for found in (DemographicParity, EqualizedOdds):
        for what in DISPARITIES[:2] if found.name not in named else ():
            of_labels = found(column=column, what=what, positive=positive, labels=labels)  # type: ignore[arg-type]
            yield disparity_name(found.name, what, column), cast(Metric, of_labels)


def is_small(metric: Metric) -> bool:
    """Whether a disparity that nobody asked for by name takes up little enough to be told."""
    levels = getattr(metric, "levels", None) or ()
    return 2 <= len(levels) <= MOST_LEVELS and len(metric.columns) <= _MOST_COLUMNS


def _positive(labels: tuple[str, ...]) -> str | None:
    try:
        return choose_positive(labels, None, metric="")
    except UsageError:
        return None

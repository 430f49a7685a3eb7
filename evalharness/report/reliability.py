"""Reliability tables: how often answers of each confidence were right, from the totals of `ece`."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.types import MetricResult
from ..metrics.calibration import ReliabilityBin, reliability_table

__all__ = ["Reliability", "reliability_of"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """The bins of a calibration figure that hold any answer."""

    task: str
    model: str
    metric: str
    bins: tuple[ReliabilityBin, ...]


def reliability_of(result: MetricResult) -> Reliability | None:
    """The table in a result whose columns are those of `ece`; None for any other, and where nothing was measured."""
    bins = tuple(b for b in reliability_table(result.columns, result.totals) if b.n > 0)
    return Reliability(result.task, result.model, result.metric, bins) if bins else None

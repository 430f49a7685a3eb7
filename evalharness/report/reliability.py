"""Reliability tables: how often answers of each confidence were right, from the totals of `ece`."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ..core.types import MetricResult
from ..metrics.calibration import ReliabilityBin, reliability_table
from .text import figure, safe

__all__ = ["Reliability", "diagram", "reliability_of"]


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


def diagram(table: Reliability) -> Markup:
    """The SVG of it: accuracy as bars over confidence, the diagonal of perfect calibration, a mark at each mean."""
    parts = []
    for b in table.bins:
        width, height = 100 * (b.high - b.low), 100 * b.accuracy
        parts.append(f'<rect class="share" x="{100 * b.low:.2f}" y="{100 - height:.2f}" width="{width:.2f}" ')
        parts.append(f'height="{height:.2f}"/>')
    parts.append('<path class="frame" d="M0 0H100V100H0z"/><path class="ideal" d="M0 100L100 0"/>')
    parts += [
        f'<circle class="mean" cx="{100 * b.confidence:.2f}" cy="{100 - 100 * b.accuracy:.2f}" r="1.6"/>'
        for b in table.bins
    ]
    label = "; ".join(
        f"confidence {figure(b.confidence)}: right {figure(b.accuracy)} of {b.n:,.6g}" for b in table.bins
    )
    head = Markup('<svg class="reliability" viewBox="-2 -2 104 104" role="img" aria-label="{}">')
    return head.format(safe(label)) + Markup("".join(parts) + "</svg>")

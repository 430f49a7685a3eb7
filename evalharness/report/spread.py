"""How the values behind figures are spread: the scores of single samples, and how long answers took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.language import t
from ..core.types import MetricResult
from ..record.read import iter_columns
from ..record.schema import SAMPLES, SCORES
from .text import figure

if TYPE_CHECKING:
    from ..record import Record
    from ..stats.arrays import Floats

__all__ = ["Spread", "latencies_of", "latency_spread", "score_spread", "spread_of"]

# Fewer values, or values of fewer kinds, are said as well by the figure itself.
_LEAST, _LEAST_DISTINCT = 12, 4
_BINS = 20
# Where a few values lie far above all others, these are drawn and those are told.
_FAR = 2.5


@dataclass(frozen=True, slots=True)
class Spread:
    """Counts between edges, one more than counts; `beyond` says of how many values lie above the last edge."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    marks: tuple[tuple[str, float], ...]
    beyond: str = ""


def score_spread(record: Record, result: MetricResult) -> Spread | None:
    """How the samples' own values of a figure are spread; None where that tells no more than the figure does."""
    where = {"task": result.task, "model": result.model, "metric": result.metric}
    values = _column(record, SCORES, where, "value")
    return spread_of(values, bounds=result.bounds, marks=(("median", 50),))


def latencies_of(record: Record, task: str, model: str) -> Floats:
    """The seconds that the answers took, in this run or in the one that they are stored from; NaN left out."""
    values = _column(record, SAMPLES, {"task": task, "model": model}, "latency_s")
    known: Floats = values[np.isfinite(values)]
    return known


def latency_spread(seconds: Floats) -> Spread | None:
    """The histogram of latencies; None where there is too little to see."""
    return spread_of(seconds, bounds=(0.0, np.inf), marks=(("median", 50), ("p95", 95)))


def spread_of(
    values: Sequence[float] | Floats, *, bounds: tuple[float, float], marks: Sequence[tuple[str, float]]
) -> Spread | None:
    """The histogram of `values`, NaN left out; `marks` are named percentiles. None where there is too little to see."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if known.size < _LEAST or np.unique(known[:100_000]).size < _LEAST_DISTINCT:
        return None
    low, high = float(known.min()), float(known.max())
    top, p99 = high, float(np.percentile(known, 99))
    if np.isfinite(bounds).all() and bounds[1] - bounds[0] <= 2 * (high - low):
        low, top = bounds
    elif p99 > low and high - low > _FAR * (p99 - low):
        top = p99
    edges = _even_edges(low, top)
    drawn = known[known <= edges[-1]] if top < high else known
    # Round edges may miss the outermost values by a rounding error; those belong to the outermost bins.
    counts, _ = np.histogram(drawn.clip(edges[0], edges[-1]), edges)
    far = known.size - drawn.size
    beyond = ""
    if far:
        beyond = t("%(n)s above %(edge)s, up to %(most)s", n=f"{far:,}", edge=figure(edges[-1]), most=figure(high))
    named = tuple((t(name), float(np.percentile(known, at))) for name, at in marks)
    return Spread(tuple(edges.tolist()), tuple(counts.tolist()), named, beyond)


def _even_edges(low: float, high: float) -> Floats:
    """About twenty bins whose edges are round numbers."""
    raw = (high - low) / _BINS
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(size * k for k in (1, 2, 5, 10) if size * k >= raw * 0.999)
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    edges: Floats = np.round(np.arange(first, last + 1) * step, 12)
    return edges


def _column(record: Record, file: str, where: dict[str, str], name: str) -> Floats:
    return np.array([_number(value) for value in _values(record, file, where, name)], dtype=np.float64)


def _values(record: Record, file: str, where: dict[str, str], name: str) -> Iterator[object]:
    for (cells,) in iter_columns(record.folder / file, where, [name]):
        yield from cells


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan

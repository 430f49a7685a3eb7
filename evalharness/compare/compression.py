"""What a quantised, pruned, distilled or fine-tuned model has kept of its base: quality, predictions, size, speed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from .fidelity import TokensOf, fidelity, tells_tokens

if TYPE_CHECKING:
    from ..record import Record
    from .result import ComparedFigure
    from .subjects import FigurePair

__all__ = ["DEFAULT_MARGIN", "Compressed", "CompressionRow", "compression_rows"]

DEFAULT_MARGIN: Final = 0.02

Aspect = Literal["retained", "flips", "kl", "shared", "same_top", "perplexity_ratio", "size", "speed"]
Kept = Literal["kept", "lost", "open"]


@dataclass(frozen=True, slots=True)
class CompressionRow:
    """One line about a candidate and its base; `low` and `high` are the interval of `value`, NaN where it has none.

    ================  ==================================================================================
    retained          the figure's difference from the base's; `kept` where the whole interval is above −`margin` (as
                      seen from better to worse), `lost` where none of it is, else `open`
    flips             the share of samples whose answer turned from right to wrong or from wrong to right
    kl                KL(base ‖ candidate) in nats a token, over the likeliest tokens that both told and all others as
                      one: at most that of the whole vocabulary, the nearer to it the more `shared` is
    shared            the share of the base's probability that lies on tokens which both told
    same_top          the share of tokens where both find the same one likeliest
    perplexity_ratio  candidate / base; for these four see `fidelity.Fidelity`
    size              bytes of the candidate's weights in memory over the base's
    speed             mean time for an answer over the base's, on this machine
    ================  ==================================================================================
    """

    candidate: str
    task: str
    metric: str
    aspect: Aspect
    value: float
    low: float
    high: float
    n: int
    kept: Kept | None = None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Compressed:
    """A candidate with the figures that were compared, and the records that they come from."""

    label: str
    record: Record
    base: Record
    pairs: Sequence[FigurePair]
    figures: Sequence[ComparedFigure]


def compression_rows(
    candidates: Sequence[Compressed], *, margin: float, confidence: float
) -> tuple[CompressionRow, ...]:
    """The lines of all candidates.

    `margin` is how much worse a figure may be: a share of its range, or of the base's figure where it has no bounds.
    """
    return tuple(row for one in candidates for row in _of(one, margin, confidence))


def _of(one: Compressed, margin: float, confidence: float) -> Iterator[CompressionRow]:
    bounds = {(p.current.task, p.current.model, p.current.metric): p.current.bounds for p in one.pairs}
    for figure in one.figures:
        if figure.section == "figures":
            yield _retained(one.label, figure, bounds[figure.task, figure.model, figure.metric], margin)
    for figure in one.figures:
        if figure.section == "figures" and figure.right_to_wrong is not None and figure.wrong_to_right is not None:
            flips = (figure.right_to_wrong + figure.wrong_to_right) / figure.n_paired if figure.n_paired else math.nan
            yield _row(one.label, figure, "flips", flips, figure.n_paired)
    yield from _tokens(one, confidence)
    yield from _size(one)
    for figure in one.figures:
        if figure.section == "operations" and figure.metric == "latency_mean_s" and figure.baseline > 0:
            yield _row(one.label, figure, "speed", figure.value / figure.baseline, figure.n_paired)


def _row(label: str, figure: ComparedFigure, aspect: Aspect, value: float, n: int) -> CompressionRow:
    return CompressionRow(label, figure.task, figure.metric, aspect, value, math.nan, math.nan, n)


def _retained(label: str, figure: ComparedFigure, bounds: tuple[float, float], share: float) -> CompressionRow:
    low, high = bounds
    margin = share * (high - low if math.isfinite(high - low) else abs(figure.baseline))
    ends = _gains(figure)
    kept: Kept = "kept" if ends[0] > -margin else "lost" if ends[1] < -margin else "open"
    return CompressionRow(
        label,
        figure.task,
        figure.metric,
        "retained",
        figure.difference,
        figure.low,
        figure.high,
        figure.n_paired,
        kept,
        margin,
    )


def _gains(figure: ComparedFigure) -> tuple[float, float]:
    """How much better the candidate is at the ends of the difference's interval, lower first."""
    if figure.best is None:
        return (figure.low, figure.high) if figure.higher_is_better else (-figure.high, -figure.low)
    was = figure.baseline - figure.best
    ends = [was + end for end in (figure.low, figure.high)]
    nearest = 0.0 if ends[0] <= 0 <= ends[1] else min(map(abs, ends))
    return abs(was) - max(map(abs, ends)), abs(was) - nearest


def _tokens(one: Compressed, confidence: float) -> Iterator[CompressionRow]:
    tasks = dict.fromkeys((p.current.task, p.current.model, p.baseline.task, p.baseline.model) for p in one.pairs)
    for task, model, base_task, base_model in tasks:
        if not (tells_tokens(one.record, task, model) and tells_tokens(one.base, base_task, base_model)):
            continue
        found = fidelity(
            TokensOf(one.record, task, model), TokensOf(one.base, base_task, base_model), confidence=confidence
        )
        for figure in found.figures:
            aspect: Any = figure.name
            yield CompressionRow(
                one.label, task, "tokens", aspect, figure.value, figure.low, figure.high, found.n_tokens
            )
            if aspect == "kl":
                yield CompressionRow(
                    one.label, task, "tokens", "shared", found.shared, math.nan, math.nan, found.n_tokens
                )


def _size(one: Compressed) -> Iterator[CompressionRow]:
    for model, base in dict.fromkeys((p.current.model, p.baseline.model) for p in one.pairs):
        ours, theirs = _bytes(one.record, model), _bytes(one.base, base)
        if ours and theirs:
            yield CompressionRow(one.label, "", "weights", "size", ours / theirs, math.nan, math.nan, int(ours))


def _bytes(record: Record, model: str) -> float:
    """The bytes that the model's weights took, 0 where the record does not say: it asked nobody, or a server."""
    found: Any = record.manifest.execution.get("work")
    for key in (model, "weights"):
        found = found.get(key) if isinstance(found, Mapping) else None
    size = found.get("bytes") if isinstance(found, Mapping) else None
    return float(size) if isinstance(size, int | float) else 0.0

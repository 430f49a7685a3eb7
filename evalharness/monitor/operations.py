"""What responses cost and whether they failed: figures straight from their fields, for the whole and by segment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from evalharness.core.production import ProductionResponse
from evalharness.stats.arrays import Floats
from evalharness.stats.intervals import mean_interval, wilson
from evalharness.stats.quantiles import quantile_interval

from .describe import Watch
from .measurement import FigureRow

__all__ = ["NUMBERS", "Operations", "all_columns", "numbers_of"]

_FIELDS: Final = (
    "latency_s",
    "time_to_first_token_s",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
)
NUMBERS: Final = (*_FIELDS, "input.characters", "output.characters")
"""The numeric columns of every response."""
_SUMMED: Final = frozenset({"input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd"})
_QUANTILES: Final = (0.5, 0.95, 0.99)
_MOST_LEVELS: Final = 50
OTHER: Final = "other"


def all_columns() -> tuple[str, ...]:
    """The columns that have figures."""
    return ("responses", "error", "finish_reason", *NUMBERS)


class Operations:
    """Collects the numbers of an interval; eight bytes a response and column.

    Args:
        columns: which of `all_columns()` are kept.
        segments: attributes of responses; of each the 50 values that come first are kept apart, all others together.
        watches: what is watched of texts; of numbers and rates there are figures.
    """

    def __init__(self, columns: Sequence[str], segments: Sequence[str] = (), watches: Sequence[Watch] = ()) -> None:
        self.columns = tuple(columns)
        self.watches = tuple(one for one in watches if one.kind in ("numeric", "rate"))
        self.segments = tuple(segments)
        self.n = 0
        self._numbers: list[Any] = []
        self._errors: list[Any] = []
        self._codes: dict[str, list[Any]] = {name: [] for name in segments}
        self._levels: dict[str, dict[str, int]] = {name: {} for name in segments}

    def add(self, responses: Sequence[ProductionResponse]) -> None:
        """Take a batch in."""
        self.n += len(responses)
        described = [one.numbers(responses) for one in self.watches]
        extra = np.array(described, dtype=np.float64).reshape(len(self.watches), len(responses)).T
        self._numbers.append(np.hstack([numbers_of(responses), extra]))
        self._errors.append(np.array([one.error is not None for one in responses], dtype=bool))
        for name in self.segments:
            levels = self._levels[name]
            codes = np.empty(len(responses), dtype=np.int32)
            for i, one in enumerate(responses):
                value = one.attributes.get(name)
                level = "missing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                if level not in levels and len(levels) >= _MOST_LEVELS:
                    level = OTHER
                codes[i] = levels.setdefault(level, len(levels))
            self._codes[name].append(codes)

    def figures(self) -> tuple[FigureRow, ...]:
        """The figures, of the whole first; none of no responses."""
        if self.n == 0:
            return ()
        numbers, errors = np.concatenate(self._numbers), np.concatenate(self._errors)
        found = list(self._of(numbers, errors, ""))
        for name in self.segments:
            codes = np.concatenate(self._codes[name])
            for level, code in sorted(self._levels[name].items()):
                mask = codes == code
                found += self._of(numbers[mask], errors[mask], f"{name}={level}")
        return tuple(found)

    def _of(self, numbers: Any, errors: Any, segment: str) -> Iterator[FigureRow]:
        n = len(errors)
        if "responses" in self.columns:
            yield FigureRow("responses", "n", float(n), n, segment=segment)
        if "error" in self.columns:
            low, high = wilson(int(errors.sum()), n)
            yield FigureRow("error", "rate", float(errors.mean()), n, low, high, segment)
        for i, column in enumerate(NUMBERS):
            if column in self.columns:
                yield from _numeric(column, numbers[:, i], segment)
        for i, watch in enumerate(self.watches, start=len(NUMBERS)):
            if watch.kind == "numeric":
                yield from _numeric(watch.column, numbers[:, i], segment)
            else:
                yield from _rate(watch.column, numbers[:, i], segment)


def numbers_of(responses: Sequence[ProductionResponse]) -> Floats:
    """The columns `NUMBERS` of responses, (n, columns); NaN is "not known"."""
    rows = [
        (
            *(getattr(one, name) for name in _FIELDS),
            math.nan if one.input is None else len(one.input),
            math.nan if one.output is None else len(one.output),
        )
        for one in responses
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(NUMBERS))


def _rate(column: str, values: Any, segment: str) -> Iterator[FigureRow]:
    """Share that is known, and the rate among them; NaN where nothing is known."""
    known = values[~np.isnan(values)]
    n = len(known)
    yield FigureRow(column, "known", n / len(values), len(values), segment=segment)
    low, high = wilson(int(known.sum()), n) if n else (math.nan, math.nan)
    yield FigureRow(column, "rate", float(known.mean()) if n else math.nan, n, low, high, segment)


def _numeric(column: str, values: Any, segment: str) -> Iterator[FigureRow]:
    """Share that is known, mean, quantiles and, of what adds up, the sum; NaN where nothing is known."""
    known = values[~np.isnan(values)]
    n = len(known)
    yield FigureRow(column, "known", n / len(values), len(values), segment=segment)
    low, high = mean_interval(known) if n > 1 else (math.nan, math.nan)
    yield FigureRow(column, "mean", float(known.mean()) if n else math.nan, n, low, high, segment)
    for q in _QUANTILES:
        value = float(np.quantile(known, q)) if n else math.nan
        low, high = quantile_interval(known, q) if n > 1 else (math.nan, math.nan)
        yield FigureRow(column, f"p{round(100 * q)}", value, n, low, high, segment)
    if column in _SUMMED:
        yield FigureRow(column, "sum", float(known.sum()) if n else math.nan, n, segment=segment)

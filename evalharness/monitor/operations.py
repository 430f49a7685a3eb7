"""What responses cost and whether they failed: figures straight from their fields, for the whole and by segment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from evalharness.core.production import ProductionResponse
from evalharness.stats.arrays import Floats
from evalharness.stats.intervals import Interval, mean_interval, wilson
from evalharness.stats.quantile_sketch import QuantileSketch
from evalharness.stats.skewed import skewed_mean, two_sided
from evalharness.stats.tails import normal_quantile

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
# Values that are kept as they are before quantiles are sketched, and the size of the sketch.
_EXACT: Final = 50_000
_EXACT_IN_SEGMENT: Final = 16_384
_SKETCH: Final = 8_192
OTHER: Final = "other"


def all_columns() -> tuple[str, ...]:
    """The columns that have figures."""
    return ("responses", "error", "finish_reason", *NUMBERS)


class Operations:
    """Collects the numbers of an interval, in memory that no number of responses goes beyond.

    Up to 50,000 values of a column (of a segment 16,384) figures are those of the values; beyond, quantiles are those
    of a sketch, and their intervals hold its error, too.

    Args:
        columns: which of `all_columns()` are kept.
        segments: attributes of responses; of each the 50 values that come first are kept apart, all others together.
        watches: what is watched of texts; of numbers and rates there are figures.
    """

    def __init__(self, columns: Sequence[str], segments: Sequence[str] = (), watches: Sequence[Watch] = ()) -> None:
        self.columns = tuple(columns)
        self.watches = tuple(one for one in watches if one.kind in ("numeric", "rate"))
        self.segments = tuple(segments)
        self._whole = self._group(_EXACT)
        self._groups: dict[str, dict[str, _Group]] = {name: {} for name in segments}

    @property
    def n(self) -> int:
        """How many responses."""
        return self._whole.n

    def _group(self, exact: int) -> _Group:
        numeric: list[str] = [name for name in NUMBERS if name in self.columns]
        numeric += [one.column for one in self.watches if one.kind == "numeric"]
        rates = [one.column for one in self.watches if one.kind == "rate"]
        return _Group({name: _Numbers(exact) for name in numeric}, {name: _Rate() for name in rates})

    def add(self, responses: Sequence[ProductionResponse]) -> None:
        """Take a batch in."""
        numbers = numbers_of(responses)
        values: dict[str, Floats] = {name: numbers[:, i] for i, name in enumerate(NUMBERS)}
        for watch in self.watches:
            values[watch.column] = np.array(watch.numbers(responses), dtype=np.float64)
        errors = np.array([one.error is not None for one in responses], dtype=bool)
        self._whole.add(values, errors)
        for name in self.segments:
            groups = self._groups[name]
            rows: dict[str, list[int]] = {}
            for i, one in enumerate(responses):
                value = one.attributes.get(name)
                level = "missing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                if level not in groups and len(groups) >= _MOST_LEVELS:
                    level = OTHER
                if level not in groups:
                    groups[level] = self._group(_EXACT_IN_SEGMENT)
                rows.setdefault(level, []).append(i)
            for level, of_level in rows.items():
                groups[level].add({key: column[of_level] for key, column in values.items()}, errors[of_level])

    def figures(self) -> tuple[FigureRow, ...]:
        """The figures, of the whole first; none of no responses."""
        if self.n == 0:
            return ()
        found = list(self._of(self._whole, ""))
        for name, groups in self._groups.items():
            for level, group in sorted(groups.items()):
                found += self._of(group, f"{name}={level}")
        return tuple(found)

    def _of(self, group: _Group, segment: str) -> Iterator[FigureRow]:
        n = group.n
        if "responses" in self.columns:
            yield FigureRow("responses", "n", float(n), n, segment=segment)
        if "error" in self.columns:
            low, high = wilson(group.errors, n)
            yield FigureRow("error", "rate", group.errors / n, n, low, high, segment)
        for column in (*NUMBERS, *(one.column for one in self.watches)):
            if column in group.numbers:
                yield from group.numbers[column].figures(column, n, segment)
            elif column in group.rates:
                yield from group.rates[column].figures(column, n, segment)


@dataclass(slots=True)
class _Group:
    """What is kept of all responses, or of those of a segment."""

    numbers: dict[str, _Numbers]
    rates: dict[str, _Rate]
    n: int = 0
    errors: int = 0

    def add(self, values: Mapping[str, Floats], errors: Any) -> None:
        self.n += len(errors)
        self.errors += int(errors.sum())
        for name, numbers in self.numbers.items():
            numbers.add(values[name])
        for name, rate in self.rates.items():
            rate.add(values[name])


@dataclass(slots=True)
class _Rate:
    """Responses of which it is known, and those for which it is so."""

    known: int = 0
    true: int = 0

    def add(self, values: Floats) -> None:
        known = values[~np.isnan(values)]
        self.known += known.size
        self.true += int(known.sum())

    def figures(self, column: str, n: int, segment: str) -> Iterator[FigureRow]:
        """Share that is known, and the rate among them; NaN where nothing is known."""
        yield FigureRow(column, "known", self.known / n, n, segment=segment)
        low, high = wilson(self.true, self.known) if self.known else (math.nan, math.nan)
        rate = self.true / self.known if self.known else math.nan
        yield FigureRow(column, "rate", rate, self.known, low, high, segment)


class _Numbers:
    """Quantiles, mean and spread of a numeric column."""

    def __init__(self, exact: int) -> None:
        self._sketch = QuantileSketch(exact=exact, size=min(exact, _SKETCH))
        self._mean = self._squares = self._sum = 0.0

    def add(self, values: Floats) -> None:
        known = values[~np.isnan(values)]
        if not known.size:
            return
        mean, before = float(known.mean()), self._sketch.n
        self._sum += float(known.sum())
        self._sketch.add(known)
        # Chan, Golub and LeVeque's update.
        gap = mean - self._mean
        self._squares += float(((known - mean) ** 2).sum()) + gap * gap * before * known.size / self._sketch.n
        self._mean += gap * known.size / self._sketch.n

    def figures(self, column: str, n: int, segment: str) -> Iterator[FigureRow]:
        """Share that is known, mean, quantiles and, of what adds up, the sum; NaN where nothing is known."""
        known = self._sketch.n
        yield FigureRow(column, "known", known / n, n, segment=segment)
        mean, (low, high) = self._mean_and_interval()
        yield FigureRow(column, "mean", mean, known, low, high, segment)
        for q in _QUANTILES:
            low, high = self._sketch.interval(q) if known > 1 else (math.nan, math.nan)
            yield FigureRow(column, f"p{round(100 * q)}", self._sketch.quantile(q), known, low, high, segment)
        if column in _SUMMED:
            yield FigureRow(column, "sum", self._sum if known else math.nan, known, segment=segment)

    def _mean_and_interval(self) -> tuple[float, Interval]:
        known = self._sketch.n
        if known < 2:
            return (self._mean if known else math.nan), Interval(math.nan, math.nan)
        if self._sketch.is_exact:
            values = self._sketch.values
            found = two_sided(skewed_mean(values, None, known), 0.95)
            # Values that are all alike have an interval of width zero.
            return float(values.mean()), mean_interval(values) if math.isnan(found.low) else found
        half = normal_quantile(0.975) * math.sqrt(self._squares / (known - 1) / known)
        return self._mean, Interval(self._mean - half, self._mean + half)


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

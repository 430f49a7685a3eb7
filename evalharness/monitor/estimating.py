"""What ways to estimate quality have in common: a figure with its interval beside the realised one, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from evalharness.stats.intervals import Interval

from .measurement import FigureRow

__all__ = ["Estimate", "Refused"]


class Refused(NamedTuple):
    """Why the reference bears no estimate, and what to do."""

    reason: str

    @property
    def told(self) -> str:
        """The reason."""
        return self.reason


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated figure of `n` responses, and what labels that have arrived say of `n_labelled` of them."""

    metric: str
    segment: str
    value: float
    interval: Interval
    n: int
    realised: float = math.nan
    n_labelled: int = 0

    @property
    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "metric": self.metric,
            "segment": self.segment,
            "value": _known(self.value),
            "low": _known(self.interval.low),
            "high": _known(self.interval.high),
            "n": self.n,
            "realised": _known(self.realised),
            "n_labelled": self.n_labelled,
        }

    def figures(self) -> Iterator[FigureRow]:
        """The estimate, and the realised figure where there is one."""
        column = f"estimate.{self.metric}"
        yield FigureRow(column, "value", self.value, self.n, self.interval.low, self.interval.high, self.segment)
        if self.n_labelled:
            yield FigureRow(column, "realised", self.realised, self.n_labelled, segment=self.segment)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value

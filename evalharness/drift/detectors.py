"""Detectors of changes in one figure, value by value: `rank_shift`, CUSUM and Page-Hinkley of our own, ADWIN by river.

A monitor's own way is `sequence.py`, window by window; `rank_shift` is the same for single values, with false alarms
that are bounded whatever the figures look like. The others are for those who know them: CUSUM and Page-Hinkley need
the figure's usual mean and spread, and their run lengths
are those of normal, independent values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..core.errors import MissingExtraError, UsageError
from ..core.registry import suggestion
from .rank_detector import RankShift, Way

__all__ = [
    "DETECTORS",
    "Adwin",
    "Change",
    "Cusum",
    "Detector",
    "PageHinkley",
    "RankShift",
    "changes",
    "cusum_run_length",
]


class Detector(Protocol):
    """Takes one value after the other and says at which one the level has changed; starts anew after each change."""

    def update(self, value: float) -> Way:
        """Which way the level or the spread has gone, "" where no change is seen."""
        ...


@dataclass(slots=True)
class Cusum:
    """Tabular CUSUM of standardised values: S+ = max(0, S+ + z - k), S- = max(0, S- - z - k), a change at S > h.

    `mean` and `sd` are the figure's usual ones. `allowance` k is half of the shift to be found, in standard
    deviations; `limit` h sets the run length: 5 gives about 465 values between false alarms at k = ½.

    Source: Page, "Continuous inspection schemes", Biometrika 41 (1954); Montgomery, "Statistical Quality Control".
    """

    mean: float
    sd: float
    allowance: float = 0.5
    limit: float = 5.0
    high: float = field(default=0.0, init=False)
    low: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if not (self.sd > 0 and math.isfinite(self.sd) and math.isfinite(self.mean)):
            raise UsageError(f"cusum needs a finite mean and an sd above 0, but has {self.mean:g} and {self.sd:g}")
        if not (self.allowance >= 0 and self.limit > 0):
            raise UsageError("cusum needs an allowance of 0 or more and a limit above 0")

    def update(self, value: float) -> Literal["", "up", "down"]:
        if math.isnan(value):
            return ""
        z = (value - self.mean) / self.sd
        self.high = max(0.0, self.high + z - self.allowance)
        self.low = max(0.0, self.low - z - self.allowance)
        if max(self.high, self.low) <= self.limit:
            return ""
        way: Literal["up", "down"] = "up" if self.high > self.low else "down"
        self.high = self.low = 0.0
        return way


def cusum_run_length(allowance: float = 0.5, limit: float = 5.0, shift: float = 0.0) -> float:
    """Mean number of values until a two-sided CUSUM rings when the level has moved by `shift` standard deviations.

    One side: (exp(-2Δb) + 2Δb - 1) / (2Δ²) with Δ = ±shift - k and b = h + 1.166; both: 1/(1/L+ + 1/L-).

    Source: Siegmund, "Sequential Analysis" (1985); within 2 % of simulation for k = ½ and h = 4 to 5.
    """
    b = limit + 1.166

    def one_side(delta: float) -> float:
        if abs(delta) < 1e-9:
            return b * b
        return (math.exp(-2 * delta * b) + 2 * delta * b - 1) / (2 * delta * delta)

    return 1.0 / (1.0 / one_side(shift - allowance) + 1.0 / one_side(-shift - allowance))


@dataclass(slots=True)
class PageHinkley:
    """Page-Hinkley's test on both sides: m = Σ(x - x̄ - δ), a change where m is `limit` above its smallest value.

    x̄ is the running mean since the last change. `allowance` δ and `limit` are in the figure's own unit; nothing is
    said of the first `least_n` values.

    Source: Hinkley, "Inference about the change-point from cumulative sum tests", Biometrika 58 (1971).
    """

    allowance: float = 0.005
    limit: float = 50.0
    least_n: int = 30
    n: int = field(default=0, init=False)
    mean: float = field(default=0.0, init=False)
    sums: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    ends: tuple[float, float] = field(default=(0.0, 0.0), init=False)

    def __post_init__(self) -> None:
        if not (self.allowance >= 0 and self.limit > 0 and self.least_n >= 1):
            raise UsageError("page_hinkley needs an allowance of 0 or more, a limit above 0 and least_n of 1 or more")

    def update(self, value: float) -> Literal["", "up", "down"]:
        if math.isnan(value):
            return ""
        self.n += 1
        self.mean += (value - self.mean) / self.n
        off = value - self.mean
        self.sums = (self.sums[0] + off - self.allowance, self.sums[1] + off + self.allowance)
        self.ends = (min(self.ends[0], self.sums[0]), max(self.ends[1], self.sums[1]))
        if self.n < self.least_n:
            return ""
        up, down = self.sums[0] - self.ends[0], self.ends[1] - self.sums[1]
        if max(up, down) <= self.limit:
            return ""
        self.n, self.mean, self.sums, self.ends = 0, 0.0, (0.0, 0.0), (0.0, 0.0)
        return "up" if up > down else "down"


class Adwin:
    """ADWIN, a window that grows and drops its older part when the two differ by more than chance; river's.

    `delta` bounds the chance of a false cut. Source: Bifet and Gavaldà, SIAM Data Mining 2007.
    """

    def __init__(self, delta: float = 0.002) -> None:
        if not 0 < delta < 1:
            raise UsageError(f"adwin needs a delta between 0 and 1, but has {delta:g}")
        try:
            from river.drift import ADWIN
        except ModuleNotFoundError as error:
            raise MissingExtraError("river", "river", purpose="the detector adwin") from error
        self._adwin: Any = ADWIN(delta=delta)

    def update(self, value: float) -> Literal["", "up", "down"]:
        if math.isnan(value):
            return ""
        before = self._adwin.estimation
        self._adwin.update(value)
        if not self._adwin.drift_detected:
            return ""
        return "up" if self._adwin.estimation > before else "down"


DETECTORS: dict[str, Any] = {"rank_shift": RankShift, "cusum": Cusum, "page_hinkley": PageHinkley, "adwin": Adwin}


@dataclass(frozen=True, slots=True)
class Change:
    """A change seen at the value of this place, from 0 on, and which way the level or the spread went."""

    place: int
    way: Way


def changes(values: Iterable[float], detector: str, **options: float) -> list[Change]:
    """Where `detector`, one of DETECTORS, sees changes in `values`; NaN is passed over.

    Raises:
        UsageError: for an unknown detector or options that it does not have.
    """
    make = DETECTORS.get(detector)
    if make is None:
        raise UsageError(
            f"unknown detector {detector!r}{suggestion(detector, DETECTORS)}; known: {', '.join(DETECTORS)}"
        )
    try:
        one: Detector = make(**options)
    except TypeError as error:
        raise UsageError(f"{detector}: {error}") from None
    found = []
    for place, value in enumerate(values):
        way = one.update(float(value))
        if way:
            found.append(Change(place, way))
    return found

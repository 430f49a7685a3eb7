"""What a chart shows of a verdict: the figure that was decided on, its interval, and the limit that it was held to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..compare.pairing import Pairing
from ..core.types import Verdict
from .decide import show
from .outcome import GateOutcome

__all__ = ["Reading", "readings"]

_DECIDED: Final = {"fail": 0, "inconclusive": 1, "pass": 2}
_TIERS: Final = {"block": 0, "warn": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Reading:
    """One verdict as a place beside its limit.

    `value`, `low`, `high` are distances from the limit, positive where the rule holds, in units of the farthest of all
    readings of that metric: within −1 and 1, so that what is far from its limit looks far. NaN where there is none;
    `low` and `high` may be infinite.
    """

    verdict: Verdict
    value: float
    low: float
    high: float
    figures: str
    """The figure and its interval as text."""

    @property
    def drawn(self) -> bool:
        """Whether there is a figure to draw."""
        return math.isfinite(self.value)


def readings(outcome: GateOutcome) -> tuple[Reading, ...]:
    """The readings of all verdicts: what fails first, and what decides before what only warns."""
    raw = [_raw(v, p) for v, p in zip(outcome.verdicts, outcome.pairings, strict=True)]
    farthest: dict[tuple[str, bool], float] = {}
    for reading, paired in raw:
        ends = (reading.value, reading.low, reading.high)
        reach = max(map(abs, filter(math.isfinite, ends)), default=0.0)
        # Where an interval is open, there is room beyond what is known.
        reach *= 1.25 if any(map(math.isinf, ends)) else 1.0
        key = reading.verdict.metric, paired
        farthest[key] = max(farthest.get(key, 0.0), reach)
    scaled = [_scaled(reading, farthest[reading.verdict.metric, paired]) for reading, paired in raw]
    return tuple(sorted(scaled, key=lambda r: (_TIERS[r.verdict.tier], _DECIDED[r.verdict.state])))


def _raw(verdict: Verdict, pairing: Pairing | None) -> tuple[Reading, bool]:
    """The reading in the metric's own unit, and whether it is of a change against the baseline."""
    if pairing is not None:
        span = (pairing.regression, pairing.low, pairing.high)
        # A regression is worse the greater it is; people read the change, which is better the greater it is.
        figures = _text(*(0.0 - x for x in (span[0], span[2], span[1])), change=True)  # and not −0
        condition, limit = _condition(verdict), verdict.limit
        if condition.startswith("superior"):
            limit = -limit
        elif condition.startswith("drops"):
            limit *= abs(math.nan if verdict.baseline_value is None else verdict.baseline_value)
        elif condition.startswith("equivalent") and pairing.regression < 0:
            # Of its two limits the one that is nearer.
            span = (-span[0], -span[2], -span[1])
        return Reading(verdict, *_distances(span, limit, smaller=True), figures=figures), True
    span = (verdict.value, verdict.ci_low, verdict.ci_high)
    distances = _distances(span, verdict.limit, smaller=_asks_for_less(verdict))
    return Reading(verdict, *distances, figures=_text(*span)), False


def _distances(span: Iterable[float], limit: float, *, smaller: bool) -> tuple[float, float, float]:
    value, low, high = ((limit - x if smaller else x - limit) for x in span)
    return (value, high, low) if smaller else (value, low, high)


def _asks_for_less(verdict: Verdict) -> bool:
    """Whether the rule holds below its limit."""
    condition = _condition(verdict)
    if condition.startswith(("≥", "≤")):
        return condition.startswith("≤")
    # A verdict by other means than ours: what was decided tells, where anything was.
    holds = verdict.state == "pass"
    return verdict.value < verdict.limit if holds else verdict.value > verdict.limit


def _condition(verdict: Verdict) -> str:
    """What the rule asks, and what stands behind it: `≥ 0.8 · small`, `regresses ≤ 0.02 · small`."""
    return verdict.rule.removeprefix(f"{verdict.task}.{verdict.metric}").lstrip()


def _text(value: float, low: float, high: float, *, change: bool = False) -> str:
    def signed(x: float) -> str:
        return f"+{show(x)}" if change and x > 0 else show(x)

    if math.isnan(value):
        return "no figure"
    if math.isnan(low) or math.isnan(high):
        return signed(value)
    return f"{signed(value)} [{signed(low)}, {signed(high)}]"


def _scaled(reading: Reading, farthest: float) -> Reading:
    def share(x: float) -> float:
        return x / farthest if farthest > 0 and math.isfinite(x) else x

    return Reading(
        reading.verdict, share(reading.value), share(reading.low), share(reading.high), figures=reading.figures
    )

"""The arithmetic of a rule: a figure or an interval against a limit. Pure, no record in sight."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from ..compare.paired import rounded_up
from ..core.types import VerdictState
from ..stats.tails import normal_quantile

__all__ = [
    "NO_VARIATION",
    "TOLERANCE",
    "Condition",
    "Decision",
    "decide_interval",
    "decide_point",
    "samples_needed",
    "show",
]

Condition = Literal["at_least", "at_most"]

# A figure that equals the limit passes: 0.9 - 0.85 is 0.05000000000000004, and must not fail "by no more than 0.05".
TOLERANCE = 1e-12

# Methods whose interval is a bound on what was not seen, since all that was seen agrees.
NO_VARIATION = frozenset({"no-variation", "identical pairs", "constant change"})


class Decision(NamedTuple):
    """The state, and the end of the sentence that says why."""

    state: VerdictState
    because: str


def _slack(value: float, limit: float) -> float:
    size = max(1.0, abs(value), abs(limit))
    return TOLERANCE * size if math.isfinite(size) else 0.0


def _reaches(value: float, limit: float, condition: Condition) -> bool:
    slack = _slack(value, limit)
    return value >= limit - slack if condition == "at_least" else value <= limit + slack


def show(value: float, beside: float | None = None) -> str:
    """`value` to 4 significant digits, or as many as it takes to tell it from `beside` where a rule does so too."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    same = beside is None or abs(value - beside) <= _slack(value, beside)
    for digits in range(4, 18):
        text = f"{value:.{digits}g}"
        if same or text != f"{beside:.{digits}g}":
            break
    if "e" in text and 1e-4 <= abs(value) < 1e7:
        text = f"{value:,.0f}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def decide_point(value: float, limit: float, condition: Condition) -> Decision:
    """Whether the figure itself fulfils the condition; NaN fails."""
    if math.isnan(value):
        return Decision("fail", "there is no figure (not a number), and a gate on nothing fails")
    bound = "at least" if condition == "at_least" else "at most"
    if _reaches(value, limit, condition):
        return Decision("pass", f"{bound} {show(limit, value)} is required")
    gap = show(abs(value - limit))
    side = "below" if condition == "at_least" else "above"
    return Decision("fail", f"{gap} {side} the limit of {show(limit, value)}")


def samples_needed(
    value: float, low: float, high: float, limit: float, n: int, *, method: str = "", confidence: float = 0.95
) -> int | None:
    """About how many samples would take the limit out of the interval, if the figure stayed.

        Wilson          z²·L(1 − L)/gap², since its interval inverts the score test at the limit L
        no variation    (n + z²)·half/gap − z², since its half-width is a share z²/(n + z²) of what is possible
        else            n·(half/gap)², since intervals shrink by the square root of n

    `half` is the half-width on the side where the limit lies. None where it cannot be said: the figure is the limit,
    or the interval is not finite.
    """
    half = value - low if limit < value else high - value
    gap = abs(value - limit)
    if not math.isfinite(half) or not math.isfinite(gap) or half <= 0 or n <= 0 or gap <= _slack(value, limit):
        return None
    z2 = normal_quantile((1 + confidence) / 2) ** 2
    if method == "wilson" and 0 < limit < 1:
        needed = z2 * limit * (1 - limit) / gap**2
    elif method in NO_VARIATION:
        needed = (n + z2) * half / gap - z2
    else:
        needed = n * (half / gap) ** 2
    return rounded_up(needed, above=n)


def decide_interval(
    value: float,
    low: float,
    high: float,
    limit: float,
    condition: Condition,
    *,
    n: int,
    needed: int | None = None,
) -> Decision:
    """Whether the whole interval fulfils the condition, none of it does, or it straddles the limit.

    `needed` is how many samples would settle it, where that is known.
    """
    if math.isnan(value):
        return decide_point(value, limit, condition)
    if math.isnan(low) or math.isnan(high):
        return Decision("inconclusive", f"{n} sample{'' if n == 1 else 's'} are too few for an interval")
    span = f"[{show(low)}, {show(high)}]"
    bound = "at least" if condition == "at_least" else "at most"
    worst, best = (low, high) if condition == "at_least" else (high, low)
    if _reaches(worst, limit, condition):
        return Decision("pass", f"its whole interval {span} is {bound} {show(limit)}, as required")
    if not _reaches(best, limit, condition):
        return Decision("fail", f"no part of its interval {span} is {bound} {show(limit)}")
    more = f"about {needed:,} samples would settle it (now {n:,})" if needed else "more samples are needed"
    return Decision("inconclusive", f"its interval {span} straddles the limit of {show(limit)}; {more}")

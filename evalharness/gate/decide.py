"""A figure against a limit, and how figures are shown in sentences. Pure, no record in sight."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from ..core.types import VerdictState

__all__ = [
    "TOLERANCE",
    "Condition",
    "Decision",
    "decide_point",
    "show",
]

Condition = Literal["at_least", "at_most"]

# A figure that equals the limit passes: 0.9 - 0.85 is 0.05000000000000004, and must not fail "by no more than 0.05".
TOLERANCE = 1e-12


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
    value += 0.0  # a margin of 0 makes a limit of −0, which reads 0
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

"""What the reports show of a gate: the outcome as plain values, from the object or from gate.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["GateOutcomeLike", "GateView", "VerdictView"]


class GateOutcomeLike(Protocol):
    """What this room needs of a gate's outcome (`gate.GateOutcome` is one)."""

    def to_dict(self) -> dict[str, Any]:
        """The content of gate.json."""
        ...


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One verdict; numbers are NaN where there are none."""

    rule: str
    state: str
    tier: str
    reason: str
    task: str
    model: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    limit: float
    baseline_value: float
    n: int


@dataclass(frozen=True, slots=True)
class GateView:
    """The gate's outcome, from the object or from gate.json."""

    state: str
    reason: str
    decide_on: str
    baseline_id: str | None
    verdicts: tuple[VerdictView, ...]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> GateView:
        """The view of what `to_dict` gives and gate.json holds."""
        return cls(
            state=str(body["state"]),
            reason=str(body["reason"]),
            decide_on=str(body.get("decide_on", "point")),
            baseline_id=body.get("baseline_id"),
            verdicts=tuple(_verdict(v) for v in body.get("verdicts", ())),
        )


def _verdict(body: Mapping[str, Any]) -> VerdictView:
    def number(key: str) -> float:
        return math.nan if body.get(key) is None else float(body[key])

    return VerdictView(
        rule=str(body["rule"]),
        state=str(body["state"]),
        tier=str(body["tier"]),
        reason=str(body["reason"]),
        task=str(body["task"]),
        model=str(body["model"]),
        metric=str(body["metric"]),
        value=number("value"),
        ci_low=number("ci_low"),
        ci_high=number("ci_high"),
        limit=number("limit"),
        baseline_value=number("baseline_value"),
        n=int(body.get("n", 0)),
    )

"""What a comparison of two windows found, column by column: what drift tests make, and reports and alerts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ColumnKind", "DriftFinding", "DriftReport", "DriftState"]

ColumnKind = Literal["numeric", "category", "text", "embedding"]

DriftState = Literal["drift", "small", "no_drift", "too_few"]
"""drift: evidence and effect; small: evidence of an effect that is below its threshold; no_drift: no evidence;
too_few: below the least n, so that nothing is said."""


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """What one test found in one column of one segment.

    `p_value` is the evidence by itself, `q_value` after the correction over the columns and segments of the window.
    `effect` is in the unit that `effect_name` names, and counts from `effect_threshold` on; `smallest_effect` is what
    these numbers of rows would find four times in five. `segment` is "" for the whole window, else "language=de".
    """

    column: str
    kind: ColumnKind
    test: str
    state: DriftState
    reason: str
    p_value: float
    q_value: float
    effect: float
    effect_name: str
    effect_threshold: float
    smallest_effect: float
    statistic: float
    n_reference: int
    n_current: int
    segment: str = ""
    effect_low: float = float("nan")
    effect_high: float = float("nan")

    @property
    def drifted(self) -> bool:
        """Whether there is both evidence and effect."""
        return self.state == "drift"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A comparison of two windows: findings, with what a reader needs to see them (pictures' figures, examples).

    `pictures` maps a column (of the whole window) to what its chart shows: {"kind": "numeric", "edges": [...],
    "reference": [shares], "current": [shares]} or {"kind": "category", "labels": [...], "reference": [...],
    "current": [...]}. `summaries` maps a column to (name, reference, current) figures such as mean, p95, missing.
    `terms` are (column, term, log-odds z, share in the reference, share now), `examples` (column, side, text, why).
    """

    reference: str
    current: str
    n_reference: int
    n_current: int
    findings: tuple[DriftFinding, ...]
    alpha: float
    correction: str
    notes: tuple[str, ...] = ()
    pictures: Mapping[str, Mapping[str, Sequence[object] | str]] = field(default_factory=dict)
    summaries: Mapping[str, Sequence[tuple[str, float, float]]] = field(default_factory=dict)
    terms: tuple[tuple[str, str, float, float, float], ...] = ()
    examples: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def drifted(self) -> tuple[DriftFinding, ...]:
        """The findings with evidence and effect."""
        return tuple(finding for finding in self.findings if finding.drifted)

"""How a window is judged: the tests, their thresholds, and what counts as evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from ..core.errors import UsageError
from ..core.types import Json

__all__ = ["Correction", "Policy", "SegmentRules"]

Correction = Literal["bh", "by", "holm", "none"]


class SegmentRules(NamedTuple):
    """Tests and effects of columns, as a policy has them, where one segment has its own."""

    tests: Mapping[str, Json]
    effects: Mapping[str, float]


@dataclass(frozen=True)
class Policy:
    """What a comparison of two windows asks for.

    `tests` maps a column to a test, a name or {name: {option: value}}, where the default of its kind is not wanted;
    `effects` maps a column to the effect from which on it matters; `segments` maps a segment (language=de) to tests and
    effects that are others there. `alpha` bounds the false alarms of a window, `least_n` is the number of rows (of
    conversations, where rows are clustered) below which nothing is said. Of the columns `sampled`, values are missing
    because only some rows were measured: that is not compared.
    """

    alpha: float = 0.05
    correction: Correction = "bh"
    least_n: int = 30
    tests: Mapping[str, Json] = field(default_factory=dict)
    effects: Mapping[str, float] = field(default_factory=dict)
    sampled: frozenset[str] = frozenset()
    seed: int = 0
    segments: Mapping[str, SegmentRules] = field(default_factory=dict)

    def of_segment(self, segment: str) -> Policy:
        """What is asked for in `segment`, "" for the whole window."""
        own = self.segments.get(segment)
        if own is None:
            return self
        return replace(self, tests={**self.tests, **own.tests}, effects={**self.effects, **own.effects}, segments={})

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UsageError(f"alpha must lie between 0 and 1, as in 0.05, but is {self.alpha:g}")
        if self.correction not in ("bh", "by", "holm", "none"):
            raise UsageError(f"correction is {self.correction!r}; choose bh, by, holm or none")
        if self.least_n < 2:
            raise UsageError(f"least_n must be at least 2, but is {self.least_n}")
        effects = [*self.effects.items(), *(item for one in self.segments.values() for item in one.effects.items())]
        for column, effect in effects:
            if not (effect >= 0 and math.isfinite(effect)):
                raise UsageError(f"the effect of column {column!r} must be a number from 0 on, but is {effect:g}")

"""One-sided tests from resampling and from order statistics; see `one_sided` for what they have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from .arrays import Floats, np
from .intervals import Interval
from .one_sided import OneSided, Scaled, bisected
from .tails import normal_probability, normal_quantile

__all__ = ["OfInterval", "Resampled", "bca_corrections"]

_LEAST = 1e-7


@dataclass(frozen=True, slots=True)
class Resampled:
    """A figure with its bootstrap replicates, sorted; BCa where `bias` and `acceleration` are given.

        share = (1 + #{θ* ≤ L}) / (B + 1),  at_least(L) = Φ((z − z0)/(1 + a·(z − z0)) − z0),  z = Φ⁻¹(share)

    which inverts Efron's corrected percentiles; without corrections it is the percentile bootstrap, and never 0. Where
    the correction is not defined, 1. Source: Efron 1987; Davison and Hinkley 1997, section 4.4, for the 1 in the share.
    """

    value: float
    replicates: Floats = field(repr=False)
    bias: float = 0.0
    acceleration: float = 0.0

    def at_least(self, limit: float) -> float:
        """The p-value by the share of replicates that do not lie above `limit`."""
        below = int(np.searchsorted(self.replicates, limit, side="right"))
        return self._p_value(below)

    def at_most(self, limit: float) -> float:
        """As `at_least`, of the mirrored figure."""
        return self._mirrored().at_least(-limit)

    def lower(self, alpha: float) -> float:
        """Just below the replicate of which so many lie below that `at_least` is still no more than alpha."""
        size = len(self.replicates)
        low, high = -1, size
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._p_value(middle) <= alpha else (low, middle)
        if low < 0:
            return -math.inf
        # `low` replicates may lie at or below the limit: it must stay below the next one.
        return math.nextafter(float(self.replicates[low]), -math.inf) if low < size else math.inf

    def upper(self, alpha: float) -> float:
        """As `lower`, of the mirrored figure."""
        return -self._mirrored().lower(alpha)

    def scaled(self, factor: float) -> OneSided:
        """Normal, with the errors that the bounds show on either side."""
        z = normal_quantile(0.95)
        below, above = (self.value - self.lower(0.05)) / z, (self.upper(0.05) - self.value) / z
        return Scaled(self.value, max(below, 0.0), max(above, 0.0)).scaled(factor)

    def _mirrored(self) -> Resampled:
        return Resampled(-self.value, -self.replicates[::-1], -self.bias, -self.acceleration)

    def _p_value(self, below: int) -> float:
        share = (1 + below) / (len(self.replicates) + 1)
        if share >= 1:
            return 1.0
        moved = normal_quantile(share) - self.bias
        scale = 1 + self.acceleration * moved
        return normal_probability(moved / scale - self.bias) if scale > 0 else (1.0 if moved > 0 else 0.0)


def bca_corrections(value: float, replicates: Floats, left_out: Floats) -> tuple[float, float]:
    """(bias z0, acceleration a) of Efron's interval, as `bootstrap.bca_interval` has them; (0, 0) where undefined."""
    share = float(np.mean(replicates < value) + np.mean(replicates <= value)) / 2
    kept = left_out[np.isfinite(left_out)]
    deviations = kept.mean() - kept if kept.size else kept
    widest = float(np.abs(deviations).max()) if kept.size else 0.0
    if not 0 < share < 1 or widest == 0:
        return 0.0, 0.0
    deviations = deviations / widest
    spread = float(np.sum(deviations**2))
    return normal_quantile(share), float(np.sum(deviations**3)) / (6 * spread**1.5)


@dataclass(frozen=True)
class OfInterval:
    """A figure whose two-sided interval at any confidence is `interval`: each side is a bound at half the rest."""

    value: float
    interval: Callable[[float], tuple[float, float]] = field(repr=False)

    def at_least(self, limit: float) -> float:
        """The level at which the lower bound reaches `limit`; 1 where none below a half does."""
        return self._level(lambda alpha: self.lower(alpha) >= limit)

    def at_most(self, limit: float) -> float:
        """The level at which the upper bound reaches `limit`."""
        return self._level(lambda alpha: self.upper(alpha) <= limit)

    def lower(self, alpha: float) -> float:
        """The lower end at confidence 1 − 2·alpha."""
        return self._of(alpha).low

    def upper(self, alpha: float) -> float:
        """The upper end at confidence 1 − 2·alpha."""
        return self._of(alpha).high

    def scaled(self, factor: float) -> OneSided:
        """Normal, with the errors that the bounds show on either side."""
        z, found = normal_quantile(0.95), self._of(0.05)
        return Scaled(self.value, max(self.value - found.low, 0.0) / z, max(found.high - self.value, 0.0) / z).scaled(
            factor
        )

    def _of(self, alpha: float) -> Interval:
        low, high = self.interval(1 - 2 * min(max(alpha, _LEAST), 0.499999))
        return Interval(-math.inf if math.isnan(low) else float(low), math.inf if math.isnan(high) else float(high))

    def _level(self, reached: Callable[[float], bool]) -> float:
        if reached(_LEAST):
            return _LEAST
        return bisected(reached, 0.499999, _LEAST, steps=30) if reached(0.499999) else 1.0

"""One-sided tests from resampling and from order statistics; see `one_sided` for what they have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .arrays import Floats, Ints, np
from .beta import beta_probability
from .cluster_spread import cluster_freedom, cluster_spread
from .intervals import Interval
from .one_sided import ClusteredProportion, OneSided, Scaled, bisected
from .tails import normal_probability, normal_quantile

__all__ = [
    "ClusteredOrderStatistic",
    "OfInterval",
    "OrderStatistic",
    "Resampled",
    "bca_corrections",
    "clustered_order_statistic",
]

_LEAST = 1e-7
# Below this share of C − 1 degrees of freedom, clusters are of uneven sizes.
_UNEVEN = 0.8


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


class _Ordered:
    """What tests of a quantile of sorted values have in common: they go by how many lie below the limit."""

    __slots__ = ()

    values: Floats

    def at_least(self, limit: float) -> float:
        """P(no more values lie below the quantile than below `limit`)."""
        return self._few(int(np.searchsorted(self.values, limit, side="left")))

    def at_most(self, limit: float) -> float:
        """P(as many values lie below the quantile as are no more than `limit`)."""
        return self._many(int(np.searchsorted(self.values, limit, side="right")))

    def lower(self, alpha: float) -> float:
        """The highest value below which so few lie."""
        n = len(self.values)
        most = _last(lambda count: self._few(count) <= alpha, n)
        return -math.inf if most < 0 else math.inf if most == n else float(self.values[most])

    def upper(self, alpha: float) -> float:
        """The lowest value that so many do not exceed."""
        n = len(self.values)
        spare = _last(lambda count: self._many(n - count) <= alpha, n)
        return math.inf if spare < 0 else -math.inf if spare == n else float(self.values[n - 1 - spare])

    def _few(self, count: int) -> float:
        raise NotImplementedError

    def _many(self, count: int) -> float:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class OrderStatistic(_Ordered):
    """The q-quantile of independent values, sorted: the binomial test of how many lie below the limit.

        at_most(L) = P(Bin(n, q) ≥ #{x ≤ L}),  at_least(L) = P(Bin(n, q) ≤ #{x < L})

    Distribution-free; the bounds are order statistics, and open (infinite) where there are too few values: the upper
    bound of a 95th percentile needs 59. Source: Hahn and Meeker 1991, section 5.2.
    """

    values: Floats = field(repr=False)
    q: float
    times: float = 1.0

    def scaled(self, factor: float) -> OrderStatistic:
        """Each value so many times."""
        return replace(self, times=self.times * factor)

    def _few(self, count: int) -> float:
        n, below = round(len(self.values) * self.times), round(count * self.times)
        return 1.0 if below >= n else beta_probability(1 - self.q, n - below, below + 1)

    def _many(self, count: int) -> float:
        n, below = round(len(self.values) * self.times), round(count * self.times)
        return 1.0 if below <= 0 else beta_probability(self.q, below, n - below + 1)


@dataclass(frozen=True, slots=True)
class ClusteredOrderStatistic(_Ordered):
    """The q-quantile of values in clusters, sorted: the test of the share that lies below the limit.

        at_most(L): of "the share of x ≤ L is below q",  at_least(L): of "the share of x < L is above q"

    `share` is the test of the share at the quantile; its effective sample size and degrees of freedom serve for all
    limits, so that the bounds are order statistics. Resampled clusters hold the 95th percentile in 68 of 100 draws of
    six clusters of five, for no draw has values beyond the largest; here the side is open then. Source: Woodruff 1952
    (J Am Stat Assoc 47:635), with the effective size of Korn and Graubard 1998.
    """

    values: Floats = field(repr=False)
    q: float
    share: ClusteredProportion

    def scaled(self, factor: float) -> ClusteredOrderStatistic:
        """More clusters of the same kind."""
        return replace(self, share=self.share.scaled(factor))

    def _few(self, count: int) -> float:
        return replace(self.share, share=count / len(self.values)).at_most(self.q)

    def _many(self, count: int) -> float:
        return replace(self.share, share=count / len(self.values)).at_least(self.q)


def clustered_order_statistic(values: Floats, codes: Ints, q: float) -> ClusteredOrderStatistic | None:
    """The test of the q-quantile of `values` (n,) in the clusters `codes` (n,); None for fewer than two clusters.

    Where few clusters have most of the values, few values beyond a far quantile say little of how such values gather:
    then the effective size is that of the share at the median, if it is smaller.
    """
    n_units = len(np.unique(codes))
    if n_units < 2:
        return None
    share = _share_at(values, codes, q)
    if cluster_freedom(np.bincount(codes), 0.0) < _UNEVEN * (n_units - 1):
        share = replace(share, n_effective=min(share.n_effective, _share_at(values, codes, 0.5).n_effective))
    return ClusteredOrderStatistic(np.sort(values), q, share)


def _share_at(values: Floats, codes: Ints, q: float) -> ClusteredProportion:
    """The test of the share of `values` up to their own q-quantile."""
    within = (values <= np.quantile(values, q)).astype(np.float64)
    share = float(within.mean())
    error, freedom = cluster_spread(within, codes)[:2]
    if not 0 < share < 1 or not error > 0:
        return ClusteredProportion(share, float(len(np.unique(codes))), freedom)
    rarer = within == (0.0 if share >= 0.5 else 1.0)
    effective = min(share * (1 - share) / error**2, float(len(values)))
    return ClusteredProportion(share, effective, min(len(np.unique(codes[rarer])), freedom))


def _last(holds: Callable[[int], bool], n: int) -> int:
    """The largest count of 0 … n for which `holds`, which holds up to some count; −1 for none."""
    low, high = -1, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


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

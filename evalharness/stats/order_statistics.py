"""One-sided tests of quantiles by order: how many values lie below a limit, alone and in clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .arrays import Floats, Ints, np
from .beta import beta_probability
from .cluster_spread import cluster_freedom, cluster_spread
from .one_sided import ClusteredProportion

__all__ = ["ClusteredOrderStatistic", "OrderStatistic", "clustered_order_statistic", "clustered_proportion"]

# Below this share of C − 1 degrees of freedom, clusters are of uneven sizes.
_UNEVEN = 0.8


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
    return clustered_proportion((values <= np.quantile(values, q)).astype(np.float64), codes)


def clustered_proportion(values: Floats, codes: Ints) -> ClusteredProportion:
    """The test of the share of 0/1 `values` (n,) in the clusters `codes` (n,), two or more of them.

    The effective size is m(1 − m)/SE² by `cluster_spread`, n at most; of values that are all one, as many as clusters.
    """
    share = float(values.mean())
    error, freedom = cluster_spread(values, codes)[:2]
    n_units = len(np.unique(codes))
    if not 0 < share < 1:
        return ClusteredProportion(share, float(n_units), min(n_units, freedom))
    effective = min(share * (1 - share) / error**2, float(len(values))) if error > 0 else float(len(values))
    rarer = values == (0.0 if share >= 0.5 else 1.0)
    return ClusteredProportion(share, effective, min(len(np.unique(codes[rarer])), freedom))


def _last(holds: Callable[[int], bool], n: int) -> int:
    """The largest count of 0 … n for which `holds`, which holds up to some count; −1 for none."""
    low, high = -1, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low

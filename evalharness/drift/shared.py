"""Two windows of one column brought to the same bins, whatever shape they came in."""

from __future__ import annotations

import math
from typing import NamedTuple

from evalharness.stats.arrays import Floats, Ints, np
from evalharness.stats.count_distances import normal_scores

from .base import Counts, Rows

__all__ = ["Shared", "shared_counts"]

# Up to so many rows in all, every distinct value is a bin of its own, so that binned statistics are the exact ones.
_DISTINCT = 512
_BINS = 256
# Clusters a window; more are put together at random, which keeps them whole.
_UNITS = 512


class Shared(NamedTuple):
    """Counts (k,) of both windows over the same bins, and what they are known to vary by.

    `groups` are counts by random group of clusters, None where rows are independent; `units` (C, k) the counts of each
    cluster of both windows, the first window's first, where clusters themselves are known. `positions` (k,) are in
    standard deviations of the reference. `continuous` says that no two values of the rows were equal, and `rows` are
    the values themselves, sorted, in the unit of the positions.
    """

    x: Floats
    y: Floats
    positions: Floats
    groups: tuple[Floats | None, Floats | None] = (None, None)
    units: tuple[Floats, Floats] | None = None
    continuous: bool = False
    rows: tuple[Floats, Floats] | None = None

    @property
    def pooled(self) -> Floats:
        """(k,) both together."""
        return self.x + self.y

    @property
    def grouped(self) -> bool:
        """Whether counts by random group of clusters are known of a window."""
        return any(given is not None for given in self.groups)

    @property
    def clustered(self) -> bool:
        """Whether rows belong together, in either way of knowing it."""
        return self.grouped or self.units is not None

    @property
    def empty(self) -> bool:
        """Whether a window has no rows."""
        return not (self.x.sum() > 0 and self.y.sum() > 0)


def shared_counts(reference: Counts | Rows, current: Counts | Rows, *, seed: int) -> Shared:
    """Both windows over the same bins.

    Rows are counted over their distinct values where they are few, else over quantiles of both windows together, which
    leaves permutations of rows between the windows as exchangeable as they were.

    Raises:
        TypeError: for windows of different shapes.
        ValueError: for counts over different bins.
    """
    if isinstance(reference, Counts) and isinstance(current, Counts):
        if reference.counts.size != current.counts.size:
            raise ValueError(
                f"both windows must be counted over the same bins; the reference has {reference.counts.size}, "
                f"the current one {current.counts.size}"
            )
        pooled = reference.counts + current.counts
        positions = reference.positions
        if positions is None:
            positions = normal_scores(pooled) if pooled.sum() > 0 else np.zeros(pooled.size)
        return Shared(reference.counts, current.counts, positions, (reference.groups, current.groups))
    if isinstance(reference, Rows) and isinstance(current, Rows):
        return _counted(reference, current, seed)
    raise TypeError(
        f"both windows must come in the same shape; got {type(reference).__name__} and {type(current).__name__}"
    )


def _counted(reference: Rows, current: Rows, seed: int) -> Shared:
    first, second = np.asarray(reference.values, np.float64), np.asarray(current.values, np.float64)
    if first.ndim != 1 or second.ndim != 1:
        raise ValueError(f"this test takes single numbers; got rows of shape {first.shape} and {second.shape}")
    # Two sorted runs: a stable sort only merges them.
    low, high = np.sort(first), np.sort(second)
    pooled = np.concatenate([low, high])
    pooled.sort(kind="stable")
    if not (first.size and second.size):
        return Shared(np.full(1, float(first.size)), np.full(1, float(second.size)), np.zeros(1))
    distinct = np.concatenate([[True], pooled[1:] != pooled[:-1]])
    n_distinct = int(distinct.sum())
    continuous = n_distinct == pooled.size
    if pooled.size > _DISTINCT and n_distinct > _BINS:
        places = np.linspace(0, pooled.size - 1, _BINS + 1).astype(np.int64)[1:]
        # The outermost rows in bins of 1, 2, 4, … by themselves, or a few far ones are lost among many.
        outer = 2 ** np.arange(int(math.log2(pooled.size / _BINS)) + 1)
        places = np.concatenate([outer - 1, places, pooled.size - 1 - outer])
        edges = np.unique(pooled[places])
    else:
        edges = pooled[distinct]
    x, y = _binned(low, edges), _binned(high, edges)
    ends = np.cumsum(x + y).astype(np.int64)
    middles = pooled[(np.concatenate([[0], ends[:-1]]) + ends - 1) // 2]
    scale = float(first.std())
    scale = scale if scale > 0 else 1.0
    units = None
    if reference.clusters is not None or current.clusters is not None:
        units = (
            _by_cluster(first, reference.clusters, edges, seed),
            _by_cluster(second, current.clusters, edges, seed),
        )
    del pooled, distinct
    low /= scale
    high /= scale
    return Shared(x, y, middles / scale, units=units, continuous=continuous, rows=(low, high))


def _binned(values: Floats, edges: Floats) -> Floats:
    """Sorted values by bin, each up to and with its edge."""
    below = np.searchsorted(values, edges, side="right").astype(np.float64)
    return np.diff(below, prepend=0.0)


def _by_cluster(values: Floats, clusters: Ints | None, edges: Floats, seed: int) -> Floats:
    codes = np.arange(values.size) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    n = int(codes.max()) + 1
    if n > _UNITS:
        codes = np.random.default_rng(seed).permutation(np.arange(n) % _UNITS)[codes]
        n = _UNITS
    places = codes * edges.size + np.searchsorted(edges, values, side="left")
    return np.bincount(places, minlength=n * edges.size).reshape(n, edges.size).astype(np.float64)

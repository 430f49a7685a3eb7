"""Which test a figure gets: of a mean, of values that are nearly all alike, of what must be resampled. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..compare.paired import figure_of
from ..core.protocols import Array, Metric
from ..metrics.base import RowsMetric
from ..metrics.interval import ENOUGH, MAX_RESAMPLED
from ..stats.arrays import Ints
from ..stats.bootstrap import cluster_totals, jackknife, resample_weights
from ..stats.cluster_spread import cluster_spread
from ..stats.nearer import Nearer
from ..stats.one_sided import Infinite, LessCertain, MostlyOne, OneSided, Scaled, SkewedMean
from ..stats.one_sided_resampled import Resampled, bca_corrections
from ..stats.order_statistics import clustered_proportion
from ..stats.skewed import of_left_out, skewed_mean

__all__ = [
    "ENOUGH",
    "FEW",
    "TINY",
    "Moved",
    "Tested",
    "clustered_share",
    "count_units",
    "few_differ",
    "leaving_out",
    "left_out",
    "mean_test",
    "nearer",
    "note_of",
    "resampled",
    "span_of",
]

# Fewer values than this beside the one that most have say nothing of the spread.
FEW = 10
# Clusters with less than this part of the degrees of freedom of as many of one size are of very different sizes.
_UNEVEN = 2 / 3
# The tail of a step-down test of ten rules, 0.005, must hold some twenty replicates.
N_RESAMPLES = 4_000
TINY = 1e-12


class Tested(NamedTuple):
    """The name of a test, its kernel, and why it can exclude nothing, where it cannot."""

    method: str
    kernel: OneSided
    note: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """A figure whose tests are those of another one, `by` below it."""

    kernel: OneSided
    by: float

    def at_least(self, limit: float) -> float:
        """That of the other figure."""
        return self.kernel.at_least(limit - self.by)

    def at_most(self, limit: float) -> float:
        """That of the other figure."""
        return self.kernel.at_most(limit - self.by)

    def lower(self, alpha: float) -> float:
        """That of the other figure, moved."""
        return self.kernel.lower(alpha) + self.by

    def upper(self, alpha: float) -> float:
        """That of the other figure, moved."""
        return self.kernel.upper(alpha) + self.by

    def scaled(self, factor: float) -> OneSided:
        """Moved by as much."""
        return Moved(self.kernel.scaled(factor), self.by)


def count_units(codes: Ints | None, n: int) -> int:
    """How many clusters `codes` number; n where there are none."""
    return n if codes is None else len(np.unique(codes))


def span_of(values: Array, span: float) -> float:
    """How far a value can move: the metric's range, or where it has none that of the values seen (0 is nothing)."""
    if math.isfinite(span):
        return span
    finite = values[np.isfinite(values)]
    return (float(np.ptp(finite)) if finite.size else 0.0) or math.inf


def note_of(kernel: OneSided) -> str:
    """Why a kernel of values that all agree leaves a side open; "" where it does not."""
    low, high = kernel.lower(0.05), kernel.upper(0.05)
    return "" if math.isfinite(low) and math.isfinite(high) else "all agree, and the metric has no bounds"


def clustered_share(values: Array, codes: Ints, n_units: int) -> OneSided:
    """The test of 0/1 values in clusters, at the effective sample size.

    Where few of the clusters have most of the samples, what they add is skewed more than a share's own skewness tells:
    a share of .9 in 60 clusters of 1 to 30 samples then passes at its limit in 7.6 % of draws instead of 5 %. So the
    less certain of this and the skew-adjusted t is taken there.
    """
    found = clustered_proportion(values, codes)
    freedom = cluster_spread(values, codes).freedom
    if 0 < found.share < 1 and freedom < _UNEVEN * (n_units - 1):
        return LessCertain(found, skewed_mean(values, codes, n_units))
    return found


def few_differ(mode: float, reach: float, n_few: int, n_units: int, beyond: OneSided | None = None) -> MostlyOne:
    """The test of a figure of which all but `n_few` units say `mode`, and those may move it by `reach` either way.

    `beyond` is what is tested where enough differ.
    """
    # Which way they move it is not told, so that they are counted on both sides.
    return MostlyOne(mode, mode - reach, mode + reach, n_few, n_few, n_units, 2 * FEW, beyond if n_few else None)


def leaving_out(
    value: float,
    metric: Metric,
    runs: tuple[Array, ...],
    combine: Callable[[Sequence[Array]], Array],
    *,
    codes: Ints | None,
) -> OneSided | None:
    """The skew-adjusted t test of what `combine` makes of the runs' figures, with the jackknife's error; or None."""
    if isinstance(metric, RowsMetric):
        return None
    units = runs if codes is None else tuple(cluster_totals(run, codes) for run in runs)
    found = combine([jackknife(run, metric.finalize) for run in units])
    return of_left_out(value, found) if np.isfinite(found).all() else None


def mean_test(
    values: Array, codes: Ints | None, n_units: int, worst: float, best: float
) -> tuple[OneSided, int | None] | None:
    """The test of a mean of values within [worst, best], and how few differ from the rest where that decides.

    None where nothing can be said.
    """
    unique, counts = np.unique(values, return_counts=True)
    mode, most = float(unique[counts.argmax()]), int(counts.max())
    if n_units < 2 and most < len(values):
        return None
    n_few = len(values) - most
    below, above = values < mode - TINY, values > mode + TINY
    if 2 * most >= len(values) and n_few < FEW:
        n_below, n_above = (
            int(side.sum()) if codes is None else len(np.unique(codes[side])) for side in (below, above)
        )
        beyond = skewed_mean(values, codes, n_units) if n_few else None
        return MostlyOne(mode, min(worst, mode), max(best, mode), n_below, n_above, n_units, FEW, beyond), n_few
    return skewed_mean(values, codes, n_units), None


def nearer(apart: OneSided, mirrored: OneSided, shift: float) -> OneSided:
    """The test of a distance's change from those of two differences, both of which are `shift` too high."""
    return Nearer(apart, mirrored) if shift == 0 else Nearer(Moved(apart, -shift), Moved(mirrored, -shift))


def resampled(
    value: float,
    metric: Metric,
    runs: tuple[Array, ...],
    combine: Callable[[Sequence[Array]], Array],
    *,
    codes: Ints | None,
    seed: int,
    span: tuple[float, float],
) -> Tested:
    """The bootstrap of what `combine` makes of the runs' figures, each resample drawing the same units of all.

    `span` is how far the figure can be, should nothing vary.
    """
    n_units = count_units(codes, len(runs[0]))
    what = "sample" if codes is None else "cluster"
    by_rows = isinstance(metric, RowsMetric)
    n_resamples = min(N_RESAMPLES, getattr(metric, "n_resamples", N_RESAMPLES))
    if n_units < 2 or n_resamples < 2:
        return Tested("none", Infinite(), f"{n_units} {what} tells no spread")
    units = runs if codes is None or by_rows else tuple(cluster_totals(run, codes) for run in runs)
    spread = np.empty(0)
    left_out = np.empty(0) if by_rows else combine([jackknife(run, metric.finalize) for run in units])
    if left_out.size and np.isfinite(left_out).all():
        spread = left_out.mean() - left_out
        if n_units > MAX_RESAMPLED:
            return _jackknifed(value, spread, span)
    figures: list[Array] = []
    for weights in resample_weights(n_units, n_resamples=n_resamples, seed=seed, width=len(runs[0])):
        drawn = weights[:, codes] if by_rows and codes is not None else weights
        figures.append(combine([figure_of(metric, run, drawn) for run in units]))
    replicates = np.concatenate(figures)
    finite = np.sort(replicates[np.isfinite(replicates)])
    if finite.size < max(2, n_resamples // 2):
        return Tested("none", Infinite(), "the figure of most resamples is not a number")
    if finite[0] == finite[-1]:
        return _nothing_varies(value, span, n_units)
    method = "bootstrap" if codes is None else "bootstrap of clusters"
    kernel: OneSided = Resampled(value, finite, *bca_corrections(value, finite, left_out))
    if n_units < FEW and not spread.size:
        return Tested("none", Infinite(), f"{n_units} {what}s are too few to resample")
    if n_units < ENOUGH and spread.any():
        # Resampling cannot invent what few units do not show; t with the jackknife's error allows for it.
        kernel = LessCertain(kernel, of_left_out(value, left_out))
        method = f"{method} and jackknife"
    return Tested(method, kernel)


def left_out(
    value: float,
    metric: Metric,
    runs: tuple[Array, ...],
    combine: Callable[[Sequence[Array]], Array],
    *,
    codes: Ints | None,
) -> Tested:
    """Student's t test of what `combine` makes of the runs' figures, with the jackknife's error over their units."""
    numbers = None if codes is None else np.unique(codes, return_inverse=True)[1].astype(np.int64)
    units = runs if numbers is None else tuple(cluster_totals(run, numbers) for run in runs)
    n = len(units[0])
    found = combine([jackknife(run, metric.finalize) for run in units])
    if n < 2 or not np.isfinite(found).all():
        return Tested("none", Infinite(), "a level rests on one sample or cluster, which tells no spread")
    error = math.sqrt((n - 1) / n * float(np.sum((found - found.mean()) ** 2)))
    if error <= TINY:
        return Tested("none", Infinite(), "no sample makes a difference")
    name = "paired jackknife t" if codes is None else "paired jackknife t, clustered"
    return Tested(name, SkewedMean(value, error, 0.0, n))


def _jackknifed(value: float, spread: Array, span: tuple[float, float]) -> Tested:
    """The normal figure with the jackknife's standard error, where there are so many units that it is one."""
    n = spread.size
    error = math.sqrt((n - 1) / n * float(np.sum(spread**2)))
    if error <= TINY:
        return _nothing_varies(value, span, n)
    return Tested("jackknife", Scaled(value, error, error))


def _nothing_varies(value: float, span: tuple[float, float], n_units: int) -> Tested:
    kernel = MostlyOne(value, span[0], span[1], 0, 0, n_units)
    return Tested("no variation", kernel, note_of(kernel))

"""Numbers counted over frozen bins: where the edges lie, and how rows are counted quickly."""

from __future__ import annotations

import numpy as np

from ..stats.arrays import Floats, Ints

__all__ = ["bin_codes", "bin_edges", "count_sorted", "level_counts", "sum_of_squares"]

# Quantiles beyond those of equal shares, so that the tails of a window (its p99) can be told from the counts.
_TAILS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.98, 0.99, 0.995, 0.998, 0.999)
# So many rows of the sample must lie beyond: an edge that is one of the outermost rows fits the sample too well.
_LEAST_BEYOND = 10
# Beyond the range of a sample there must be bins too, or far outliers are lost in the outermost: at these multiples of
# the distance between the quartiles from the nearer one (Tukey's fences, and on). They rest on the quartiles alone, so
# that they fit the sample no better than any other window.
_FENCES = (1.5, 3.0, 6.0, 12.0)
_LEAST_FOR_FENCES = 20
# A value that so many times the rows of a bin have is a bin by itself.
_HEAVY = 0.5
# A block that is sorted within the fast caches of a core.
_BLOCK = 1 << 16


def bin_edges(values: Floats, bins: int) -> Floats:
    """The (k − 1,) upper ends of all bins but the last, from a sample of the reference; bin i is (e_{i−1}, e_i].

    The edges are the sample's quantiles at i/bins and in its tails, and fences on either side at 1.5, 3, 6 and 12 times
    the distance between the quartiles (of the rows without heavy values, where those leave no distance). Where the
    sample has at most `bins` distinct values, each is a bin. Else a value that at least half a bin's share of the rows
    has (0 in a column with many zeros, whole numbers) is a bin by itself: both it and the next smaller double are
    edges.

    n = 0 and a constant column give the bins (−∞, c] and (c, ∞); values must be finite.
    """
    if not values.size:
        return np.zeros(1)
    ordered = np.sort(values)
    distinct, counts = np.unique(ordered, return_counts=True)
    if distinct.size <= bins:
        # Beyond the largest value there is a bin, so that what is new above is seen; below the smallest, too.
        return np.unique(np.concatenate([_next_below(distinct[:1]), distinct]))
    tails = [level for level in _TAILS if min(level, 1 - level) * ordered.size >= _LEAST_BEYOND]
    levels = np.unique([*(np.arange(1, bins) / bins), *tails])
    places = np.minimum((levels * ordered.size).astype(np.int64), ordered.size - 1)
    heavy = distinct[counts >= max(2.0, _HEAVY * ordered.size / bins)]
    fences = _fences(ordered, heavy)
    found: Floats = np.unique(np.concatenate([ordered[places], heavy, _next_below(heavy), fences]))
    return found


def _fences(ordered: Floats, heavy: Floats) -> Floats:
    """Places beyond the bulk of sorted rows, on either side; none where most rows have one value."""
    for rows in (ordered, ordered[~np.isin(ordered, heavy)]):
        if rows.size < _LEAST_FOR_FENCES:
            break
        low, high = float(rows[rows.size // 4]), float(rows[rows.size * 3 // 4])
        if high > low:
            with np.errstate(over="ignore"):
                far = np.array(_FENCES) * (high - low)
                found = np.concatenate([low - far, high + far])
            return np.asarray(found[np.isfinite(found)])
    return np.zeros(0)


def _next_below(values: Floats) -> Floats:
    """The next smaller doubles; of the smallest one, itself."""
    with np.errstate(over="ignore"):
        return np.maximum(np.nextafter(values, -np.inf), -np.finfo(np.float64).max)


def count_sorted(values: Floats, edges: Floats) -> tuple[Ints, int, int, int]:
    """(k,) rows by bin, and how many are NaN, −∞ and +∞ (which are in no bin).

    Blocks are sorted and the edges looked up in them: numpy sorts doubles with vector instructions, seven times as
    fast as it looks up each value among the edges.
    """
    below = np.zeros(edges.size, dtype=np.int64)
    finite = missing = low = high = 0
    for start in range(0, values.size, _BLOCK):
        block = np.sort(values[start : start + _BLOCK])
        ends = np.searchsorted(block, [-np.inf, np.inf], side="right")
        first, last = int(ends[0]), int(np.searchsorted(block, np.inf, side="left"))
        low, high, missing = low + first, high + int(ends[1]) - last, missing + block.size - int(ends[1])
        below += np.searchsorted(block[first:last], edges, side="right")
        finite += last - first
    return np.diff(below, prepend=0, append=finite), missing, low, high


def level_counts(codes: Ints | Floats, k: int) -> Ints:
    """(k,) rows by code; those below 0 are in none. Block by block, since numpy counts in a copy of 8 bytes a row."""
    found = np.zeros(k, dtype=np.int64)
    for start in range(0, codes.size, _BLOCK):
        found += np.bincount(codes[start : start + _BLOCK].astype(np.int64) + 1, minlength=k + 1)[1:]
    return found


def sum_of_squares(values: Floats, mean: float) -> float:
    """Σ (v − mean)², block by block, so that no copy of all values is made.

    No product of vectors: BLAS would start threads of its own for one, whose waiting costs more than the sum.
    """
    total = 0.0
    for start in range(0, values.size, _BLOCK):
        gaps = values[start : start + _BLOCK] - mean
        gaps *= gaps
        total += float(gaps.sum())
    return total


def bin_codes(values: Floats, edges: Floats) -> Ints:
    """(n,) the bin of each value, all finite."""
    found: Ints = np.searchsorted(edges, values, side="left")
    return found

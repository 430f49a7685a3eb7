"""The figures of the levels of a group column, and how they vary together: additive statistics in blocks, one a level.

A sample's statistics stand in the block of its own level, and every figure of a level is a smooth function of its
block's totals. So the covariance of the figures is that of their jackknife: what each independent unit (a cluster, else
a sample) adds to them. A unit that has samples of two levels, as the variants of one template do, moves both figures,
and whatever moves them alike drops out of their difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .arrays import Bools, Floats, Ints, np

__all__ = ["Levels", "levels_of"]

_CHUNK_CELLS = 2_000_000  # 16 MB of float64 at a time
_TINY = 1e-12

Rates = Callable[[Floats], Floats]
Carries = Callable[[Floats], Bools]


@dataclass(frozen=True, eq=False)
class Levels:
    """The figures (G, R) of G levels in R rates, and their error.

    `covariance` (GR, GR) is that of `values.ravel()`. `units` (G, R) counts the units that each figure rests on. A
    figure without any, or whose error cannot be told, is NaN, and so are its rows and columns of the covariance.
    `unseen` (G, R) is the variance that one more unit, unlike those seen, would add: a part of `covariance`.
    """

    values: Floats
    covariance: Floats
    units: Ints
    unseen: Floats


def levels_of(
    blocks: Floats, codes: Ints | None, rates: Rates, carries: Carries, *, span: float, bounds: tuple[float, float]
) -> Levels:
    """The `Levels` of `blocks` (n, G, k): the statistics of n samples, each zero outside of its own level's block.

        L_cg = sqrt((C_g − 1)/C_g) · (mean_c θ_g(−c) − θ_g(−c)),  cov(θ_g, θ_h) = Σ_c L_cg·L_ch

    with θ_g(−c) the figure of level g without unit c, and C_g the units that θ_g rests on. For a mean over clusters of
    one size that is the cluster-robust covariance with its factor C/(C − 1), so that the difference of two levels in
    shared clusters has the standard error of the paired differences.

    Where few samples are unlike the rest, or none is, that is too small. So each figure gets the variance of one more
    unit at the far end, s·span²/C_g², with s the variance of single units in parts of the largest one that their mean
    allows: 1 for zeros and ones, next to nothing where all lie close together; nothing where `bounds` are not finite.
    Of two groups of zeros and ones it is about what Agresti and Caffo 2000 add, of pairs what Agresti and Min 2005 do.

    Args:
        blocks: (n, G, k) statistics.
        codes: (n,) the cluster of each sample, None where all stand alone.
        rates: (..., k) totals -> (..., R) figures.
        carries: (..., k) totals of a unit -> (..., R) whether the figures rest on it.
        span: how far a figure can move: the width of `bounds`.
        bounds: of the figures.
    """
    n_levels = blocks.shape[1]
    totals = blocks.sum(axis=0)
    values = np.asarray(rates(totals), dtype=np.float64)
    n_rates = values.shape[1]
    places: list[Ints] = []
    moves: list[Floats] = []
    counts = np.zeros((n_levels, n_rates), dtype=np.int64)
    for level in range(n_levels):
        units, numbers = _units_of(blocks[:, level, :], codes)
        carried = np.asarray(carries(units), dtype=np.bool_).reshape(len(units), n_rates)
        counts[level] = carried.sum(axis=0)
        places.append(numbers)
        moves.append(_influences(units, totals[level], carried, rates))
    n_units = max((int(numbers.max()) + 1 for numbers in places if len(numbers)), default=0)
    covariance = _covariance(places, moves, n_units, shared=codes is not None)
    values = np.where(counts > 0, values, np.nan)
    unseen = _unseen(values, np.diag(covariance).reshape(values.shape), counts, span, bounds)
    return Levels(values, covariance + np.diag(unseen.ravel()), counts, unseen)


def _units_of(rows: Floats, codes: Ints | None) -> tuple[Floats, Ints]:
    """The totals (U, k) of the units that have something in the level, and (U,) their numbers."""
    held = rows.any(axis=1)
    if codes is None:
        return rows[held], np.flatnonzero(held).astype(np.int64)
    numbers, place = np.unique(codes[held], return_inverse=True)
    sums = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(sums, place, rows[held])
    return sums, numbers.astype(np.int64)


def _influences(units: Floats, total: Floats, carried: Bools, rates: Rates) -> Floats:
    """(U, R) what each unit adds to the figures; NaN in a rate that cannot do without one of its units."""
    found = np.zeros(carried.shape)
    step = max(1, _CHUNK_CELLS // max(1, units.shape[1]))
    for start in range(0, len(units), step):
        part = slice(start, start + step)
        found[part] = np.asarray(rates(total - units[part]), dtype=np.float64).reshape(carried[part].shape)
    for rate in range(carried.shape[1]):
        own = carried[:, rate]
        n = int(own.sum())
        left_out = found[own, rate]
        found[:, rate] = 0.0
        # One unit alone tells no spread; NaN where the figure is not defined without some unit.
        scale = np.sqrt((n - 1) / n) if n > 1 else np.nan
        found[own, rate] = scale * (left_out.mean() - left_out) if n else 0.0
    return found


def _covariance(places: list[Ints], moves: list[Floats], n_units: int, *, shared: bool) -> Floats:
    """(GR, GR) Σ_c L_c·L_cᵀ; levels without a common unit have none."""
    n_rates = moves[0].shape[1] if moves else 0
    size = len(moves) * n_rates
    found = np.zeros((size, size))
    if not shared:
        for level, own in enumerate(moves):
            at = slice(level * n_rates, (level + 1) * n_rates)
            found[at, at] = own.T @ own
        return found
    step = max(1, _CHUNK_CELLS // max(1, size))
    for start in range(0, n_units, step):
        dense = np.zeros((min(step, n_units - start), size))
        for level, (numbers, own) in enumerate(zip(places, moves, strict=True)):
            low, high = np.searchsorted(numbers, (start, start + step))
            dense[numbers[low:high] - start, level * n_rates : (level + 1) * n_rates] = own[low:high]
        found += dense.T @ dense
    return found


def _unseen(values: Floats, variances: Floats, counts: Ints, span: float, bounds: tuple[float, float]) -> Floats:
    if not np.isfinite(span):
        return np.zeros(values.shape)
    shares = np.clip((values - bounds[0]) / span, 0.0, 1.0)
    most = shares * (1 - shares)
    known = np.isfinite(variances) & np.isfinite(values)
    largest = float(most[known].sum())
    seen = float((variances / span**2 * counts)[known].sum())
    # Where all units lie at the ends, nothing tells that others could not lie at the other one.
    spread = min(seen / largest, 1.0) if largest > _TINY else 1.0
    return np.where(counts > 0, spread * span**2 / np.maximum(counts, 1) ** 2, 0.0)

"""Correlation of pairs: Pearson's from additive moments or from the values, Spearman's and Kendall's from ranks."""

from __future__ import annotations

from .arrays import ArrayLike, Floats, NDArray, np

__all__ = ["PAIR_MOMENTS", "kendall", "pair_moments", "pearson", "pearson_of_moments", "spearman", "weighted_ranks"]

PAIR_MOMENTS = ("n", "x", "y", "xx", "yy", "xy")
"""The columns of `pair_moments`."""

_ROUNDING = 1e-12  # a variance this far below the squares it is left over from is one of rounding


def pair_moments(first: ArrayLike, second: ArrayLike) -> Floats:
    """(n, 6) additive statistics of pairs: `PAIR_MOMENTS`; zeros where either is NaN."""
    x, y = _pairs(first, second)
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    return np.stack([known.astype(np.float64), x, y, x * x, y * y, x * y], axis=1)


def pearson_of_moments(totals: ArrayLike) -> Floats:
    """Pearson's correlation (...) from totals (..., 6) of `pair_moments`; NaN where a side does not vary.

        r = (nΣxy − ΣxΣy) / sqrt((nΣx² − (Σx)²)(nΣy² − (Σy)²))

    The moments lose digits where the values lie far from 0 as their spread goes: give them relative to some middle.
    """
    array = np.asarray(totals, dtype=np.float64)
    n, x, y, xx, yy, xy = (array[..., i] for i in range(6))
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    varies = (spread_x > _ROUNDING * n * xx) & (spread_y > _ROUNDING * n * yy)
    return _correlation(n * xy - x * y, spread_x, spread_y, varies)


def pearson(first: ArrayLike, second: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Pearson's correlation (...) of two columns (n,) for each row of frequency weights (..., n); None is all 1.

    Source: scipy `pearsonr`, equal. Pairs with a NaN are left out. NaN for fewer than two pairs and where a column
    does not vary.

    Raises:
        ValueError: for columns or weights of different lengths, or infinite values.
    """
    x, y, given = _weighted(first, second, weights)
    return _weighted_pearson(np.broadcast_to(x, given.shape), np.broadcast_to(y, given.shape), given)


def spearman(first: ArrayLike, second: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Spearman's rank correlation (...) of two columns (n,) for each row of frequency weights (..., n).

    Pearson's correlation of the ranks, equal values having the mean of their ranks. Source: scipy `spearmanr`, equal;
    whole-number weights give what it gives for the pairs repeated so often. Pairs with a NaN are left out. NaN as for
    `pearson`.

    Raises:
        ValueError: as `pearson`.
    """
    x, y, given = _weighted(first, second, weights)
    return _weighted_pearson(weighted_ranks(x, given), weighted_ranks(y, given), given)


def kendall(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's rank correlation τ-b of two columns (n,); pairs with a NaN are left out.

        τ-b = Σ_{i<j} sign(x_i − x_j) sign(y_i − y_j) / sqrt(n_x n_y),  n_x the pairs in which x differs

    Source: scipy `kendalltau`, equal; all pairs are looked at, which is quick for the words of a text. NaN for fewer
    than two pairs and where a column does not vary.

    Raises:
        ValueError: as `pearson`.
    """
    x, y = _pairs(first, second)
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    x_signs, y_signs = np.sign(x[:, None] - x[None, :]), np.sign(y[:, None] - y[None, :])
    size = float(np.count_nonzero(x_signs)) * float(np.count_nonzero(y_signs))
    return float((x_signs * y_signs).sum() / np.sqrt(size)) if size else float("nan")


def weighted_ranks(values: ArrayLike, weights: ArrayLike) -> Floats:
    """(..., n) the mean rank, from 1, of each value (n,) among all, for each row of frequency weights (..., n)."""
    array, given = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    distinct, place = np.unique(array, return_inverse=True)
    if not distinct.size:
        return np.zeros(given.shape)
    order = np.argsort(place, kind="stable")
    starts: NDArray[np.intp] = np.searchsorted(place[order], np.arange(distinct.size))
    tied = np.add.reduceat(given[..., order], starts, axis=-1)
    ranks: Floats = (np.cumsum(tied, axis=-1) - tied + (tied + 1) / 2)[..., place]
    return ranks


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"two columns of one length are needed; got shapes {x.shape} and {y.shape}")
    if np.isinf(x).any() or np.isinf(y).any():
        raise ValueError("values must be finite, or NaN where one is missing")
    return x, y


def _weighted(first: ArrayLike, second: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    x, y = _pairs(first, second)
    given = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape[-1:] != x.shape:
        raise ValueError(f"weights must have one entry a pair: {given.shape} against {x.shape}")
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known], given[..., known]


def _weighted_pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=-1, keepdims=True)
    share = weights / np.where(total > 0, total, 1.0)
    x_off = x - (share * x).sum(axis=-1, keepdims=True)
    y_off = y - (share * y).sum(axis=-1, keepdims=True)
    spread_x, spread_y = (share * x_off * x_off).sum(axis=-1), (share * y_off * y_off).sum(axis=-1)
    # What is left of a constant by rounding is no spread.
    varies = (spread_x > _ROUNDING**2 * (share * x * x).sum(axis=-1)) & (
        spread_y > _ROUNDING**2 * (share * y * y).sum(axis=-1)
    )
    return _correlation((share * x_off * y_off).sum(axis=-1), spread_x, spread_y, varies)


def _correlation(product: Floats, spread_x: Floats, spread_y: Floats, varies: NDArray[np.bool_]) -> Floats:
    scale = np.sqrt(np.where(varies, spread_x, 1.0)) * np.sqrt(np.where(varies, spread_y, 1.0))
    # Rounding may lead past ±1 by a bit.
    return np.where(varies, np.clip(product / scale, -1.0, 1.0), np.nan)

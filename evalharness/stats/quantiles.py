"""Quantiles of weighted samples, and their distribution-free interval."""

from __future__ import annotations

import math

from .arrays import ArrayLike, Floats, NDArray, np
from .intervals import NO_INTERVAL, Interval
from .tails import binomial_at_most

__all__ = ["quantile_interval", "weighted_quantile"]


def weighted_quantile(values: ArrayLike, q: float, weights: ArrayLike | None = None) -> Floats:
    """The q-quantile of `values` (n,) for each row of frequency weights (..., n); shape (...).

    Between order statistics it is linear, as `numpy.quantile` is by default: whole-number weights give what numpy
    gives for the values repeated so often. Values that are NaN are left out; no weight left gives NaN.

    Raises:
        ValueError: for q outside [0, 1], values that are not one-dimensional or weights of another length.
    """
    array = np.asarray(values, dtype=np.float64)
    if not 0 <= q <= 1:
        raise ValueError(f"q must lie in [0, 1]; got {q!r}")
    if array.ndim != 1:
        raise ValueError(f"values must be one-dimensional; got shape {array.shape}")
    given = np.ones_like(array) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape[-1:] != array.shape:
        raise ValueError(f"weights must have one entry a value: {given.shape} against {array.shape}")
    known = np.flatnonzero(~np.isnan(array))
    order = known[np.argsort(array[known], kind="stable")]
    ordered = array[order]
    if ordered.size == 0:
        return np.full(given.shape[:-1], np.nan)
    cumulative = np.cumsum(given[..., order], axis=-1).reshape(-1, ordered.size)
    totals = cumulative[:, -1]
    position = np.maximum(totals - 1, 0.0) * q
    below = np.floor(position)
    # Order statistic j (from 0) is the first value whose cumulative weight exceeds j.
    low = _first_above(cumulative, below)
    high = _first_above(cumulative, np.ceil(position))
    result = ordered[low] + (position - below) * (ordered[high] - ordered[low])
    return np.where(totals > 0, result, np.nan).reshape(given.shape[:-1])


def _first_above(cumulative: Floats, rank: Floats) -> NDArray[np.intp]:
    found = np.array([np.searchsorted(row, r, side="right") for row, r in zip(cumulative, rank, strict=True)], np.intp)
    result: NDArray[np.intp] = np.minimum(found, cumulative.shape[1] - 1)
    return result


def quantile_interval(values: ArrayLike, q: float, *, confidence: float = 0.95) -> Interval:
    """The interval between two order statistics that holds the q-quantile, whatever the distribution.

    The number of values below the quantile is Binomial(n, q): the bounds are the innermost order statistics whose
    tails are at most α/2 each. Too few values for a bound (fewer than 72 for the upper bound of a 95th percentile)
    leave that side open: −inf or inf. Source: Hahn and Meeker 1991, section 5.2. NaN values are left out; none left
    gives NaN.
    """
    if not (0 < q < 1 and 0 < confidence < 1):
        raise ValueError(f"q and confidence must lie between 0 and 1; got q={q!r}, confidence={confidence!r}")
    array = np.asarray(values, dtype=np.float64).ravel()
    ordered = np.sort(array[~np.isnan(array)])
    n = ordered.size
    if n == 0:
        return NO_INTERVAL
    tail = (1 - confidence) / 2
    # at_most[j] = P(no more than j values lie below the quantile), j = 0 … n−1.
    at_most = binomial_at_most(n, q)
    n_low = int(np.searchsorted(at_most, tail, side="right"))
    # The quantile lies below the order statistic of rank u (from 1) unless u or more values lie below it.
    n_high = int(np.searchsorted(-(1 - at_most), -tail, side="left")) + 1
    low = float(ordered[n_low - 1]) if n_low > 0 else -math.inf
    high = float(ordered[n_high - 1]) if n_high <= n else math.inf
    return Interval(low, high)

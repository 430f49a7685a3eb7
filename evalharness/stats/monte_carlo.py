"""p-values from draws under the null that stop as soon as they have said enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .arrays import Floats, np
from .tails import normal_probability

__all__ = ["MonteCarlo", "hypergeometric_tables", "sequential_p"]

_FIRST, _LARGEST = 64, 2048
# Draws after which a statistic far beyond all of them is known well enough, and how far that is.
_ENOUGH, _FAR = 999, 1e-8


class MonteCarlo(NamedTuple):
    """The p-value, and the draws and exceedances that it comes from; `fitted` where it lies beyond what draws show."""

    p_value: float
    draws: int
    exceedances: int
    fitted: bool


def sequential_p(observed: float, draw: Callable[[int], Floats], *, stop: int = 20, most: int = 9_999) -> MonteCarlo:
    """The p-value of `observed` among draws of the statistic under the null, large values counting against it.

        p = stop/B         where the stop-th draw of at least `observed` is the B-th (then no more is drawn)
        p = (1 + #{T* ≥ T})/(most + 1)     otherwise

    Valid at every level (P(p ≤ α) ≤ α, since T is one of the exchangeable draws), and a column that has not moved costs
    about 2·stop draws. Source: Besag and Clifford 1991, Biometrika 78:301.

    Where no draw reaches `observed`, p is at most 1/(most + 1), and smaller where the Pearson III law with the draws'
    mean, variance and skewness says so (Minas and Montana 2014): then p is an approximation, and never 0. When after
    999 draws that law gives less than 1e-8, no more is drawn.

    `draw(size)` gives (size,) statistics. NaN as `observed` gives NaN.
    """
    if math.isnan(observed):
        return MonteCarlo(math.nan, 0, 0, False)
    # Sums in another order differ in their last digits; equal tables must count as equal.
    limit = observed - 1e-9 * max(abs(observed), 1e-300)
    drawn = count = 0
    size = _FIRST
    kept: list[Floats] = []
    while drawn < most:
        size = min(size, most - drawn)
        found = draw(size)
        reached = np.cumsum(found >= limit)
        if count + reached[-1] >= stop:
            last = int(np.searchsorted(reached, stop - count))
            return MonteCarlo(stop / (drawn + last + 1), drawn + last + 1, stop, False)
        count += int(reached[-1])
        drawn += size
        kept.append(found)
        size = min(2 * size, _LARGEST)
        if count == 0 and drawn >= _ENOUGH and _pearson_above(observed, np.concatenate(kept)) < _FAR:
            break
    p = (1 + count) / (drawn + 1)
    if count == 0:
        fitted = _pearson_above(observed, np.concatenate(kept))
        if fitted < p:
            return MonteCarlo(max(fitted, 1e-300), drawn, 0, True)
    return MonteCarlo(p, drawn, count, False)


def _pearson_above(t: float, draws: Floats) -> float:
    """P(T > t) of the Pearson III law (a shifted gamma) with the moments of `draws`; 1 where they do not vary."""
    mean, sd = float(draws.mean()), float(draws.std())
    if sd <= 0:
        return 1.0
    z = (t - mean) / sd
    skew = float((((draws - mean) / sd) ** 3).mean())
    if skew <= 1e-3:
        return normal_probability(-z)
    from scipy.special import gammaincc

    shape = 4 / (skew * skew)
    return float(gammaincc(shape, max(shape + z * math.sqrt(shape), 0.0)))


def hypergeometric_tables(pooled: Floats, n: int, *, seed: int) -> Callable[[int], Floats]:
    """Draws (size, k) of how `n` rows of the `pooled` (k,) counts fall, taken without replacement.

    That is what the counts of the first of two windows look like when all rows are exchangeable: the multivariate
    hypergeometric law, given the sums of the table; exact however few the rows are.
    """
    rng = np.random.default_rng(seed)
    colours = np.rint(pooled).astype(np.int64)

    def draw(size: int) -> Floats:
        return rng.multivariate_hypergeometric(colours, n, size=size, method="marginals").astype(np.float64)

    return draw

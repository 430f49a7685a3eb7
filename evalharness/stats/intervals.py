"""Confidence intervals for proportions and means, also when samples come in clusters.

All are two-sided at `confidence`. Nothing to measure (n = 0) gives NaN; so does a mean of one value, whose spread is
unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .arrays import ArrayLike, Ints, np
from .cluster_spread import cluster_spread
from .tails import normal_quantile, t_quantile

__all__ = [
    "NO_INTERVAL",
    "Interval",
    "beta_posterior",
    "check_confidence",
    "clopper_pearson",
    "cluster_codes",
    "cluster_standard_error",
    "mean_interval",
    "wilson",
    "wilson_of",
]


class Interval(NamedTuple):
    """Lower and upper confidence bound."""

    low: float
    high: float


NO_INTERVAL = Interval(math.nan, math.nan)


def check_confidence(confidence: float) -> None:
    """Raises ValueError unless `confidence` lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, exclusive; got {confidence!r}")


def _check_proportion(successes: float, n: float) -> None:
    if not (math.isfinite(n) and 0 <= successes <= n):
        raise ValueError(f"successes must lie between 0 and n; got successes={successes!r}, n={n!r}")


def wilson(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion.

        (p + z²/2n ± z·sqrt(p(1−p)/n + z²/4n²)) / (1 + z²/n)

    Source: Wilson 1927; Newcombe 1998 (Stat Med 17:857), method 3; statsmodels `proportion_confint(method="wilson")`.
    n = 0 gives NaN; n = 1 is defined.

    Raises:
        ValueError: unless 0 <= successes <= n and 0 < confidence < 1.
    """
    check_confidence(confidence)
    _check_proportion(successes, n)
    if n == 0:
        return NO_INTERVAL
    return wilson_of(successes / n, n, normal_quantile((1 + confidence) / 2))


def wilson_of(p: float, n: float, z: float) -> Interval:
    """Wilson's interval of the share `p` of `n`, which need not be whole, with the quantile `z`; nothing is checked."""
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At p = 0 and 1 the bound is exactly 0 or 1, which rounding would miss.
    low = 0.0 if p == 0 else max((centre - half) / scale, 0.0)
    high = 1.0 if p == 1 else min((centre + half) / scale, 1.0)
    return Interval(low, high)


def clopper_pearson(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """The exact binomial interval, whose coverage is never below `confidence` (and often well above).

        low = Beta⁻¹(α/2; x, n−x+1),  high = Beta⁻¹(1−α/2; x+1, n−x)

    Source: Clopper and Pearson 1934; statsmodels `proportion_confint(method="beta")`. n = 0 gives NaN.

    Raises:
        ValueError: unless 0 <= successes <= n and 0 < confidence < 1.
    """
    from scipy.special import betaincinv

    check_confidence(confidence)
    _check_proportion(successes, n)
    if n == 0:
        return NO_INTERVAL
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(low, high)


def beta_posterior(
    successes: float, n: float, *, confidence: float = 0.95, prior: tuple[float, float] = (0.5, 0.5)
) -> Interval:
    """The equal-tailed credible interval of a proportion under a Beta prior, by default Jeffreys'.

        Beta⁻¹(α/2; a + x, b + n − x) to Beta⁻¹(1 − α/2; a + x, b + n − x)

    Source: Brown, Cai and DasGupta 2001, section 3.1 (there with bounds of 0 and 1 where x is 0 or n, which this has
    not); statsmodels `proportion_confint(method="jeffreys")`, equal. n = 0 gives the prior's own interval.

    Raises:
        ValueError: unless 0 <= successes <= n and 0 < confidence < 1, and for a prior that is not positive.
    """
    from scipy.special import betaincinv

    check_confidence(confidence)
    _check_proportion(successes, n)
    a, b = prior
    if not (a > 0 and b > 0):
        raise ValueError(f"the parameters of a Beta prior must be positive; got {prior!r}")
    tail = (1 - confidence) / 2
    a, b = a + successes, b + n - successes
    return Interval(float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail)))


def cluster_codes(clusters: Sequence[str | None]) -> Ints | None:
    """Integers 0 … C−1, one a sample, that tell clusters apart; None where every sample stands alone.

    A sample whose cluster is None is a cluster of its own.
    """
    if isinstance(clusters, str):
        raise TypeError("clusters must be a sequence with one name (or None) a sample, not a str")
    numbers: dict[object, int] = {}
    codes = [numbers.setdefault(object() if name is None else name, len(numbers)) for name in clusters]
    return None if len(numbers) == len(codes) else np.asarray(codes, dtype=np.int64)


def cluster_standard_error(values: ArrayLike, codes: Ints) -> float:
    """The cluster-robust standard error of a mean: sqrt(Σ_c (Σ_{i∈c} (s_i − mean))²) / n.

    Source: Miller 2024, "Adding Error Bars to Evals" (arXiv 2411.00640), section 2.2. n = 0 gives NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return math.nan
    sums = np.bincount(codes, weights=array - array.mean())
    return float(np.sqrt(np.sum(sums * sums)) / array.size)


def mean_interval(values: ArrayLike, *, confidence: float = 0.95, codes: Ints | None = None) -> Interval:
    """Student's t interval of a mean; with `codes` the cluster-robust one.

        mean ± t(n−1)·s/sqrt(n);  clustered: mean ± t(df)·SE

    with the error and the degrees of freedom of `cluster_spread`, C − 1 for clusters of one size, so that clusters of
    one sample each give the plain interval. Fewer than two values, or two clusters, give NaN. Values that are all equal
    give an interval of width zero.

    Raises:
        ValueError: for values that are not one-dimensional, or codes of another length.
    """
    check_confidence(confidence)
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"values must be one-dimensional; got shape {array.shape}")
    if codes is not None and codes.shape != array.shape:
        raise ValueError(f"codes must have one entry a value: {codes.shape} against {array.shape}")
    n_units = array.size if codes is None else np.unique(codes).size
    if n_units < 2:
        return NO_INTERVAL
    mean = float(array.mean())
    if (array == array[0]).all():
        return Interval(float(array[0]), float(array[0]))
    error, freedom = float(array.std(ddof=1)) / math.sqrt(array.size), n_units - 1.0
    if codes is not None:
        error, freedom = cluster_spread(array, codes)[:2]
    half = t_quantile((1 + confidence) / 2, freedom) * error
    return Interval(mean - half, mean + half)

"""Sizes of effects, free of unit and of sample size: how large a difference is, where a p-value says how sure.

Cohen's rules of thumb for d and h: 0.2 is small, 0.5 medium, 0.8 large (Cohen 1988).
"""

from __future__ import annotations

import math

from .arrays import ArrayLike, np

__all__ = ["cohens_d", "cohens_h", "hedges_g", "odds_ratio"]


def cohens_d(differences: ArrayLike) -> float:
    """Cohen's d of paired differences (his d_z): mean/s, with the n − 1 standard deviation.

    Source: Cohen 1988, section 2.3.5. NaN for fewer than two differences and where they do not vary.

    Raises:
        ValueError: for differences that are not one-dimensional.
    """
    array = np.asarray(differences, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"differences must be one-dimensional; got shape {array.shape}")
    if array.size < 2 or np.ptp(array) == 0:
        return math.nan
    return float(array.mean()) / float(array.std(ddof=1))


def hedges_g(differences: ArrayLike) -> float:
    """Cohen's d without its bias in small samples: d·J(n − 1).

        J(m) = Γ(m/2)/(sqrt(m/2)·Γ((m − 1)/2)), about 1 − 3/(4m − 1)

    Source: Hedges 1981. NaN as for `cohens_d`, and for two differences, where J is 0.

    Raises:
        ValueError: as `cohens_d`.
    """
    d = cohens_d(differences)
    m = np.asarray(differences).size - 1
    if math.isnan(d) or m < 2:
        return math.nan
    return d * math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)


def cohens_h(first: float, second: float) -> float:
    """Cohen's h of two proportions: 2·asin(sqrt(first)) − 2·asin(sqrt(second)).

    Source: Cohen 1988, chapter 6; statsmodels `proportion_effectsize`. NaN gives NaN.

    Raises:
        ValueError: for a proportion outside [0, 1].
    """
    for share in (first, second):
        if not (math.isnan(share) or 0 <= share <= 1):
            raise ValueError(f"a proportion must lie between 0 and 1; got {share!r}")
    if math.isnan(first) or math.isnan(second):
        return math.nan
    return 2 * math.asin(math.sqrt(first)) - 2 * math.asin(math.sqrt(second))


def odds_ratio(b: float, c: float) -> float:
    """The odds that a pair which differs is right in the first: b/c, the conditional odds ratio of matched pairs.

    `b` pairs are right only in the first, `c` only in the second. Source: Breslow and Day 1980, section 5.2. inf for
    c = 0, NaN where no pair differs.

    Raises:
        ValueError: for negative counts.
    """
    if not (b >= 0 and c >= 0):
        raise ValueError(f"b and c count pairs, 0 or more; got b={b!r}, c={c!r}")
    if c == 0:
        return math.inf if b else math.nan
    return b / c

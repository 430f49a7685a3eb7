"""Tests of paired samples: McNemar's for right and wrong answers, Student's t for means, also in clusters.

`alternative="greater"` asks whether the first is better than the second. A p-value is NaN where nothing can be said:
fewer than two pairs, or differences that do not vary.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

from .arrays import ArrayLike, Ints, np
from .cluster_spread import cluster_spread
from .tails import normal_probability, t_probability

__all__ = ["Alternative", "McNemar", "TestResult", "check_alternative", "mcnemar", "paired_t"]

Alternative = Literal["two-sided", "greater", "less"]
McNemar = Literal["exact", "mid-p", "asymptotic"]


class TestResult(NamedTuple):
    """The statistic of a test, its p-value, and which test it was."""

    statistic: float
    p_value: float
    method: str


# pytest would collect a class of this name.
TestResult.__test__ = False  # type: ignore[attr-defined]


def check_alternative(alternative: str) -> None:
    """Raise a ValueError unless `alternative` is one of `Alternative`."""
    if alternative not in get_args(Alternative):
        raise ValueError(f"alternative must be one of {', '.join(get_args(Alternative))}; got {alternative!r}")


def mcnemar(b: int, c: int, *, method: McNemar = "mid-p", alternative: Alternative = "two-sided") -> TestResult:
    """McNemar's test of two classifiers on the same samples: `b` are right only in the first, `c` only in the second.

        exact       2·P(X ≤ min(b, c)), at most 1, with X ~ Binomial(b + c, ½)
        mid-p       2·(P(X < min(b, c)) + ½·P(X = min(b, c)))
        asymptotic  z = (b − c)/sqrt(b + c)

    One-sided: P(X ≥ b) for `greater`, P(X ≤ b) for `less`, mid-p with half of P(X = b) taken off. The statistic is `b`,
    for `asymptotic` z (whose square is McNemar's χ², without continuity correction). The exact test never errs more
    often than it says and mostly far less; mid-p hardly ever does, and is close to it (Fagerland, Lydersen and Laake
    2013, BMC Med Res Methodol 13:91). Source: McNemar 1947; statsmodels `contingency_tables.mcnemar` for exact and
    asymptotic. Without a pair that differs (b = c = 0) p is 1.

    Raises:
        ValueError: for negative or fractional counts, a method or an alternative of another name.
    """
    check_alternative(alternative)
    if method not in get_args(McNemar):
        raise ValueError(f"method must be one of {', '.join(get_args(McNemar))}; got {method!r}")
    if not (b >= 0 and c >= 0 and float(b).is_integer() and float(c).is_integer()):
        raise ValueError(f"b and c count pairs, 0 or more; got b={b!r}, c={c!r}")
    b, c = int(b), int(c)
    name = f"McNemar {method}"
    if method == "asymptotic":
        z = (b - c) / math.sqrt(b + c) if b + c else 0.0
        above, below = normal_probability(-z), normal_probability(z)
        statistic = z
    else:
        statistic = float(b)
        # P(X ≥ b) is P(X ≤ c): a coin has two like sides.
        above, below = _coin_at_most(c, b + c), _coin_at_most(b, b + c)
        if method == "mid-p":
            half = 0.5 * _coin_exactly(b, b + c)
            above, below = above - half, below - half
    if b + c == 0:
        return TestResult(statistic, 1.0, name)
    p = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]
    return TestResult(statistic, p, name)


def paired_t(
    differences: ArrayLike,
    *,
    codes: Ints | None = None,
    shift: float = 0.0,
    alternative: Alternative = "two-sided",
) -> TestResult:
    """Student's paired t test of H0: the mean of `differences` is `shift`; with `codes` by clusters.

        t = (mean − shift)/(s/sqrt(n)), n − 1 degrees of freedom; clustered: error and degrees of freedom
        of `cluster_spread`, at most C − 1

    `shift = −margin` with `greater` is the test of non-inferiority. Source: Student 1908; scipy `ttest_1samp`, equal;
    Miller 2024 (arXiv 2411.00640). Statistic and p are NaN for fewer than two differences (or clusters), for values
    that are not finite, and where none differs from the others: their spread is then unknown, not zero.

    Raises:
        ValueError: for differences that are not one-dimensional, codes of another length, another alternative.
    """
    check_alternative(alternative)
    array = np.asarray(differences, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"differences must be one-dimensional; got shape {array.shape}")
    if codes is not None and codes.shape != array.shape:
        raise ValueError(f"codes must have one entry a difference: {codes.shape} against {array.shape}")
    method = "paired t" if codes is None else "paired t, clustered"
    units = array.size if codes is None else np.unique(codes).size
    if units < 2 or not np.isfinite(array).all() or np.ptp(array) == 0:
        return TestResult(math.nan, math.nan, method)
    if codes is None:
        error, freedom = float(array.std(ddof=1)) / math.sqrt(units), units - 1.0
    else:
        error, freedom = cluster_spread(array, codes)[:2]
    # Clusters whose sums are all alike have no spread but one of rounding.
    if error <= 1e-14 * float(np.abs(array).max()):
        return TestResult(math.nan, math.nan, method)
    t = (float(array.mean()) - shift) / error
    above, below = t_probability(-t, freedom), t_probability(t, freedom)
    p = {"greater": above, "less": below, "two-sided": 2 * min(above, below)}[alternative]
    return TestResult(t, p, method)


def _coin_exactly(k: int, n: int) -> float:
    """P(X = k) of n tosses of a coin."""
    return math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))


def _coin_at_most(k: int, n: int) -> float:
    """P(X ≤ k) of n tosses of a coin, exact in its digits also where it is tiny."""
    if k >= n:
        return 1.0
    if 2 * k >= n:
        return 1.0 - _coin_at_most(n - k - 1, n)
    # P(j − 1)/P(j) = j/(n − j + 1), from k downwards.
    j = np.arange(k, 0, -1, dtype=np.float64)
    return min(_coin_exactly(k, n) * (1.0 + float(np.cumprod(j / (n - j + 1)).sum())), 1.0)

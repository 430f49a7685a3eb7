"""The normal, Student's t and the binomial distribution, as far as every run needs them for its intervals.

scipy has them too, but takes longer to import than a small run takes to score. It is the oracle in the tests.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

from .arrays import Floats, np

__all__ = [
    "binomial_at_most",
    "normal_above",
    "normal_probability",
    "normal_quantile",
    "t_probability",
    "t_quantile",
]

_STANDARD = NormalDist()
# From so many degrees of freedom on, what the expansion about the normal quantile leaves out is below 1e-13.
_MANY = 5_000
# From so many on, the logarithms of the beta function lose more digits than an expansion of the distribution does.
_VERY_MANY = 1e6
_ITERATIONS = 200
# Standard deviations about the mean beyond which a binomial distribution has nothing left.
_WIDE = 12.0


def normal_quantile(probability: float) -> float:
    """The standard normal quantile of a probability within (0, 1).

    Source: Wichura 1988, algorithm AS 241 (Python's `statistics`).
    """
    return _STANDARD.inv_cdf(probability)


def normal_probability(z: float) -> float:
    """P(Z ≤ z) of the standard normal distribution."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_above(z: Floats) -> Floats:
    """(...) P(Z > z) of the standard normal distribution, exact in its digits also where it is tiny."""
    root = math.sqrt(0.5)
    return np.array([0.5 * math.erfc(root * v) for v in z.ravel().tolist()], dtype=np.float64).reshape(z.shape)


def binomial_at_most(n: int, probability: float) -> Floats:
    """(n,) P(X ≤ j) for j = 0 … n − 1, X binomial of `n` trials with a `probability` within (0, 1).

    By the ratio of each probability to the one before it, from the likeliest number of successes outwards.
    """
    mean = n * probability
    reach = _WIDE * math.sqrt(mean * (1 - probability)) + _WIDE
    first, last = max(0, math.floor(mean - reach)), min(n, math.ceil(mean + reach))
    mode = min(max(math.floor((n + 1) * probability), first), last)
    j = np.arange(first, last, dtype=np.float64)
    log_ratios = np.log((n - j) / (j + 1)) + (math.log(probability) - math.log1p(-probability))
    up, down = log_ratios[mode - first :], -log_ratios[: mode - first][::-1]
    weights = np.exp(np.concatenate([np.cumsum(down)[::-1], [0.0], np.cumsum(up)]))
    found = np.ones(n)
    found[:first] = 0.0
    within = np.cumsum(weights)[: min(last, n - 1) - first + 1] / weights.sum()
    found[first : first + len(within)] = np.minimum(within, 1.0)
    return found


def t_probability(t: float, df: float) -> float:
    """P(T ≤ t) of Student's t distribution with `df` degrees of freedom; exact in its digits below 0 also."""
    if abs(t) < 1e-100:  # whose square would be nothing
        return 0.5
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    if df >= _VERY_MANY:
        # Abramowitz and Stegun 1964, 26.7.8; what it leaves out is of the order 1/df².
        return normal_probability(t * (1 - 1 / (4 * df)) / math.sqrt(1 + t * t / (2 * df)))
    upper = _upper_tail(abs(t), df)
    return 1.0 - upper if t > 0 else upper


@lru_cache(maxsize=256)
def t_quantile(probability: float, df: float) -> float:
    """Student's t quantile of a probability within (0, 1), with `df` degrees of freedom (finite and positive).

    Newton's method on the distribution function, from the expansion about the normal quantile (Abramowitz and Stegun
    1964, 26.7.5); agrees with scipy's to 1e-10 of its value.
    """
    if probability == 0.5:
        return 0.0
    return -_t_above(probability, df) if probability < 0.5 else _t_above(1.0 - probability, df)


def _t_above(tail: float, df: float) -> float:
    """The t > 0 that is exceeded with the probability `tail`, below 0.5."""
    if df == 1:
        return 1.0 / math.tan(math.pi * tail)
    if df == 2:
        return (1.0 - 2.0 * tail) / math.sqrt(2.0 * tail * (1.0 - tail))
    found = _about_normal(-normal_quantile(tail), df)
    if df >= _MANY:
        return found
    # In log t and log tail the curve is nearly straight, so that every start converges.
    log_t = math.log(found)
    for _ in range(_ITERATIONS):
        t = math.exp(log_t)
        upper = _upper_tail(t, df)
        step = (math.log(upper) - math.log(tail)) * upper / (t * _density(t, df))
        log_t += step
        if abs(step) < 1e-14:
            break
    return math.exp(log_t)


def _about_normal(z: float, df: float) -> float:
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    found = z + sum(term / df ** (order + 1) for order, term in enumerate(terms))
    return max(found, z)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _density(t: float, df: float) -> float:
    return math.exp(-0.5 * (df + 1) * math.log1p(t * t / df) - 0.5 * math.log(df) - _log_beta(df / 2, 0.5))


def _upper_tail(t: float, df: float) -> float:
    """P(T > t) for t > 0: half of the regularised incomplete beta function at df/(df+t²) of df/2 and 1/2."""
    x, a, b = df / (df + t * t), df / 2, 0.5
    if x < (a + 1) / (a + b + 2):
        return 0.5 * _beta_part(x, 1 - x, a, b)
    # 1 − x by subtraction would lose digits for small t.
    return 0.5 - 0.5 * _beta_part(t * t / (df + t * t), x, b, a)


def _beta_part(x: float, rest: float, a: float, b: float) -> float:
    """I_x(a, b), for `rest` = 1 − x and x below (a+1)/(a+b+2), by Lentz's evaluation of the continued fraction.

    Source: DLMF 8.17.22.
    """
    front = math.exp(a * math.log(x) + b * math.log(rest) - _log_beta(a, b)) / a
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10 * _ITERATIONS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + term * d)
            c = 1.0 + term / c
            value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return front * value

"""Fisher's exact test of a 2 × 2 table, at any number of rows, and Newcombe's interval of the difference it tests."""

from __future__ import annotations

import math

from .arrays import Floats, np
from .intervals import NO_INTERVAL, Interval, wilson

__all__ = ["doubled_tails", "fisher_exact", "independent_newcombe", "yes_law"]

# Beyond so many standard deviations of the mean there is nothing left of a hypergeometric distribution.
_WIDE = 40.0


def fisher_exact(first_yes: int, first_n: int, second_yes: int, second_n: int, *, mid: bool = False) -> float:
    """The two-sided p-value of Fisher's exact test: Σ of the probabilities that are at most the observed table's.

        P(j) = C(n, j)·C(m, K − j)/C(n + m, K),  K the rows that say yes

    With `mid` half of the observed table's own probability is taken off. Source: Fisher 1935; scipy `fisher_exact`. No
    rows on one side give NaN. Never 0: at least the smallest float.

    Raises:
        ValueError: unless 0 <= yes <= n on both sides.
    """
    if not (0 <= first_yes <= first_n and 0 <= second_yes <= second_n):
        raise ValueError(f"yes must lie between 0 and n; got {first_yes} of {first_n} and {second_yes} of {second_n}")
    if first_n == 0 or second_n == 0:
        return math.nan
    j, logs = yes_law(first_n, second_n, first_yes + second_yes, keep=first_yes)
    if j.size == 1:
        return 1.0
    weights = np.exp(logs)
    observed = logs[first_yes - int(j[0])]
    extreme = float(weights[logs <= observed + 1e-7].sum())
    if mid:
        extreme -= 0.5 * math.exp(observed)
    return min(max(extreme / float(weights.sum()), 5e-324), 1.0)


def yes_law(n: int, m: int, yes: int, *, keep: int) -> tuple[Floats, Floats]:
    """(k,) how many of `yes` rows lie among the first n of n + m, and (k,) the logarithm of each chance, up to a term.

    The hypergeometric law as far as forty standard deviations reach, and `keep`.
    """
    total = n + m
    mean = n * yes / total
    sd = math.sqrt(max(mean * (1 - yes / total) * m / max(total - 1, 1), 0.0))
    reach = _WIDE * sd + _WIDE
    low = max(0, yes - m, min(math.floor(mean - reach), keep))
    high = min(n, yes, max(math.ceil(mean + reach), keep))
    j = np.arange(low, high + 1, dtype=np.float64)
    mode = int(np.clip(math.floor((n + 1) * (yes + 1) / (total + 2)), low, high))
    # From the ratio of neighbours outwards from the mode: logarithms of factorials lose the digits of large tables.
    up = np.log((yes - j[:-1]) * (n - j[:-1]) / ((j[:-1] + 1) * (m - yes + j[:-1] + 1)))
    logs = np.concatenate([[0.0], np.cumsum(up)])
    return j, logs - logs[mode - low]


def doubled_tails(yes: int, n: int, m: int) -> Floats:
    """(yes + 1,) p-values of j = 0 … `yes` of the rows that say yes lying among the first n of n + m rows.

        p(j) = min(1, 2·min(P(J ≤ j), P(J ≥ j))),  J hypergeometric

    Twice the smaller tail; unlike `fisher_exact`, for all tables at once. What cannot be (j > n, yes − j > m) has the
    p-value of what is nearest.
    """
    j = np.arange(yes + 1, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.log(np.maximum((yes - j[:-1]) * (n - j[:-1]), 0) / np.maximum((j[:-1] + 1) * (m - yes + j[:-1] + 1), 0))
    held = (j <= n) & (yes - j <= m)
    first, last = int(np.flatnonzero(held)[0]), int(np.flatnonzero(held)[-1])
    logs = np.concatenate([[0.0], np.cumsum(up[first:last])])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    least = np.minimum(np.cumsum(weights), np.cumsum(weights[::-1])[::-1])
    found = np.minimum(2 * least, 1.0)
    return np.concatenate([np.full(first, found[0]), found, np.full(yes - last, found[-1])])


def independent_newcombe(
    first_yes: float, first_n: float, second_yes: float, second_n: float, *, confidence: float = 0.95
) -> Interval:
    """Newcombe's interval of p2 − p1 of two independent samples: his method 10, from two Wilson intervals.

        low = p2 − p1 − sqrt((p2 − l2)² + (u1 − p1)²),  high = p2 − p1 + sqrt((u2 − p2)² + (p1 − l1)²)

    Source: Newcombe 1998, Stat Med 17:873; statsmodels `confint_proportions_2indep(method="newcomb")`. No rows on one
    side give NaN.
    """
    if first_n <= 0 or second_n <= 0:
        return NO_INTERVAL
    p1, p2 = first_yes / first_n, second_yes / second_n
    l1, u1 = wilson(first_yes, first_n, confidence=confidence)
    l2, u2 = wilson(second_yes, second_n, confidence=confidence)
    return Interval(p2 - p1 - math.hypot(p2 - l2, u1 - p1), p2 - p1 + math.hypot(u2 - p2, p1 - l1))

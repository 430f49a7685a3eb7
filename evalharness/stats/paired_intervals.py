"""Intervals of the difference of two proportions on the same samples: Newcombe's and Tango's."""

from __future__ import annotations

import math

from .intervals import NO_INTERVAL, Interval, wilson
from .tails import normal_quantile

__all__ = ["newcombe", "tango", "tango_statistic"]


def newcombe(both: int, first_only: int, second_only: int, neither: int, *, confidence: float = 0.95) -> Interval:
    """Newcombe's interval of p1 − p2 = (first_only − second_only)/n: his method 10, from two Wilson intervals.

        low = p1 − p2 − sqrt((p1 − l1)² − 2φ(p1 − l1)(u2 − p2) + (u2 − p2)²), high alike with (u1 − p1) and (p2 − l2)

    with [l, u] the Wilson intervals of p1 and p2 and φ the correlation of the two, whose numerator ad − bc is made
    smaller by n/2 (not below 0) where it is positive. φ is 0 where one of the margins is 0. Source: Newcombe 1998,
    Stat Med 17:2635. No pairs give NaN; n identical pairs give a width of their own, since Wilson's does.

    Raises:
        ValueError: for negative counts or a confidence outside (0, 1).
    """
    a, b, c, d = (float(count) for count in (both, first_only, second_only, neither))
    if not (a >= 0 and b >= 0 and c >= 0 and d >= 0 and math.isfinite(a + b + c + d)):
        raise ValueError(
            f"the cells of the table count pairs, 0 or more; got {both}, {first_only}, {second_only}, {neither}"
        )
    n = a + b + c + d
    if n == 0:
        return NO_INTERVAL
    p1, p2 = (a + b) / n, (a + c) / n
    l1, u1 = wilson(a + b, n, confidence=confidence)
    l2, u2 = wilson(a + c, n, confidence=confidence)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    excess = a * d - b * c
    excess = max(excess - n / 2, 0.0) if excess > 0 else excess
    phi = excess / math.sqrt(margins) if margins > 0 else 0.0
    below = _joined(p1 - l1, u2 - p2, phi)
    above = _joined(u1 - p1, p2 - l2, phi)
    difference = (b - c) / n
    return Interval(max(difference - below, -1.0), min(difference + above, 1.0))


def _joined(first: float, second: float, phi: float) -> float:
    # With φ near 1 and like halves, rounding may lead below 0.
    return math.sqrt(max(first * first - 2 * phi * first * second + second * second, 0.0))


def tango(first_only: int, second_only: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Tango's score interval of p1 − p2 = (first_only − second_only)/n of `n` pairs.

    All δ whose score statistic (`tango_statistic`) is within ±z. Unlike Wald's it does not shrink to [0, 0] where no
    pair differs: ten identical pairs give ±0.28. Source: Tango 1998, Stat Med 17:891. No pairs give NaN.

    Raises:
        ValueError: for counts that are no part of n, or a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, exclusive; got {confidence!r}")
    if not (first_only >= 0 and second_only >= 0 and first_only + second_only <= n):
        raise ValueError(f"{first_only} and {second_only} pairs that differ must be among the n pairs; got n={n}")
    if n == 0:
        return NO_INTERVAL
    z = normal_quantile((1 + confidence) / 2)

    def root(target: float, left: float, right: float) -> float:
        # The statistic falls from left to right; at the ends of the range it may not reach the target.
        edge = 1e-12
        left, right = max(left, -1 + edge), min(right, 1 - edge)
        if tango_statistic(left, first_only, second_only, n) <= target:
            return left
        if tango_statistic(right, first_only, second_only, n) >= target:
            return right
        for _ in range(60):  # bisection to 2^-59 of the range
            middle = (left + right) / 2
            beyond = tango_statistic(middle, first_only, second_only, n) > target
            left, right = (middle, right) if beyond else (left, middle)
        return (left + right) / 2

    point = (first_only - second_only) / n
    low = root(z, -1.0, point) if point > -1 else -1.0
    high = root(-z, point, 1.0) if point < 1 else 1.0
    return Interval(low, high)


def tango_statistic(delta: float, first_only: float, second_only: float, n: float) -> float:
    """How far p1 − p2 as observed lies from `delta`, in standard errors under H0: p1 − p2 = `delta`. About N(0, 1).

        (b − c − nδ)/sqrt(n(2q + δ(1 − δ))),  q the likeliest share of `second_only` pairs under H0

    At δ = 0 it is McNemar's z. Its upper tail at −margin is the p-value of non-inferiority. Source: Tango 1998, eq. 5.
    """
    b, c = first_only, second_only
    first, second, third = 2 * n, (2 * n - b + c) * delta - b - c, -c * delta * (1 - delta)
    share = (math.sqrt(max(second * second - 4 * first * third, 0.0)) - second) / (2 * first)
    variance = n * (2 * share + delta * (1 - delta))
    gap = b - c - n * delta
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

"""How much worse a run is than its baseline on the same samples, with an interval. Pure: arrays in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.protocols import Array, IntervalKind
from ..stats.bootstrap import cluster_totals, percentile_interval, replicates
from ..stats.intervals import NO_INTERVAL, Interval, cluster_codes, mean_interval, normal_quantile

__all__ = ["Change", "paired_change", "tango_interval"]

_REPLICATES = 2000


class Change(NamedTuple):
    """`regression` > 0 means worse than the baseline; `low` and `high` are its interval, NaN where there is none."""

    regression: float
    low: float
    high: float
    method: str


def tango_interval(b: int, c: int, n: int, confidence: float) -> tuple[float, float]:
    """Tango's score interval of the difference (b − c)/n of two paired proportions.

    `b` pairs are right only in the first, `c` only in the second. Source: Tango, Statistics in Medicine 17 (1998)
    891-908. Unlike Wald's or Newcombe's it does not shrink to [0, 0] where no pair differs: ten identical pairs give
    ±0.28.
    """
    z = normal_quantile((1 + confidence) / 2)

    def statistic(delta: float) -> float:
        first, second, third = 2 * n, (2 * n - b + c) * delta - b - c, -c * delta * (1 - delta)
        share = (math.sqrt(max(second * second - 4 * first * third, 0.0)) - second) / (2 * first)
        variance = n * (2 * share + delta * (1 - delta))
        gap = b - c - n * delta
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

    def root(target: float, left: float, right: float) -> float:
        # The statistic falls from left to right; at the ends of the range it may not reach the target.
        edge = 1e-12
        left, right = max(left, -1 + edge), min(right, 1 - edge)
        ends = statistic(left) - target, statistic(right) - target
        if ends[0] <= 0:
            return left
        if ends[1] >= 0:
            return right
        for _ in range(60):  # bisection to 2^-59 of the range
            middle = (left + right) / 2
            left, right = (middle, right) if statistic(middle) > target else (left, middle)
        return (left + right) / 2

    point = (b - c) / n
    low = root(z, -1.0, point) if point > -1 else -1.0
    high = root(-z, point, 1.0) if point < 1 else 1.0
    return low, high


def paired_change(
    current: Array,
    baseline: Array,
    finalize: Callable[[Array], Array],
    *,
    kind: IntervalKind,
    higher_is_better: bool,
    bounds: tuple[float, float],
    confidence: float,
    seed: int,
    clusters: Sequence[str | None] | None = None,
) -> Change:
    """The regression of `current` against `baseline`, (n, k) statistics of the same n samples in the same order.

    Interval: Tango's score for 0/1 rows, Student's t of the paired differences for means (with `clusters`,
    cluster-robust and C − 1 degrees of freedom), else a percentile bootstrap that draws the same pairs (or clusters)
    for both. Where all pairs are identical none of them has any width, which is no evidence of equality: then the
    share of pairs that may differ unseen, 1 − (α/2)^(1/n), times the range of a value stands for it.

    Returns NaN for n = 0; a NaN interval for n = 1.
    """
    n = len(current)
    sign = 1.0 if higher_is_better else -1.0

    def figure(totals: Array) -> Array:
        return np.asarray(finalize(totals), dtype=np.float64)

    regression = sign * float(figure(baseline.sum(axis=0)) - figure(current.sum(axis=0))) if n else math.nan
    if n < 2 or math.isnan(regression):
        return Change(regression, math.nan, math.nan, "none")
    first, second = figure(baseline), figure(current)
    codes = cluster_codes(clusters) if clusters is not None else None
    units = n if codes is None else int(codes.max()) + 1
    if np.array_equal(current, baseline, equal_nan=True) and not _binary(first):
        return Change(regression, *_unseen(first, bounds, units, confidence), "identical pairs")
    is_mean = bool(np.isfinite(first).all() and np.isfinite(second).all()) and math.isclose(
        float(np.mean(sign * (first - second))), regression, rel_tol=1e-9, abs_tol=1e-9
    )
    if kind != "bootstrap" and is_mean:
        if codes is None and _binary(first) and _binary(second):
            better, worse = int((second > first).sum()), int((second < first).sum())
            if sign < 0:
                better, worse = worse, better
            return Change(regression, *tango_interval(worse, better, n, confidence), "Tango score")
        low, high = mean_interval(sign * (first - second), confidence=confidence, codes=codes)
        method = "paired t" if codes is None else "paired t, clustered"
    else:
        low, high = _bootstrap(current, baseline, figure, sign, codes, confidence, seed)
        method = "paired bootstrap" if codes is None else "paired bootstrap of clusters"
    if low == high:
        return Change(regression, *_unseen(first, bounds, units, confidence, centre=regression), "constant change")
    return Change(regression, low, high, method)


def _binary(values: Array) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _unseen(
    values: Array, bounds: tuple[float, float], n: int, confidence: float, *, centre: float = 0.0
) -> tuple[float, float]:
    span = bounds[1] - bounds[0]
    if not math.isfinite(span):
        finite = values[np.isfinite(values)]
        span = float(np.ptp(finite)) if finite.size else 0.0
        span = span or math.inf
    share = 1.0 - ((1.0 - confidence) / 2) ** (1.0 / n)
    return centre - share * span, centre + share * span


def _bootstrap(
    current: Array,
    baseline: Array,
    figure: Callable[[Array], Array],
    sign: float,
    codes: NDArray[np.int64] | None,
    confidence: float,
    seed: int,
) -> Interval:
    # Side by side, so that each resample draws the same pairs of both runs.
    k = current.shape[1]
    pairs = np.hstack([baseline, current])
    if codes is not None:
        pairs = cluster_totals(pairs, codes)
    if len(pairs) < 2:
        return NO_INTERVAL
    values = replicates(
        pairs, lambda t: sign * (figure(t[..., :k]) - figure(t[..., k:])), n_resamples=_REPLICATES, seed=seed
    )
    return percentile_interval(values, confidence=confidence)

"""How far apart the levels of a group column are: difference, ratio, worst, drop and gap, with what is sure of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from .arrays import Floats, Ints, np
from .intervals import Interval
from .leaning import leaning_interval
from .levels import Levels
from .one_sided import Infinite, OneSided
from .one_sided_resampled import OfInterval
from .simultaneous import Greatest, SmallestRatio, max_t
from .tails import t_quantile

__all__ = ["Disparity", "What", "disparity_of", "disparity_values"]

What = Literal["difference", "ratio", "worst", "drop", "gap"]


def disparity_values(values: Floats, what: What, *, reference: int = 0, sign: float = 1.0) -> Floats:
    """(...) the disparity of the figures `values` (..., G, R) of G levels in R rates.

        difference = max_r (max_g v_gr − min_g v_gr),  ratio = min_r (min_g v_gr / max_g v_gr)
        worst = the level's that is worst,  drop = max_g sign·(v_ref − v_g),  gap = v_0 − v_1 (or v_other − v_ref)

    `sign` is 1 where more is better, else −1. A rate that fewer than two levels have is left out, and so is a ratio of
    nothing to nothing. NaN where a level has no figure at all, and for fewer than two levels. Source of difference and
    ratio: fairlearn's `MetricFrame` (`between_groups`), and `equalized_odds_difference` for the greatest of two rates.
    """
    values = np.asarray(values, dtype=np.float64)
    shape = values.shape[:-2]
    if values.shape[-2] < 2 or values.shape[-1] == 0:
        return np.full(shape, np.nan)
    empty = np.isnan(values).all(axis=-1).any(axis=-1)
    known = ~np.isnan(values)
    enough = known.sum(axis=-2) >= 2
    most = np.where(known, values, -np.inf).max(axis=-2)
    least = np.where(known, values, np.inf).min(axis=-2)
    if what == "difference":
        found = np.where(enough, most - np.where(enough, least, 0.0), -np.inf).max(axis=-1)
    elif what == "ratio":
        usable = enough & (most > 0)
        quotient = np.divide(least, most, out=np.full(most.shape, np.inf), where=usable)
        found = quotient.min(axis=-1)
    elif what == "worst":
        found = (least if sign > 0 else most)[..., 0]
    elif what == "drop":
        others = np.delete(values, reference, axis=-2)[..., 0]
        found = (sign * (values[..., reference, :] - others)).max(axis=-1)
    else:
        first, second = _gap_of(reference)
        found = values[..., first, 0] - values[..., second, 0]
    result: Floats = np.where(empty | ~np.isfinite(found), np.nan, found)
    return result


def _gap_of(reference: int) -> tuple[int, int]:
    """Which level less which: the first less the second, or the other one less the reference."""
    return (1, 0) if reference == 0 else (0, 1)


@dataclass(frozen=True, eq=False)
class Disparity:
    """A disparity and what its samples exclude.

    `low_share` and `high_share` are the parts of an interval's error that its two ends may spend: half each, or all of
    it for the end of a difference (or a ratio) towards "no disparity", beyond which there is nothing: the interval of
    the absolute value of what lies in a two-sided interval. `note` says why nothing can be excluded.
    """

    value: float
    method: str = "none"
    kernel: OneSided = field(default_factory=Infinite, repr=False)
    low_share: float = 0.5
    high_share: float = 0.5
    note: str = ""

    def interval(self, confidence: float) -> Interval:
        """The interval at `confidence`; infinite where a side is open."""
        error = 1 - confidence
        return Interval(self.kernel.lower(error * self.low_share), self.kernel.upper(error * self.high_share))


def disparity_of(
    levels: Levels,
    what: What,
    *,
    reference: int = 0,
    sign: float = 1.0,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    clustered: bool = False,
    seed: int = 0,
) -> Disparity:
    """The disparity of `levels` with its tests.

    Of difference and drop the lower bound is simultaneous over all pairs of levels (all against the reference) by
    max-t, so that a gap that is shown is wrong in no more than alpha of the cases where there is none; of two levels
    that is Student's test of their difference, paired where units have both. `worst` takes the worst of the levels' own
    intervals: at the level alpha below, at alpha/G above. `bounds` are those of a level's figure.
    """
    value = float(disparity_values(levels.values, what, reference=reference, sign=sign))
    if math.isnan(value):
        measured = what == "ratio" and not np.isnan(levels.values).all(axis=-1).any()
        return Disparity(value, note="a ratio of zeros" if measured else "a level has nothing to measure")
    units = levels.units[~np.isnan(levels.values)]
    df = float(units.min()) - 1
    variances = np.diag(levels.covariance)
    if df < 1 or not np.isfinite(variances[~np.isnan(levels.values).ravel()]).all():
        return Disparity(value, note="a level with one sample or cluster tells no spread")
    cluster = "cluster-" if clustered else ""
    if what == "worst":
        return _worst(levels, value, sign, bounds, f"{cluster}t of the worst level")
    first, second = _pairs(levels.values, what, reference, sign)
    contrasts = np.zeros((len(first), levels.values.size))
    rows = np.arange(len(first))
    contrasts[rows, first] = 1.0
    contrasts[rows, second] = -1.0
    # What is not known stands in no contrast.
    covariance = np.where(np.isfinite(levels.covariance), levels.covariance, 0.0)
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", contrasts, covariance, contrasts), 0.0))
    if not (errors > 0).all():
        return Disparity(value, "no-variation", note="all agree, and the metric has no bounds")
    folded = what in ("difference", "ratio")
    maxima = max_t(covariance, contrasts, df, folded=folded, seed=seed)
    method = f"{cluster}t of the difference" if len(first) == 1 else f"{cluster}max-t"
    flat = levels.values.ravel()
    if what == "ratio":
        x, y = np.concatenate([first, second]), np.concatenate([second, first])
        parts = np.stack([variances[x], variances[y], covariance[x, y]])
        kernel: OneSided = SmallestRatio(np.stack([flat[x], flat[y]]), parts, df, maxima)
        return Disparity(value, method.replace("difference", "ratio"), kernel, 0.5, 1.0)
    estimates = flat[first] - flat[second]
    kernel = Greatest(estimates, errors, df, maxima, folded=folded)
    return Disparity(value, method, kernel, 1.0 if folded else 0.5, 0.5)


def _pairs(values: Floats, what: What, reference: int, sign: float) -> tuple[Ints, Ints]:
    """Places in `values.ravel()` of the figures of each contrast: the first less the second."""
    n_levels, n_rates = values.shape
    if what == "gap":
        first, second = _gap_of(reference)
        return np.array([first * n_rates]), np.array([second * n_rates])
    if what == "drop":
        others = np.array([g for g in range(n_levels) if g != reference], dtype=np.int64)
        against = np.full(len(others), reference, dtype=np.int64)
        return (against, others) if sign > 0 else (others, against)
    first, second = np.triu_indices(n_levels, 1)  # type: ignore[assignment]
    found = [
        (first[both] * n_rates + rate, second[both] * n_rates + rate)  # type: ignore[index]
        for rate in range(n_rates)
        for both in [~np.isnan(values[first, rate]) & ~np.isnan(values[second, rate])]
    ]
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def _worst(levels: Levels, value: float, sign: float, bounds: tuple[float, float], method: str) -> Disparity:
    figures, counts = levels.values[:, 0], levels.units[:, 0]
    # `leaning_interval` allows for what is unseen in its own way.
    variances = np.diag(levels.covariance) - levels.unseen.ravel()
    width = bounds[1] - bounds[0]
    bounded = math.isfinite(width)
    if not bounded and not (variances > 0).all():
        return Disparity(value, "no-variation", note="all agree, and the metric has no bounds")

    def own(level: int, confidence: float) -> Interval:
        figure, variance, n = float(figures[level]), float(variances[level]), int(counts[level])
        if bounded:
            share = min(max((figure - bounds[0]) / width, 0.0), 1.0)
            most = share * (1 - share)
            spread = min(variance * n / width**2 / most, 1.0) if most > 0 else 1.0
            return leaning_interval(figure, variance, n, bounds, confidence=confidence, spread=spread)
        half = t_quantile((1 + confidence) / 2, n - 1) * math.sqrt(variance)
        return Interval(figure - half, figure + half)

    def interval(confidence: float) -> tuple[float, float]:
        every = 1 - (1 - confidence) / len(figures)
        near, far = (confidence, every) if sign > 0 else (every, confidence)
        worst = min if sign > 0 else max
        low = worst(own(level, near).low for level in range(len(figures)))
        high = worst(own(level, far).high for level in range(len(figures)))
        return low, high

    return Disparity(value, method, OfInterval(value, interval))

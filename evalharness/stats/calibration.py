"""Calibration error over bins: of equal mass for many rows of weights at once, and the interval of declared bins."""

from __future__ import annotations

import math

from .arrays import ArrayLike, Floats, np
from .intervals import NO_INTERVAL, Interval, wilson
from .leaning import leaning_interval
from .tails import normal_quantile

__all__ = ["calibration_interval", "equal_mass_error"]

_ERRORS = 2.0  # standard errors that a bin's gap may be nearer to 0 than it looks


def equal_mass_error(
    confidence: ArrayLike, correct: ArrayLike, weights: ArrayLike | None = None, *, bins: int = 15
) -> Floats:
    """Σ_b |Σ_i∈b w_i (confidence_i − correct_i)| / Σ w over `bins` bins of equal weight, (..., n) -> (...).

    The samples are ordered by confidence and cut as `numpy.array_split` cuts: sizes differ by one at most. Samples of
    equal confidence cannot be told apart: a cut through them gives each side their average, so that their order does
    not matter. Source: Nixon et al. 2019 (adaptive calibration error, of the top label). No weight gives NaN.
    """
    p = np.asarray(confidence, dtype=np.float64)
    gap = p - np.asarray(correct, dtype=np.float64)
    weight = np.ones(p.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if p.ndim != 1 or p.shape != gap.shape or weight.shape[-1:] != p.shape:
        raise ValueError(f"confidence, correct and weights must go together: {p.shape}, {gap.shape}, {weight.shape}")
    if p.size == 0:
        return np.full(weight.shape[:-1], np.nan)
    order = np.argsort(p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    ordered = weight[..., order].reshape(-1, p.size)
    mass = np.cumsum(ordered, axis=-1)[:, ends]
    gaps = np.cumsum(ordered * gap[order], axis=-1)[:, ends]
    totals = mass[:, -1]
    size = np.floor(totals / bins)
    cuts = np.arange(bins + 1.0)
    edges = cuts * size[:, None] + np.minimum(cuts, (totals - bins * size)[:, None])
    # The running gap is linear between the ends of groups of equal confidence, which shares such a group out evenly.
    running = np.array(
        [np.interp(e, np.append(0.0, m), np.append(0.0, g)) for e, m, g in zip(edges, mass, gaps, strict=True)]
    )
    error = np.abs(np.diff(running, axis=-1)).sum(axis=-1)
    found: Floats = np.divide(error, totals, out=np.full(totals.shape, np.nan), where=totals > 0)
    return found.reshape(weight.shape[:-1])


def calibration_interval(
    n: ArrayLike, confidences: ArrayLike, correct: ArrayLike, variance: float, *, confidence: float = 0.95
) -> Interval:
    """The interval of the calibration error of declared bins, whose lower bound allows for what chance adds.

        upper: `leaning_interval` of ECE;  lower: that of ECE − Σ_b (E|N(d_b, s_b)| − d_b) / Σ_b n_b,
        d_b = max(|g_b| − 2·s_b, 0)

    Chance makes no gap smaller on average and every one larger, the more so the nearer the true one is to 0: with g_b =
    Σ_i∈b (confidence_i − correct_i) of standard error s_b, |g_b| is |N(γ_b, s_b)| about, and E|N(γ, s)| − |γ| falls in
    |γ|, from s·sqrt(2/π) at 0. `d_b` is a low guess at |γ_b|, and so what is taken off is a high one. Where the sum is
    no larger than chance would make it for a model without any error (normal, by its mean and variance), the lower
    bound is 0.

    `n`, `confidences` and `correct` are (bins,) counts and sums; `variance` is the SE² of the error, by the jackknife.
    s_b² = n_b·q(1 − q) with q = (right + 1)/(n_b + 2). Coverage is measured in `docs/statistics.md`. Fewer than two
    samples, or a variance that is not finite, give NaN; no variance gives what `no-variation` is in `metrics.interval`.
    """
    counts, said, right = (np.asarray(values, dtype=np.float64) for values in (n, confidences, correct))
    held = counts > 0
    counts, said, right = counts[held], said[held], right[held]
    total = float(counts.sum())
    if total < 2 or not math.isfinite(variance):
        return NO_INTERVAL
    gaps = np.abs(said - right)
    value = min(float(gaps.sum()) / total, 1.0)
    if variance <= 0:
        others = wilson(0, total, confidence=confidence).high
        return Interval(value - others * value, value + others * (1 - value))
    units = round(total)
    high = leaning_interval(value, variance, units, (0.0, 1.0), confidence=confidence).high
    share = (right + 1) / (counts + 2)
    added = _folded_excess(gaps, np.sqrt(counts * share * (1 - share)))
    less = value - added / total
    # What a model that is right as often as it says would have by chance.
    own = said / counts
    none = counts * own * (1 - own)
    by_chance = math.sqrt(2 / math.pi) * float(np.sqrt(none).sum())
    by_chance += normal_quantile((1 + confidence) / 2) * math.sqrt((1 - 2 / math.pi) * float(none.sum()))
    if less <= 0 or value * total <= by_chance:
        return Interval(0.0, high)
    return Interval(leaning_interval(less, variance, units, (0.0, 1.0), confidence=confidence).low, high)


def _folded_excess(gaps: Floats, errors: Floats) -> float:
    """Σ E|N(d, s)| − d with d two standard errors nearer to 0 than `gaps`.

    E|N(d, s)| = s·√(2/π)·e^(−d²/2s²) + d·erf(d/s√2), the mean of a folded normal (Leone, Nelson and Nottingham 1961).
    """
    found = 0.0
    for gap, s in zip(gaps.tolist(), errors.tolist(), strict=True):
        d = max(gap - _ERRORS * s, 0.0)
        if s > 0:
            z = d / s
            found += s * math.sqrt(2 / math.pi) * math.exp(-z * z / 2) - d * math.erfc(z / math.sqrt(2))
    return found

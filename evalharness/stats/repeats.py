"""Several answers to each sample: how much of a figure's variance lies between the samples, and how much within them.

Repeats make the figure of a sample more certain and say nothing about other samples: r repeats of n samples give
Var = σ²_between/n + σ²_within/(n·r), which falls with n to zero and with r only to σ²_between/n.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .arrays import ArrayLike, np

__all__ = ["RepeatVariance", "repeat_variance", "repeats_needed", "standard_error_of_mean"]


class RepeatVariance(NamedTuple):
    """Variances of `n_samples` samples with `n_repeats` answers each (a mean where they have different numbers)."""

    mean: float
    between: float
    within: float
    n_samples: int
    n_repeats: float

    @property
    def share_within(self) -> float:
        """The share of a single answer's variance that lies within a sample: 1 − ICC(1); NaN without any variance."""
        total = self.between + self.within
        return self.within / total if total > 0 else math.nan


def repeat_variance(values: ArrayLike) -> RepeatVariance:
    """The variances between and within samples of `values` (n, r), NaN where an answer is missing.

        within = Σ_ij (x_ij − x̄_i)²/Σ_i (r_i − 1),  between = max(0, (MSB − within)/r₀)
        MSB = Σ_i r_i(x̄_i − x̄)²/(n − 1),  r₀ = (N − Σ r_i²/N)/(n − 1)

    The analysis of variance of the one-way random effects model; with as many repeats for every sample the REML
    estimate (statsmodels `MixedLM`) where that is positive. `mean` is that of the samples' means. Source: Searle,
    Casella and McCulloch 1992, chapter 3; Miller 2024 (arXiv 2411.00640), section 3. Samples without an answer are left
    out. `between` is NaN for fewer than two samples, and both are where no sample has two answers.

    Raises:
        ValueError: for values that are not two-dimensional, or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"values must be (samples, repeats), NaN where one is missing; got shape {array.shape}")
    if np.isinf(array).any():
        raise ValueError("values must be finite, or NaN where one is missing")
    known = ~np.isnan(array)
    kept = known.any(axis=1)
    array, known = array[kept], known[kept]
    each = known.sum(axis=1).astype(np.float64)
    n, total = len(array), float(each.sum())
    if n == 0:
        return RepeatVariance(math.nan, math.nan, math.nan, 0, math.nan)
    filled = np.where(known, array, 0.0)
    means = filled.sum(axis=1) / each
    mean = float(means.mean())
    if total == n:
        return RepeatVariance(mean, math.nan, math.nan, n, 1.0)
    within = float((np.where(known, array - means[:, None], 0.0) ** 2).sum()) / (total - n)
    if n < 2:
        return RepeatVariance(mean, math.nan, within, n, total / n)
    overall = float(filled.sum()) / total
    mean_square = float((each * (means - overall) ** 2).sum()) / (n - 1)
    size = (total - float((each**2).sum()) / total) / (n - 1)
    return RepeatVariance(mean, max((mean_square - within) / size, 0.0), within, n, total / n)


def standard_error_of_mean(variance: RepeatVariance, *, n_samples: int | None = None, n_repeats: float = 1) -> float:
    """The standard error of a mean over samples with `n_repeats` answers each: sqrt((between + within/r)/n).

    `n_samples` None takes as many as were measured. Source: Miller 2024 (arXiv 2411.00640), section 3.1.

    Raises:
        ValueError: for fewer than one sample or repeat.
    """
    n = variance.n_samples if n_samples is None else n_samples
    if not (n >= 1 and n_repeats >= 1):
        raise ValueError(f"n_samples and n_repeats must be at least 1; got {n!r} and {n_repeats!r}")
    return math.sqrt((variance.between + variance.within / n_repeats) / n)


def repeats_needed(variance: RepeatVariance, standard_error: float, *, n_samples: int | None = None) -> int | None:
    """The least number of repeats whose mean has at most this `standard_error`; None where no number of them does.

    Raises:
        ValueError: unless the standard error is positive, and for fewer than one sample.
    """
    n = variance.n_samples if n_samples is None else n_samples
    if not standard_error > 0 or n < 1:
        raise ValueError(f"a positive standard error and one sample or more are needed; got {standard_error!r}, n={n}")
    left = standard_error**2 * n - variance.between
    # Rounding must not turn 4 repeats into 5.
    return max(1, math.ceil(variance.within / left * (1 - 1e-9))) if left > 0 else None

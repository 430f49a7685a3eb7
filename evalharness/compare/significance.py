"""How sure a difference on the same samples is: a test for each kind of figure, and the size of the effect."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.protocols import Array, Metric
from ..metrics.base import RowsMetric
from ..metrics.interval import sample_values
from ..stats.tails import normal_probability
from .paired import (
    Change,
    changes_left_out,
    is_binary,
    is_jackknifed,
    is_mean_of,
    resampled_changes,
)

__all__ = ["Significance", "significance"]

_TRIALS = 10_000
# Coins tossed for one figure: 10,000 trials of up to 5,000 pairs, 1,000 of 50,000.
_COINS = 50_000_000


class Significance(NamedTuple):
    """The p-value of no difference, two-sided, and the test; the effect and what it is called ("" where none is).

    `right_to_wrong` and `wrong_to_right` count the flips of answers that are right or wrong; None for other figures.
    """

    p_value: float
    test: str
    effect: float = math.nan
    effect_name: str = ""
    right_to_wrong: int | None = None
    wrong_to_right: int | None = None


_NOTHING = Significance(math.nan, "none")


def significance(
    metric: Metric,
    current: Array,
    baseline: Array,
    change: Change,
    *,
    codes: NDArray[np.int64] | None = None,
    seed: int = 0,
    drawn: Array | None = None,
) -> Significance:
    """The test of `change`, which `paired_change` found between the rows (n, k) of the same samples.

    ==========================  ===================================================  ==============
    figure                      test                                                 effect
    ==========================  ===================================================  ==============
    share of 0 and 1            McNemar, mid-p; in clusters the paired t by clusters Cohen's h
    mean                        paired t; in clusters cluster-robust                 Cohen's d
    function of totals          approximate randomisation; of more than 50,000       none
                                pairs (or clusters) z of the paired jackknife
    quantile                    paired bootstrap, centred                            none
    ==========================  ===================================================  ==============

    NaN where nothing can be said: fewer than two pairs, figures that are not finite, a change that is the same in every
    pair. Identical rows give 1. The effect has the sign of current − baseline. `drawn` is what `drawn_changes` gave for
    the same rows.
    """
    n = len(current)
    if n < 2 or not math.isfinite(change.regression):
        return _NOTHING
    if not (np.isfinite(current).all() and np.isfinite(baseline).all()):
        return _NOTHING
    if getattr(metric, "disparity", None) is not None and math.isnan(change.low):
        return _NOTHING  # a level has too few samples for an interval: no more do they tell by chance
    before, after = sample_values(metric, baseline), sample_values(metric, current)
    differences = after - before
    sign = -1.0 if metric.higher_is_better else 1.0
    is_mean = metric.interval != "bootstrap" and is_mean_of(differences, sign * change.regression)
    shares = is_mean and metric.bounds == (0.0, 1.0) and is_binary(before) and is_binary(after)
    found = _tested(metric, current, baseline, change, differences, codes, seed, drawn, is_mean=is_mean, shares=shares)
    if not shares:
        return found
    from ..stats.effects import cohens_h

    found = found._replace(effect=cohens_h(float(after.mean()), float(before.mean())), effect_name="h")
    if not metric.higher_is_better:
        return found
    return found._replace(
        right_to_wrong=int(np.count_nonzero((before == 1) & (after == 0))),
        wrong_to_right=int(np.count_nonzero((before == 0) & (after == 1))),
    )


def _tested(
    metric: Metric,
    current: Array,
    baseline: Array,
    change: Change,
    differences: Array,
    codes: NDArray[np.int64] | None,
    seed: int,
    drawn: Array | None,
    *,
    is_mean: bool,
    shares: bool,
) -> Significance:
    # Imported where they are needed: a gate that looks at points only uses none of them.
    from ..stats.effects import cohens_d
    from ..stats.resampled import approximate_randomisation
    from ..stats.tests import mcnemar, paired_t

    if np.array_equal(current, baseline):
        return Significance(1.0, "identical pairs", 0.0 if is_mean else math.nan, "d" if is_mean else "")
    if shares and codes is None:
        # By direction: of a share that is best at a half neither is the better one.
        tested = mcnemar(int(np.count_nonzero(differences < 0)), int(np.count_nonzero(differences > 0)))
        return Significance(tested.p_value, tested.method)
    if is_mean:
        tested = paired_t(differences, codes=codes)
        return Significance(tested.p_value, tested.method, cohens_d(differences), "d")
    clustered = "" if codes is None else ", clustered"
    if isinstance(metric, RowsMetric):
        if codes is not None and int(codes.max()) < 1:
            return Significance(math.nan, "none")
        changes = resampled_changes(current, baseline, metric, codes, seed) if drawn is None else drawn
        return Significance(_centred(changes, change.regression), f"paired bootstrap{clustered}")
    units = len(current) if codes is None else int(codes.max()) + 1
    if is_jackknifed(metric, units):
        left_out = changes_left_out(current, baseline, metric, codes) if drawn is None else drawn
        return Significance(_jackknifed(left_out, change.regression), f"paired jackknife z{clustered}")
    trials = min(_TRIALS, max(1_000, _COINS // units))
    swapped = approximate_randomisation(current, baseline, metric.finalize, n_resamples=trials, seed=seed, codes=codes)
    return Significance(swapped.p_value, swapped.method)


def _centred(changes: Array, observed: float) -> float:
    """How often a resample's change is at least as far from the one seen as that is from none: (c + 1)/(B + 1)."""
    with np.errstate(invalid="ignore"):
        inside = np.abs(changes - observed) < abs(observed) - 1e-12 * max(1.0, abs(observed))
    return (changes.size - int(np.count_nonzero(inside)) + 1) / (changes.size + 1)


def _jackknifed(left_out: Array, observed: float) -> float:
    """The two-sided p of z = change/SE, with the jackknife's standard error."""
    n = left_out.size
    error = math.sqrt((n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2)))
    if not (math.isfinite(error) and error > 0):
        return math.nan
    return 2 * normal_probability(-abs(observed) / error)

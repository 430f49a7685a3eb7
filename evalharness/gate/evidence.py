"""What a set of samples says about a figure, one side at a time: the pure core of every verdict.

    evidence = absolute_evidence(metric, rows)                   # rows (n, k): of the figure itself
    evidence = paired_evidence(metric, current, baseline)        # of current − baseline, + is better
    evidence.bounds(0.05)                  # Interval(low, high): two one-sided bounds, each at 95 %
    evidence.p_value(0.8, "at_least")      # of "the figure is not at least 0.8"
    evidence.scaled(4)                     # what four times as many samples of the same kind would say

`p_value(L, "at_least") <= alpha` exactly where `bounds(alpha).low >= L`, and `p_value(L, "at_most") <= alpha` exactly
where `bounds(alpha).high <= L`. No record, no policy, no model in sight: sequential looks call it on the rows so far,
with the alpha of the look. What is tested how (`Evidence.method`):

===========================  =====================================================================================
exact binomial               0/1 answers that stand alone
clustered binomial           0/1 answers in clusters, at the effective sample size
t, skew-adjusted             means; in clusters of the clusters' sums
few differ / no variation    means whose values are all, or all but nine, one and the same: what may lie unseen decides
order statistics             quantiles, such as latency_p95_s; in clusters at the effective sample size
bootstrap                    functions of totals (BLEU, F1, MCC) and of rows: BCa, or percentiles where it has none
of its interval              a metric that has an interval of its own (judges corrected by ratings)
max-t and others             disparities between the levels of a group column (`stats/disparity.py`)
exact paired                 pairs of 0/1 answers that stand alone
paired t, skew-adjusted      paired means; in clusters of the clusters' sums
identical pairs, few pairs differ   as for few differ
paired jackknife t           disparities between levels: how much wider the gap is than the baseline's
paired bootstrap             the rest, drawing the same pairs (or clusters) for both
nearer to 0: …               figures that are best between their bounds: two of these (`stats/nearer.py`)
===========================  =====================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..compare.paired import figure_of, paired_point
from ..core.nulls import best_between, direction
from ..core.protocols import Array, Metric
from ..metrics.base import RowsMetric
from ..metrics.interval import sample_values
from ..stats.arrays import Ints
from ..stats.intervals import Interval, cluster_codes
from ..stats.one_sided import Infinite, OneSided, Proportion, Scaled, Within
from ..stats.one_sided_resampled import OfInterval
from ..stats.order_statistics import OrderStatistic, clustered_order_statistic
from ..stats.paired_exact import PairedProportions
from ..stats.skewed import skewed_mean
from ..stats.tails import normal_quantile
from .decide import Condition
from .kernels import (
    FEW,
    TINY,
    Moved,
    clustered_share,
    count_units,
    few_differ,
    leaving_out,
    left_out,
    mean_test,
    nearer,
    note_of,
    resampled,
    span_of,
)

__all__ = [
    "Condition",
    "Evidence",
    "absolute_evidence",
    "interval_evidence",
    "mean_evidence",
    "paired_evidence",
    "paired_values_evidence",
]


@dataclass(frozen=True)
class Evidence:
    """A figure and what its samples exclude.

    `n` samples (or pairs) of which `n_units` are independent (clusters, else samples); for pairs `n_worse` and
    `n_better` are those whose own value changed. `method` names the test. `note` says why it can exclude nothing.
    """

    value: float
    n: int
    method: str
    kernel: OneSided = field(repr=False)
    higher_is_better: bool = True
    n_units: int = 0
    n_worse: int = 0
    n_better: int = 0
    note: str = ""

    def bounds(self, alpha: float) -> Interval:
        """The two one-sided bounds, each of level 1 − `alpha`; infinite where a side is open."""
        return Interval(self.kernel.lower(alpha), self.kernel.upper(alpha))

    def p_value(self, limit: float, condition: Condition) -> float:
        """The p-value of "the figure does not fulfil the condition": small is evidence that it does."""
        return self.kernel.at_least(limit) if condition == "at_least" else self.kernel.at_most(limit)

    def scaled(self, factor: float) -> Evidence:
        """What `factor` times as many samples would say, if they came in the same shares."""
        return replace(self, kernel=self.kernel.scaled(factor), n=round(self.n * factor))


def absolute_evidence(
    metric: Metric, rows: Array, *, clusters: Sequence[str | None] | None = None, seed: int = 0
) -> Evidence:
    """The evidence of the (n, k) statistics `rows` about the metric's figure, in its own unit and sign."""
    found = _absolute(metric, rows, clusters, seed)
    low, high = metric.bounds
    # Nothing was measured: then not even what holds by definition is passed.
    if found.method == "none" or not low <= found.value <= high:
        return found
    return replace(found, kernel=Within(found.kernel, low, high))


def _absolute(metric: Metric, rows: Array, clusters: Sequence[str | None] | None, seed: int) -> Evidence:
    rows = np.asarray(rows, dtype=np.float64)
    value = figure_of(metric, rows) if len(rows) else math.nan
    codes = _codes(clusters, len(rows))
    base = Evidence(value, len(rows), "none", Infinite(), metric.higher_is_better, count_units(codes, len(rows)))
    if not math.isfinite(value) or not np.isfinite(rows).all():
        return replace(base, note="no figure can be found" if math.isnan(value) else "a statistic is not finite")
    over_levels = getattr(metric, "disparity", None)
    if over_levels is not None:
        found = over_levels(rows, codes, seed=seed)
        return replace(base, value=found.value, method=found.method, kernel=found.kernel, note=found.note)
    if metric.interval != "bootstrap" and not isinstance(metric, RowsMetric):
        values = sample_values(metric, rows)
        known = ~np.isnan(values)
        kept = None if codes is None else _renumbered(codes[known])
        if math.isclose(float(values[known].mean()), value, rel_tol=1e-9, abs_tol=1e-9):
            return mean_evidence(values[known], metric.bounds, codes=kept, higher_is_better=metric.higher_is_better)
    if isinstance(metric, RowsMetric) and isinstance(q := getattr(metric, "q", None), float):
        return _quantile(base, sample_values(metric, rows), codes, q)
    direct = getattr(metric, "interval_rows", None)
    if codes is None and direct is not None:
        kernel = OfInterval(value, lambda confidence: direct(rows, confidence=confidence))
        return replace(base, method=f"its own interval ({getattr(metric, 'interval_name', 'direct')})", kernel=kernel)
    tested = resampled(
        value, metric, (rows,), lambda found: found[0], codes=codes, seed=seed, span=_around(value, metric.bounds)
    )
    return replace(base, **tested._asdict())


def _quantile(base: Evidence, values: Array, codes: Ints | None, q: float) -> Evidence:
    known = ~np.isnan(values)
    if codes is None:
        return replace(base, method="order statistics", kernel=OrderStatistic(np.sort(values[known]), q))
    tested = clustered_order_statistic(values[known], codes[known], q)
    if tested is None:
        return replace(base, note=f"{base.n_units} cluster tells no spread")
    return replace(base, method="order statistics, clustered", kernel=tested)


def mean_evidence(
    values: Array, bounds: tuple[float, float], *, codes: Ints | None = None, higher_is_better: bool = True
) -> Evidence:
    """The evidence of `values`, each within `bounds`, about their mean; `codes` number their clusters."""
    n, n_units = len(values), count_units(codes, len(values))
    value = float(values.mean()) if n else math.nan
    base = Evidence(value, n, "none", Infinite(), higher_is_better, n_units)
    if n == 0:
        return replace(base, note="nothing was measured")
    if bounds == (0.0, 1.0) and np.isin(values, (0.0, 1.0)).all():
        if codes is None:
            return replace(base, method="exact binomial", kernel=Proportion(float(values.sum()), n))
        if n_units < 2:
            return replace(base, note="one cluster tells no spread")
        return replace(base, method="clustered binomial", kernel=clustered_share(values, codes, n_units))
    found = mean_test(values, codes, n_units, *_reach(values, bounds))
    if found is None:
        return replace(base, note=f"{n_units} {'sample' if codes is None else 'cluster'} tells no spread")
    kernel, few = found
    if few is not None:
        return replace(base, method="no variation" if few == 0 else "few differ", kernel=kernel, note=note_of(kernel))
    return replace(base, method="t, skew-adjusted" + ("" if codes is None else ", clustered"), kernel=kernel)


def paired_evidence(
    metric: Metric,
    current: Array,
    baseline: Array,
    *,
    clusters: Sequence[str | None] | None = None,
    seed: int = 0,
    relative: float = 0.0,
) -> Evidence:
    """The evidence about how much better `current` is than `baseline`, (n, k) statistics of the same samples.

    That is current − baseline, or baseline − current where lower is better. With `relative` r the baseline's share r is
    added, so that at least 0 means "worse by no more than the share r of the baseline": current − (1 − r)·baseline,
    or (1 + r)·baseline − current. Of a figure that is best between its bounds, such as a bias score's 0, it is the
    same of the two distances from that.
    """
    current, baseline = np.asarray(current, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    codes = _codes(clusters, len(current))
    best = best_between(metric)
    if best is None:
        return _difference_evidence(metric, current, baseline, codes, seed, relative)
    apart, mirrored = (
        _difference_evidence(metric, current, baseline, codes, seed, relative, mirror) for mirror in (None, best)
    )
    after, before = (figure_of(metric, rows) if len(rows) else math.nan for rows in (current, baseline))
    found = replace(apart, value=(1 + relative) * abs(before - best) - abs(after - best), note="")
    if "none" in (apart.method, mirrored.method):
        return replace(found, method="none", kernel=Infinite(), note=apart.note or mirrored.note)
    kernel = nearer(apart.kernel, mirrored.kernel, relative * best)
    return replace(found, method=f"nearer to {best:g}: {apart.method}", kernel=kernel)


def _difference_evidence(
    metric: Metric,
    current: Array,
    baseline: Array,
    codes: Ints | None,
    seed: int,
    relative: float,
    mirror: float | None = None,
) -> Evidence:
    """`paired_evidence` of the plain difference, or of that from the baseline's mirror image about `mirror`."""
    n = len(current)
    plain = paired_point(current, baseline, metric)
    sign = direction(metric)
    by = 1 - sign * relative

    def slack(found: Sequence[Array]) -> Array:
        against = found[1] if mirror is None else 2 * mirror - found[1]
        difference: Array = sign * (found[0] - by * against)
        return difference

    figures = [np.asarray(figure_of(metric, rows)) if n else np.asarray(math.nan) for rows in (current, baseline)]
    base = Evidence(
        float(slack(figures)),
        n,
        "none",
        Infinite(),
        True,
        count_units(codes, n),
        n_worse=plain.n_worse,
        n_better=plain.n_better,
    )
    if n == 0:
        return replace(base, note="no sample is in both runs")
    if not math.isfinite(base.value) or not (np.isfinite(current).all() and np.isfinite(baseline).all()):
        return replace(base, note="a statistic is not finite")
    over_levels: Any = getattr(metric, "disparity", None)
    for rows in (current, baseline) if over_levels is not None else ():
        # Too few samples in a level tell nothing of a change either.
        few = over_levels(rows, codes, seed=seed)
        if few.method == "none" or few.method.startswith("too few"):
            return replace(base, note=few.note)
    ours, theirs = sample_values(metric, current), sample_values(metric, baseline)
    theirs = theirs if mirror is None else 2 * mirror - theirs
    if metric.interval != "bootstrap" and _is_mean(sign * (ours - by * theirs), base.value):
        found = paired_values_evidence(ours, theirs, metric, codes=codes, relative=relative)
        return replace(found, value=base.value, n_worse=base.n_worse, n_better=base.n_better)
    span = metric.bounds[1] - metric.bounds[0]
    changed = (current != baseline).any(axis=1)
    n_changed = int(changed.sum()) if codes is None else len(np.unique(codes[changed]))
    if mirror is None and n_changed < FEW:
        seen = span_of(np.concatenate([ours, theirs]), span)
        beyond = leaving_out(base.value, metric, (current, baseline), slack, codes=codes) if n_changed else None
        kernel = few_differ(float(slack([figures[1]] * 2)), seen, n_changed, base.n_units, beyond)
        return replace(base, method=_pairs_name(n_changed, plain.regression), kernel=kernel, note=note_of(kernel))
    if over_levels is not None:
        # A resample of the highest less the lowest is too high where levels are alike: 9 % error instead of 5 %.
        tested = left_out(base.value, metric, (current, baseline), slack, codes=codes)
        return replace(base, method=tested.method, kernel=tested.kernel, note=tested.note)
    ends = (base.value - span, base.value + span)
    tested = resampled(base.value, metric, (current, baseline), slack, codes=codes, seed=seed, span=ends)
    method = f"paired {tested.method}" if tested.method.startswith(("bootstrap", "jackknife")) else tested.method
    return replace(base, method=method, kernel=tested.kernel, note=tested.note)


def paired_values_evidence(
    current: Array, baseline: Array, metric: Metric, *, codes: Ints | None = None, relative: float = 0.0
) -> Evidence:
    """As `paired_evidence`, of the samples' own values (n,), for a metric whose figure is their mean."""
    sign = direction(metric)
    gains = sign * (current - baseline)
    n, n_units, before = len(gains), count_units(codes, len(gains)), float(baseline.mean())
    worse, better = gains < -TINY, gains > TINY
    base = Evidence(
        float(gains.mean()) + relative * before,
        n,
        "none",
        Infinite(),
        True,
        n_units,
        n_worse=int(worse.sum()),
        n_better=int(better.sum()),
    )
    binary = metric.bounds == (0.0, 1.0) and np.isin(current, (0.0, 1.0)).all() and np.isin(baseline, (0.0, 1.0)).all()
    if binary and codes is None:
        exact: OneSided = PairedProportions(base.n_better, base.n_worse, n)
        exact = exact if relative == 0 else Moved(exact, relative * before)
        return replace(base, method="exact paired", kernel=exact)
    span = span_of(np.concatenate([current, baseline]), metric.bounds[1] - metric.bounds[0])
    # The differences themselves say whether any spread can be learnt; with a share of the baseline nothing is constant.
    found = mean_test(gains, codes, n_units, -span, span)
    if found is None:
        return replace(base, note=f"{n_units} {'pair' if codes is None else 'cluster'} tells no spread")
    kernel, few = found
    if few is not None:
        kernel = kernel if relative == 0 else Moved(kernel, relative * before)
        return replace(base, method=_pairs_name(few, float(gains.mean())), kernel=kernel, note=note_of(kernel))
    if relative:
        kernel = skewed_mean(gains + relative * baseline, codes, n_units)
    return replace(base, method="paired t, skew-adjusted" + ("" if codes is None else ", clustered"), kernel=kernel)


def interval_evidence(
    value: float, low: float, high: float, *, confidence: float, n: int, higher_is_better: bool = True
) -> Evidence:
    """The evidence of a figure of which only a two-sided interval is known: normal, with each side's own error."""
    base = Evidence(value, n, "none", Infinite(), higher_is_better, n)
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return replace(base, note=f"{n} sample{'' if n == 1 else 's'} gave no interval")
    z = normal_quantile((1 + confidence) / 2)
    kernel = Scaled(value, (value - low) / z, (high - value) / z)
    return replace(base, method="recorded interval", kernel=kernel)


def _codes(clusters: Sequence[str | None] | None, n: int) -> Ints | None:
    if clusters is None:
        return None
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters for {n} rows; give one a row")
    return cluster_codes(clusters)


def _renumbered(codes: Ints) -> Ints | None:
    found = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return None if found.size == 0 or int(found.max()) + 1 == found.size else found


def _is_mean(values: Array, figure: float) -> bool:
    return bool(np.isfinite(values).all()) and math.isclose(float(values.mean()), figure, rel_tol=1e-9, abs_tol=1e-9)


def _reach(values: Array, bounds: tuple[float, float]) -> tuple[float, float]:
    """The worst and best that a value can be; where the metric has no bound, none."""
    low, high = bounds
    return min(low, float(values.min())), max(high, float(values.max()))


def _around(value: float, bounds: tuple[float, float]) -> tuple[float, float]:
    return min(bounds[0], value), max(bounds[1], value)


def _pairs_name(few: int, change: float) -> str:
    if few:
        return "few pairs differ"
    return "identical pairs" if abs(change) <= TINY else "constant change"

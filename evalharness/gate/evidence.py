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
order statistics             quantiles, such as latency_p95_s
bootstrap                    functions of totals (BLEU, F1, MCC) and of rows: BCa, or percentiles where it has none
of its interval              a metric that has an interval of its own (judges corrected by ratings)
exact paired                 pairs of 0/1 answers that stand alone
paired t, skew-adjusted      paired means; in clusters of the clusters' sums
identical pairs, few pairs differ   as for few differ
paired bootstrap             the rest, drawing the same pairs (or clusters) for both
===========================  =====================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..compare.paired import figure_of, paired_point
from ..core.protocols import Array, Metric
from ..metrics.base import RowsMetric
from ..metrics.interval import MAX_RESAMPLED, sample_values
from ..stats.arrays import Ints
from ..stats.bootstrap import cluster_totals, jackknife, resample_weights
from ..stats.intervals import Interval, cluster_codes, cluster_standard_error
from ..stats.one_sided import (
    ClusteredProportion,
    Infinite,
    LessCertain,
    MostlyOne,
    OneSided,
    Proportion,
    Scaled,
    SkewedMean,
    Within,
)
from ..stats.one_sided_resampled import OfInterval, OrderStatistic, Resampled, bca_corrections
from ..stats.paired_exact import PairedProportions
from ..stats.tails import normal_quantile
from .decide import Condition

__all__ = [
    "Condition",
    "Evidence",
    "absolute_evidence",
    "interval_evidence",
    "mean_evidence",
    "paired_evidence",
    "paired_values_evidence",
]

# Fewer values than this beside the one that most have say nothing of the spread.
FEW = 10
# Below so many units the bootstrap's tails are those of the few that are there.
ENOUGH = 100
# The tail of a step-down test of ten rules, 0.005, must hold some twenty replicates.
N_RESAMPLES = 4_000
_TINY = 1e-12


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
    base = Evidence(value, len(rows), "none", Infinite(), metric.higher_is_better, _units(codes, len(rows)))
    if not math.isfinite(value) or not np.isfinite(rows).all():
        return replace(base, note="no figure can be found" if math.isnan(value) else "a statistic is not finite")
    if metric.interval != "bootstrap" and not isinstance(metric, RowsMetric):
        values = sample_values(metric, rows)
        known = ~np.isnan(values)
        kept = None if codes is None else _renumbered(codes[known])
        if math.isclose(float(values[known].mean()), value, rel_tol=1e-9, abs_tol=1e-9):
            return mean_evidence(values[known], metric.bounds, codes=kept, higher_is_better=metric.higher_is_better)
    if codes is None and isinstance(metric, RowsMetric) and isinstance(q := getattr(metric, "q", None), float):
        ordered = np.sort(sample_values(metric, rows))
        return replace(base, method="order statistics", kernel=OrderStatistic(ordered[~np.isnan(ordered)], q))
    direct = getattr(metric, "interval_rows", None)
    if codes is None and direct is not None:
        kernel = OfInterval(value, lambda confidence: direct(rows, confidence=confidence))
        return replace(base, method=f"its own interval ({getattr(metric, 'interval_name', 'direct')})", kernel=kernel)
    return _resampled(base, metric, (rows,), lambda found: found[0], codes, seed, span=_around(value, metric.bounds))


def mean_evidence(
    values: Array, bounds: tuple[float, float], *, codes: Ints | None = None, higher_is_better: bool = True
) -> Evidence:
    """The evidence of `values`, each within `bounds`, about their mean; `codes` number their clusters."""
    n, n_units = len(values), _units(codes, len(values))
    value = float(values.mean()) if n else math.nan
    base = Evidence(value, n, "none", Infinite(), higher_is_better, n_units)
    if n == 0:
        return replace(base, note="nothing was measured")
    if bounds == (0.0, 1.0) and np.isin(values, (0.0, 1.0)).all():
        if codes is None:
            return replace(base, method="exact binomial", kernel=Proportion(float(values.sum()), n))
        if n_units < 2:
            return replace(base, note="one cluster tells no spread")
        return replace(base, method="clustered binomial", kernel=_clustered(values, codes, n_units))
    found = _mean(values, codes, n_units, *_reach(values, bounds))
    if found is None:
        return replace(base, note=f"{n_units} {'sample' if codes is None else 'cluster'} tells no spread")
    kernel, few = found
    if few is not None:
        return replace(base, method="no variation" if few == 0 else "few differ", kernel=kernel, note=_open(kernel))
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
    or (1 + r)·baseline − current.
    """
    current, baseline = np.asarray(current, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    n, codes = len(current), _codes(clusters, len(current))
    plain = paired_point(current, baseline, metric)
    before = figure_of(metric, baseline) if n else math.nan
    base = Evidence(
        -plain.regression + relative * before,
        n,
        "none",
        Infinite(),
        True,
        _units(codes, n),
        n_worse=plain.n_worse,
        n_better=plain.n_better,
    )
    if n == 0:
        return replace(base, note="no sample is in both runs")
    if not math.isfinite(base.value) or not (np.isfinite(current).all() and np.isfinite(baseline).all()):
        return replace(base, note="a statistic is not finite")
    sign = 1.0 if metric.higher_is_better else -1.0
    ours, theirs = sample_values(metric, current), sample_values(metric, baseline)
    gains = sign * (ours - theirs)
    if metric.interval != "bootstrap" and _is_mean(gains + relative * theirs, base.value):
        found = paired_values_evidence(ours, theirs, metric, codes=codes, relative=relative)
        return replace(found, value=base.value)
    span = metric.bounds[1] - metric.bounds[0]
    changed = (current != baseline).any(axis=1)
    n_changed = int(changed.sum()) if codes is None else len(np.unique(codes[changed]))
    if n_changed < FEW:
        seen = _span_seen(np.concatenate([ours, theirs]), span)
        kernel = _about(relative * before, -seen, seen, n_changed, n_changed, base.n_units)
        return replace(base, method=_pairs_name(n_changed, base.value), kernel=kernel, note=_open(kernel))
    by = 1 - sign * relative

    def slack(found: Sequence[Array]) -> Array:
        difference: Array = sign * (found[0] - by * found[1])
        return difference

    ends = (base.value - span, base.value + span)
    found = _resampled(base, metric, (current, baseline), slack, codes, seed, span=ends)
    resampled = found.method.startswith(("bootstrap", "jackknife"))
    return replace(found, method=f"paired {found.method}" if resampled else found.method)


def paired_values_evidence(
    current: Array, baseline: Array, metric: Metric, *, codes: Ints | None = None, relative: float = 0.0
) -> Evidence:
    """As `paired_evidence`, of the samples' own values (n,), for a metric whose figure is their mean."""
    sign = 1.0 if metric.higher_is_better else -1.0
    gains = sign * (current - baseline)
    n, n_units, before = len(gains), _units(codes, len(gains)), float(baseline.mean())
    worse, better = gains < -_TINY, gains > _TINY
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
        exact = exact if relative == 0 else _Moved(exact, relative * before)
        return replace(base, method="exact paired", kernel=exact)
    span = _span_seen(np.concatenate([current, baseline]), metric.bounds[1] - metric.bounds[0])
    # The differences themselves say whether any spread can be learnt; with a share of the baseline nothing is constant.
    found = _mean(gains, codes, n_units, -span, span)
    if found is None:
        return replace(base, note=f"{n_units} {'pair' if codes is None else 'cluster'} tells no spread")
    kernel, few = found
    if few is not None:
        kernel = kernel if relative == 0 else _Moved(kernel, relative * before)
        return replace(base, method=_pairs_name(few, base.value), kernel=kernel, note=_open(kernel))
    if relative:
        kernel = _t_of(gains + relative * baseline, codes, n_units)
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


@dataclass(frozen=True, slots=True)
class _Moved:
    """A figure whose tests are those of another one, `by` below it."""

    kernel: OneSided
    by: float

    def at_least(self, limit: float) -> float:
        return self.kernel.at_least(limit - self.by)

    def at_most(self, limit: float) -> float:
        return self.kernel.at_most(limit - self.by)

    def lower(self, alpha: float) -> float:
        return self.kernel.lower(alpha) + self.by

    def upper(self, alpha: float) -> float:
        return self.kernel.upper(alpha) + self.by

    def scaled(self, factor: float) -> OneSided:
        return _Moved(self.kernel.scaled(factor), self.by)


def _codes(clusters: Sequence[str | None] | None, n: int) -> Ints | None:
    if clusters is None:
        return None
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters for {n} rows; give one a row")
    return cluster_codes(clusters)


def _units(codes: Ints | None, n: int) -> int:
    return n if codes is None else len(np.unique(codes))


def _renumbered(codes: Ints) -> Ints | None:
    found = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return None if found.size == 0 or int(found.max()) + 1 == found.size else found


def _is_mean(values: Array, figure: float) -> bool:
    return bool(np.isfinite(values).all()) and math.isclose(float(values.mean()), figure, rel_tol=1e-9, abs_tol=1e-9)


def _span_seen(values: Array, span: float) -> float:
    """How far a value can move: the metric's range, or where it has none that of the values seen (0 is nothing)."""
    if math.isfinite(span):
        return span
    finite = values[np.isfinite(values)]
    return (float(np.ptp(finite)) if finite.size else 0.0) or math.inf


def _reach(values: Array, bounds: tuple[float, float]) -> tuple[float, float]:
    """The worst and best that a value can be; where the metric has no bound, none."""
    low, high = bounds
    return min(low, float(values.min())), max(high, float(values.max()))


def _around(value: float, bounds: tuple[float, float]) -> tuple[float, float]:
    return min(bounds[0], value), max(bounds[1], value)


def _open(kernel: OneSided) -> str:
    low, high = kernel.lower(0.05), kernel.upper(0.05)
    return "" if math.isfinite(low) and math.isfinite(high) else "all agree, and the metric has no bounds"


def _pairs_name(few: int, change: float) -> str:
    if few:
        return "few pairs differ"
    return "identical pairs" if abs(change) <= _TINY else "constant change"


def _clustered(values: Array, codes: Ints, n_units: int) -> ClusteredProportion:
    share = float(values.mean())
    variance = cluster_standard_error(values, codes) ** 2 * n_units / (n_units - 1)
    effective = float(n_units)
    if 0 < share < 1:
        effective = min(share * (1 - share) / variance, len(values)) if variance > 0 else float(len(values))
    rarer = values == (0.0 if share >= 0.5 else 1.0)
    n_telling = len(np.unique(codes[rarer])) if 0 < share < 1 else n_units
    return ClusteredProportion(share, effective, min(n_telling, n_units - 1))


def _about(mode: float, down: float, up: float, n_below: int, n_above: int, n: int) -> MostlyOne:
    return MostlyOne(mode, mode + down, mode + up, n_below, n_above, n)


def _mean(
    values: Array, codes: Ints | None, n_units: int, worst: float, best: float
) -> tuple[OneSided, int | None] | None:
    """The test of a mean of values within [worst, best], and how few differ from the rest where that decides.

    None where nothing can be said.
    """
    unique, counts = np.unique(values, return_counts=True)
    mode, most = float(unique[counts.argmax()]), int(counts.max())
    if n_units < 2 and most < len(values):
        return None
    n_few = len(values) - most
    below, above = values < mode - _TINY, values > mode + _TINY
    if 2 * most >= len(values) and n_few < FEW:
        n_below, n_above = (
            int(side.sum()) if codes is None else len(np.unique(codes[side])) for side in (below, above)
        )
        beyond = _t_of(values, codes, n_units) if n_few else None
        return MostlyOne(mode, min(worst, mode), max(best, mode), n_below, n_above, n_units, FEW, beyond), n_few
    return _t_of(values, codes, n_units), None


def _t_of(values: Array, codes: Ints | None, n_units: int) -> OneSided:
    """The skew-adjusted t test of a mean; of clusters by the sums of their deviations."""
    mean = float(values.mean())
    deviations: Array = values - mean if codes is None else np.bincount(codes, weights=values - mean)
    return _of_deviations(mean, deviations, n_units, len(values))


def _of_deviations(value: float, deviations: Array, n_units: int, n: int) -> OneSided:
    """The skew-adjusted t test of a figure from what each of `n_units` units adds to n times its error."""
    squares = float(np.sum(deviations * deviations))
    # Equal but for rounding: no spread, no evidence.
    if n_units < 2 or squares <= (1e-13 * max(1.0, abs(value))) ** 2 * n_units:
        return Infinite()
    error = math.sqrt(squares * n_units / (n_units - 1)) / n
    spread = math.sqrt(squares / n_units)
    skew = float(np.mean((deviations / spread) ** 3))
    # A sample seldom holds the end of a long tail: of a lognormal's skewness of 3.7, 100 values show 2.4, 300 show 2.9.
    return SkewedMean(value, error, skew * (1 + 5 / math.sqrt(n_units)), n_units)


def _resampled(
    base: Evidence,
    metric: Metric,
    runs: tuple[Array, ...],
    combine: object,
    codes: Ints | None,
    seed: int,
    *,
    span: tuple[float, float],
) -> Evidence:
    """The bootstrap of what `combine` makes of the runs' figures, each resample drawing the same units of all."""
    n_units = base.n_units
    by_rows = isinstance(metric, RowsMetric)
    n_resamples = min(N_RESAMPLES, getattr(metric, "n_resamples", N_RESAMPLES))
    if n_units < 2 or n_resamples < 2:
        return replace(base, note=f"{n_units} {'sample' if codes is None else 'cluster'} tells no spread")
    assert callable(combine)
    value = base.value
    units = runs if codes is None or by_rows else tuple(cluster_totals(run, codes) for run in runs)
    left_out = np.empty(0)
    if not by_rows:
        left_out = np.asarray(combine([jackknife(run, metric.finalize) for run in units]))
        if n_units > MAX_RESAMPLED and np.isfinite(left_out).all():
            return _jackknifed(base, left_out, span)
    figures: list[Array] = []
    for weights in resample_weights(n_units, n_resamples=n_resamples, seed=seed, width=len(runs[0])):
        drawn = weights[:, codes] if by_rows and codes is not None else weights
        figures.append(np.asarray(combine([figure_of(metric, run, drawn) for run in units])))
    replicates = np.concatenate(figures)
    finite = np.sort(replicates[np.isfinite(replicates)])
    if finite.size < max(2, n_resamples // 2):
        return replace(base, note="the figure of most resamples is not a number")
    if finite[0] == finite[-1]:
        return _nothing_varies(base, span)
    corrections = bca_corrections(value, finite, left_out) if left_out.size else (0.0, 0.0)
    method = "bootstrap" if codes is None else "bootstrap of clusters"
    kernel: OneSided = Resampled(value, finite, *corrections)
    if n_units < ENOUGH:
        spread = left_out.mean() - left_out if left_out.size else left_out
        if n_units < FEW and (by_rows or not np.isfinite(left_out).all()):
            return replace(base, note=f"{n_units} {'samples' if codes is None else 'clusters'} are too few to resample")
        if spread.size and np.isfinite(spread).all() and spread.any():
            # Resampling cannot invent what few units do not show; t with the jackknife's error allows for it.
            kernel = LessCertain(kernel, _of_deviations(value, (n_units - 1) * spread, n_units, n_units))
            method = f"{method} and jackknife"
    return replace(base, method=method, kernel=kernel)


def _jackknifed(base: Evidence, left_out: Array, span: tuple[float, float]) -> Evidence:
    """The normal figure with the jackknife's standard error, where there are so many units that it is one."""
    n = left_out.size
    error = math.sqrt((n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2)))
    if error <= _TINY:
        return _nothing_varies(base, span)
    return replace(base, method="jackknife", kernel=Scaled(base.value, error, error))


def _nothing_varies(base: Evidence, span: tuple[float, float]) -> Evidence:
    kernel = MostlyOne(base.value, span[0], span[1], 0, 0, base.n_units)
    return replace(base, method="no variation", kernel=kernel, note=_open(kernel))

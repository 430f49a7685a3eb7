"""The figure of a metric over samples, with its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from evalharness.core.protocols import Array, Metric
from evalharness.stats.arrays import Ints, np
from evalharness.stats.bootstrap import (
    bca_interval,
    bounded_jackknife_interval,
    cluster_totals,
    jackknife,
    jackknife_interval,
    percentile_interval,
    replicates,
    resample_weights,
)
from evalharness.stats.cluster_spread import cluster_freedom, cluster_spread
from evalharness.stats.intervals import NO_INTERVAL, Interval, cluster_codes, wilson
from evalharness.stats.leaning import bounded_mean_interval, cluster_wilson
from evalharness.stats.order_statistics import clustered_order_statistic
from evalharness.stats.skewed import of_left_out, skewed_mean, two_sided

from .base import RowsMetric

__all__ = ["ENOUGH", "MAX_RESAMPLED", "N_RESAMPLES", "Summary", "sample_values", "summarize"]

N_RESAMPLES = 2000
ENOUGH = 100
"""Below so many units the bootstrap's tails are those of the few that are there."""
# Resampling more would take seconds a figure, and from here on the normal approximation is as good.
MAX_RESAMPLED = 50_000
# Intervals of metrics' own that are told of clusters: a metric over all answers (distinct-n), one of pairs (flip_rate).
_KNOWING_CLUSTERS = ("jackknife", "wilson")


class Summary(NamedTuple):
    """A figure, its bounds, and how they were found."""

    value: float
    low: float
    high: float
    method: str


def sample_values(metric: Metric, stats: Array) -> Array:
    """(n,) the figure of each sample from its own row.

    That is `finalize` of the row, unless the metric says otherwise with `finalize_samples` (BLEU: effective order).
    """
    finalize = getattr(metric, "finalize_samples", metric.finalize)
    values: Array = np.asarray(finalize(np.asarray(stats, dtype=np.float64)), dtype=np.float64)
    return values


def summarize(
    metric: Metric,
    stats: Array,
    *,
    clusters: Sequence[str | None] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> Summary:
    """The figure of the rows `stats` (n, k) and its interval, by the kind that the metric asks for.

    ==============  ===============================================================================
    proportion      `wilson`; in clusters `cluster-wilson` (effective sample size, t quantile)
    mean            `score-t` within finite bounds (Wilson's at the effective sample size, t quantile), else `skew-t`
                    (the wider of Student's t and Hall's transformed one at either end); in clusters
                    `cluster-score-t` and `cluster-skew-t` (cluster-robust, at most C − 1 degrees of freedom)
    bootstrap       `jackknife-score-t` within finite bounds (as for means, with the jackknife's standard error), else
                    `bca`; in clusters `cluster-jackknife-score-t` and `cluster-bca` (whole clusters are left out and
                    resampled). Of fewer than 100 `bca-skew-t`, the wider of BCa and `skew-t` with the jackknife's error
                    at either end, of more than 50,000 samples (or clusters) `jackknife` takes the place of `bca`
    quantiles       `order-statistics`; in clusters `cluster-order-statistics`, at the effective sample size
    other rows      `percentile` and `cluster-percentile` of metrics that need all rows at once (adaptive_ece)
    its own         what the metric's `interval_rows` gives, under its `interval_name`; in clusters the bootstrap
    over answers    `jackknife` and `cluster-jackknife` of metrics that a resample would get wrong (distinct-n)
    over levels     what `metrics.disparity` says: `max-t` and others, with `cluster-` before them; `too few: …` where
                    a level is too small, and `none: …` where one has no figure
    of pairs        `wilson` and `cluster-wilson` over pairs of samples (flip_rate)
    ==============  ===============================================================================

    Rows without anything to measure are left out of proportions and means. Bounds are kept within the metric's own.
    Where all samples agree, so that nothing varies, a metric with finite bounds gets the method `no-variation`: with
    n equal samples the share of others is below Wilson's upper bound for 0 of n, and the figure no further away than
    if those had the worst (or best) value. The bounds are NaN, and the method `none`, where they cannot be found:
    nothing measured, one sample only (but for proportions), or statistics that are not finite.

    Raises:
        ValueError: for `stats` that are not (n, k), clusters of another length, or a confidence outside (0, 1).
    """
    rows = np.asarray(stats, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(metric.columns):
        raise ValueError(f"{metric.name}: stats must be (n, {len(metric.columns)}); got shape {rows.shape}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, exclusive; got {confidence!r}")
    if clusters is not None and len(clusters) != len(rows):
        raise ValueError(f"{len(clusters)} clusters for {len(rows)} rows; give one a row")
    by_rows = metric if isinstance(metric, RowsMetric) else None
    value = math.nan
    if len(rows):
        value = float(metric.finalize(rows.sum(axis=0)) if by_rows is None else by_rows.finalize_rows(rows))
    codes = None if clusters is None else cluster_codes(clusters)
    over_levels = getattr(metric, "disparity", None)
    if over_levels is not None and math.isnan(value):
        return Summary(value, *NO_INTERVAL, f"none: {over_levels(rows, codes, seed=seed).note}")
    if math.isnan(value) or not np.isfinite(rows).all():
        return Summary(value, *NO_INTERVAL, "none")
    if over_levels is not None:
        return _of_levels(metric, over_levels(rows, codes, seed=seed), confidence)
    if by_rows is not None:
        n_resamples = min(n_resamples, getattr(metric, "n_resamples", n_resamples))
        found, method = _quantile(by_rows, rows, codes, confidence=confidence, seed=seed, n_resamples=n_resamples)
    elif metric.interval == "bootstrap" and codes is None and (direct := getattr(metric, "interval_rows", None)):
        found, method = Interval(*direct(rows, confidence=confidence)), str(getattr(metric, "interval_name", "direct"))
    elif metric.interval == "bootstrap":
        found, method = _bootstrap(
            metric, rows, value, codes, confidence=confidence, seed=seed, n_resamples=n_resamples
        )
    else:
        found, method = _mean(metric, rows, value, codes, confidence=confidence)
    if math.isnan(found.low) or math.isnan(found.high):
        return Summary(value, *NO_INTERVAL, "none")
    return Summary(value, max(found.low, metric.bounds[0]), min(found.high, metric.bounds[1]), method)


def _of_levels(metric: Metric, found: Any, confidence: float) -> Summary:
    """The interval of a disparity between levels; all that the figure can be where nothing is excluded."""
    if found.method == "none":
        return Summary(found.value, *NO_INTERVAL, f"none: {found.note}")
    if found.method == "no-variation":
        return Summary(found.value, found.value, found.value, found.method)
    low, high = found.interval(confidence)
    low, high = max(low, metric.bounds[0]), min(high, metric.bounds[1])
    return Summary(
        found.value, low if math.isfinite(low) else math.nan, high if math.isfinite(high) else math.nan, found.method
    )


def _mean(metric: Metric, rows: Array, value: float, codes: Ints | None, *, confidence: float) -> tuple[Interval, str]:
    values = np.asarray(metric.finalize(rows), dtype=np.float64)
    known = ~np.isnan(values)
    values = values[known]
    kept = None if codes is None else _renumbered(codes[known])
    # Averages over repeats are no longer 0 or 1: such proportions are means.
    if metric.interval == "proportion" and np.isin(values, (0.0, 1.0)).all():
        if kept is None:
            return wilson(float(values.sum()), values.size, confidence=confidence), "wilson"
        return cluster_wilson(values, kept, confidence=confidence), "cluster-wilson"
    n_units = values.size if kept is None else int(kept.max()) + 1
    if n_units > 1 and np.ptp(values) == 0:
        return _no_variation(metric, value, n_units, confidence)
    cluster = "" if kept is None else "cluster-"
    if _within_bounds(metric, values):
        return bounded_mean_interval(values, metric.bounds, confidence=confidence, codes=kept), f"{cluster}score-t"
    if n_units < 2:
        return NO_INTERVAL, "none"
    found = two_sided(skewed_mean(values, kept, n_units), confidence)
    return found, "none" if math.isnan(found.low) else f"{cluster}skew-t"


def _bootstrap(
    metric: Metric,
    rows: Array,
    value: float,
    codes: Ints | None,
    *,
    confidence: float,
    seed: int,
    n_resamples: int,
) -> tuple[Interval, str]:
    units = rows if codes is None else cluster_totals(rows, codes)
    if len(units) < 2:
        return NO_INTERVAL, "none"
    left_out = jackknife(units, metric.finalize)
    name = "bca" if len(units) <= MAX_RESAMPLED else "jackknife"
    if _within_bounds(metric, left_out):
        name = "jackknife-score-t"
        freedom = None if codes is None else _freedom(metric, rows, codes)
        bounds = bounded_jackknife_interval(value, left_out, metric.bounds, confidence=confidence, freedom=freedom)
    elif name == "bca":
        found = replicates(units, metric.finalize, n_resamples=n_resamples, seed=seed)
        bounds = bca_interval(found, value, left_out, confidence=confidence)
        if len(units) < ENOUGH:
            bounds, name = _no_narrower(bounds, value, left_out, confidence), "bca-skew-t"
    else:
        bounds = jackknife_interval(value, left_out, confidence=confidence)
    if bounds.low == bounds.high == value:
        return _no_variation(metric, value, len(units), confidence)
    return bounds, name if codes is None else f"cluster-{name}"


def _no_narrower(bounds: Interval, value: float, left_out: Array, confidence: float) -> Interval:
    """`bounds`, or the skew-adjusted t interval with the jackknife's error at the end where that is the wider."""
    low, high = two_sided(of_left_out(value, left_out), confidence)
    return bounds if math.isnan(low) else Interval(min(bounds.low, low), max(bounds.high, high))


def _freedom(metric: Metric, rows: Array, codes: Ints) -> float:
    """The degrees of freedom of a figure in clusters: those of the mean of what each sample does to it."""
    counts = np.bincount(codes)
    if (counts == counts[0]).all():
        return float(len(counts) - 1)
    done = jackknife(rows, metric.finalize)
    return cluster_spread(done, codes).freedom if np.isfinite(done).all() else cluster_freedom(counts, 1.0)


def _quantile(
    metric: RowsMetric, rows: Array, codes: Ints | None, *, confidence: float, seed: int, n_resamples: int
) -> tuple[Interval, str]:
    direct = getattr(metric, "interval_rows", None)
    name = getattr(metric, "interval_name", "order-statistics")
    if name in _KNOWING_CLUSTERS and direct is not None:
        return _left_out(metric, rows, codes, name, confidence=confidence)
    if codes is None and direct is not None:
        if len(rows) < 2:
            return NO_INTERVAL, "none"
        return Interval(*direct(rows, confidence=confidence)), name
    if codes is not None and isinstance(q := getattr(metric, "q", None), float):
        return _clustered_quantile(sample_values(metric, rows), codes, q, confidence)  # type: ignore[arg-type]
    n_units = len(rows) if codes is None else int(codes.max()) + 1
    # A metric whose every figure is dear says how many it will give.
    n_resamples = min(n_resamples, getattr(metric, "n_resamples", n_resamples))
    if n_units < 2 or n_resamples < 1:
        return NO_INTERVAL, "none"
    found = [
        metric.finalize_rows(rows, weights if codes is None else weights[:, codes])
        for weights in resample_weights(n_units, n_resamples=n_resamples, seed=seed, width=len(rows))
    ]
    bounds = percentile_interval(np.concatenate(found), confidence=confidence)
    if bounds.low == bounds.high == float(metric.finalize_rows(rows)):
        return _no_variation(metric, bounds.low, n_units, confidence)  # type: ignore[arg-type]
    return bounds, "percentile" if codes is None else "cluster-percentile"


def _clustered_quantile(values: Array, codes: Ints, q: float, confidence: float) -> tuple[Interval, str]:
    known = ~np.isnan(values)
    tested = clustered_order_statistic(values[known], codes[known], q) if known.any() else None
    if tested is None:
        return NO_INTERVAL, "none"
    tail = (1 - confidence) / 2
    return Interval(tested.lower(tail), tested.upper(tail)), "cluster-order-statistics"


def _within_bounds(metric: Metric, values: Array) -> bool:
    """Whether the metric has an end on both sides; one of a user's own may promise ends and not keep to them."""
    low, high = metric.bounds
    slack = 1e-12 * (high - low)
    return math.isfinite(slack) and slack > 0 and bool(((values >= low - slack) & (values <= high + slack)).all())


def _left_out(
    metric: RowsMetric, rows: Array, codes: Ints | None, name: str, *, confidence: float
) -> tuple[Interval, str]:
    """The metric's own interval, which knows clusters; resamples would not do for it."""
    found = Interval(*metric.interval_rows(rows, confidence=confidence, codes=codes))  # type: ignore[attr-defined]
    if math.isnan(found.low):
        return NO_INTERVAL, "none"
    if found.low == found.high:
        n_units = len(rows) if codes is None else int(codes.max()) + 1
        return _no_variation(metric, found.low, n_units, confidence)  # type: ignore[arg-type]
    return found, name if codes is None else f"cluster-{name}"


def _no_variation(metric: Metric, value: float, n: int, confidence: float) -> tuple[Interval, str]:
    low, high = metric.bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        return Interval(value, value), "no-variation"
    others = wilson(0, n, confidence=confidence).high
    return Interval(value - others * (value - low), value + others * (high - value)), "no-variation"


def _renumbered(codes: Ints) -> Ints:
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)

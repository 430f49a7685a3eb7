"""How much a figure varies from sample to sample: of runs that there are, else the most that its bounds allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..compare.paired import figure_of
from ..compare.planned import PlannedFigure
from ..core.errors import NotComparableError
from ..core.types import MetricResult
from ..metrics.base import RowsMetric
from ..metrics.interval import sample_values
from ..stats.arrays import Ints
from ..stats.bootstrap import cluster_totals, jackknife, resample_weights
from ..stats.intervals import cluster_codes
from .paired_cases import baseline_figure
from .rows import FigureRows, figure_rows, paired_rows
from .simulated_power import Pool

if TYPE_CHECKING:
    from ..core.protocols import Array, Metric
    from ..record import Record
    from ..suite.schema import Rule

__all__ = ["Spread", "spread_of"]

_N_RESAMPLES = 200


class _Pairs(NamedTuple):
    """The variance of a pair's difference, the difference, whether pairs cluster, and the share that differ."""

    variance: float
    change: float
    clustered: bool
    discordance: float
    pool: Pool


class Spread(NamedTuple):
    """The variance of one sample's contribution (n times the squared error of the figure), and where it is from.

    NaN is not known. `expected` is the figure, or the difference to the baseline (+ is better), that past runs had.
    `within` is the part of the variance that repeats make smaller, at one repeat, where it is known; `design` how many
    times the variance of samples that stand alone it is, because they come in clusters. `values` are the sorted values
    of samples that stand alone, of a quantile. `discordance` is the share of pairs that differ, of right and wrong
    answers. `pool` are the rows of an earlier run that others can be redrawn from.
    """

    variance: float
    source: str
    is_measured: bool = False
    expected: float | None = None
    baseline_value: float | None = None
    within: float | None = None
    clustered: bool = False
    design: float = 1.0
    values: Array | None = None
    discordance: float | None = None
    pool: Pool | None = None


def spread_of(
    rule: Rule, figure: PlannedFigure, baseline: Record | None, past: Record | None, *, of_model: str | None = None
) -> Spread:
    """The spread of what `rule` is decided on: of the pairs where it compares, else of the figure's own samples.

    `past` is an earlier run of the suite, other than the baseline; `of_model` the model that is the baseline where it
    runs beside the others.
    """
    if rule.is_paired:
        return _paired(rule, figure, baseline if of_model is None else past, past, of_model)
    for record in (past, baseline):
        found = None if record is None else _recorded(figure, rule.group, record)
        if record is None or found is None:
            continue
        variance = _variance(figure.metric, [found.values], found.clusters, lambda run: run[0])
        source, value = f"the samples of {record.manifest.id}", figure_of(figure.metric, found.values)
        clustered = any(cluster is not None for cluster in found.clusters)
        if isinstance(getattr(figure.metric, "q", None), float) and math.isfinite(value) and not clustered:
            values = np.sort(sample_values(figure.metric, found.values))
            return Spread(variance, source, True, value, values=values[~np.isnan(values)])
        if variance > 0:
            within, design = _within(figure, found.values, record), 1.0
            if clustered:
                alone = _variance(figure.metric, [found.values], [], lambda run: run[0])
                design = max(variance / alone, 1.0) if alone > 0 else 1.0
            pool = Pool(found.values, None, found.clusters)
            return Spread(variance, source, True, value, None, within, clustered, design, pool=pool)
        if figure.metric.interval == "proportion" and 0 < rule.number < 1 and math.isfinite(value):
            # Answers that are all right, or all wrong, tell the figure, and no spread.
            source += ", which are all alike: the most that the bounds allow at the limit"
            return Spread(rule.number * (1 - rule.number), source, False, value, clustered=clustered)
    low, high = figure.metric.bounds
    if low <= rule.number <= high and math.isfinite(high - low):
        # Bhatia and Davis 2000: no distribution within the bounds with this mean varies more; for 0/1 it is p(1 − p).
        source = "no run tells it: the most that its bounds allow at the limit"
        return Spread((high - rule.number) * (rule.number - low), source)
    return Spread(math.nan, "no run tells it, and the metric has no bounds")


def _paired(
    rule: Rule, figure: PlannedFigure, baseline: Record | None, past: Record | None, of_model: str | None
) -> Spread:
    metric = figure.metric
    against = None if baseline is None else _recorded(figure, rule.group, baseline, of_model)
    if baseline is None or against is None:
        span = metric.bounds[1] - metric.bounds[0]
        if not math.isfinite(span):
            return Spread(math.nan, "no baseline yet, and the metric has no bounds")
        # Two independent figures, each with half of its values at either bound.
        source = "no baseline yet: as if two unrelated runs varied as much as the bounds allow"
        return Spread(span**2 / 2, source, discordance=0.5)
    value = figure_of(metric, against.values)
    relative = rule.number if rule.kind == "max_relative_drop" else 0.0
    within = _within(figure, against.values, baseline)
    if past is not None:
        found = _pairs(rule, figure, past, baseline, relative, of_model)
        if found is not None:
            other = baseline.manifest.id if of_model is None else of_model
            source = f"the pairs of {past.manifest.id} and {other}"
            return Spread(
                found.variance,
                source,
                True,
                found.change,
                value,
                within,
                found.clustered,
                discordance=found.discordance,
                pool=found.pool,
            )
    own = _variance(metric, [against.values], against.clusters, lambda run: run[0])
    source = f"twice the variance of the samples of {baseline.manifest.id}, as if runs were unrelated (at most so)"
    clustered = any(cluster is not None for cluster in against.clusters)
    return Spread(
        (1 + (1 - relative) ** 2) * own, source, False, None, value, within, clustered, discordance=min(2 * own, 1.0)
    )


def _recorded(
    figure: PlannedFigure, group: str | None, record: Record, of_model: str | None = None
) -> FigureRows | None:
    result = baseline_figure(_named(figure, group), record, of_model)
    if isinstance(result, str) or result.signature != figure.metric.signature:
        return None
    found = figure_rows(record, result)
    return found if len(found.values) > 1 else None


def _pairs(
    rule: Rule, figure: PlannedFigure, past: Record, baseline: Record, relative: float, of_model: str | None
) -> _Pairs | None:
    """What pairs of two runs say; None where runs do not pair, or are alike in all."""
    named = _named(figure, rule.group)
    ours, theirs = baseline_figure(named, past, None), baseline_figure(named, baseline, of_model)
    if isinstance(ours, str) or isinstance(theirs, str):
        return None
    if figure.metric.signature not in (ours.signature, theirs.signature):
        return None
    try:
        paired = paired_rows(past, ours, baseline, theirs)
    except NotComparableError:
        return None
    metric = figure.metric
    sign = 1.0 if metric.higher_is_better else -1.0
    by = 1 - sign * relative

    def difference(run: Sequence[Array]) -> Array:
        found: Array = sign * (run[0] - by * run[1])
        return found

    if len(paired.current) < 2:
        return None
    variance = _variance(metric, [paired.current, paired.baseline], paired.clusters, difference)
    # Runs that agree on everything say nothing about those that do not.
    if not variance > 0:
        return None
    change = sign * (figure_of(metric, paired.current) - figure_of(metric, paired.baseline))
    differ = float((paired.current != paired.baseline).any(axis=1).mean())
    pool = Pool(paired.current, paired.baseline, paired.clusters)
    return _Pairs(variance, change, any(cluster is not None for cluster in paired.clusters), differ, pool)


def _variance(
    metric: Metric, runs: Sequence[Array], clusters: Sequence[str | None], combine: Callable[[list[Array]], Array]
) -> float:
    """The squared standard error times n of the figure, by the jackknife; of clusters by leaving out whole ones.

    For means it is the variance of the values (in clusters with their design effect); of a quantile, for which the
    jackknife fails, that of resamples. NaN where it cannot be had.
    """
    n = len(runs[0])
    if n < 2:
        return math.nan
    codes = cluster_codes(list(clusters)) if any(cluster is not None for cluster in clusters) else None
    if isinstance(metric, RowsMetric):
        return _resampled(metric, runs, codes, combine)
    units = list(runs) if codes is None else [cluster_totals(run, codes) for run in runs]
    left_out = np.asarray(combine([jackknife(run, metric.finalize) for run in units]), dtype=np.float64)
    if len(left_out) < 2 or not np.isfinite(left_out).all():
        return math.nan
    c = len(left_out)
    return float(n * (c - 1) / c * np.sum((left_out - left_out.mean()) ** 2))


def _resampled(
    metric: Metric, runs: Sequence[Array], codes: Ints | None, combine: Callable[[list[Array]], Array]
) -> float:
    """N times the variance of what `combine` makes of the runs' figures in resamples of the same units of all."""
    n = len(runs[0])
    units = n if codes is None else int(codes.max()) + 1
    if units < 2:
        return math.nan
    figures = []
    for weights in resample_weights(units, n_resamples=_N_RESAMPLES, seed=0, width=n):
        drawn = weights if codes is None else weights[:, codes]
        figures.append(combine([figure_of(metric, run, drawn) for run in runs]))
    found = np.concatenate(figures)
    return float(n * found.var(ddof=1)) if np.isfinite(found).all() else math.nan


def _within(figure: PlannedFigure, rows: Array, record: Record) -> float | None:
    """The variance of a sample's answers about its own mean, of 0/1 answers that were repeated; else not known.

    From the mean v of r answers alone: v(1 − v)·r/(r − 1), unbiased.
    """
    task = next((t for t in record.manifest.tasks if (t.id, t.model) == (figure.task, figure.model)), None)
    repeats = 0 if task is None else task.n_requests // max(task.n_samples, 1)
    if repeats < 2 or figure.metric.interval != "proportion":
        return None
    values = sample_values(figure.metric, rows)
    return float(np.mean(values * (1 - values)) * repeats / (repeats - 1))


def _named(figure: PlannedFigure, group: str | None) -> MetricResult:
    from .looks import as_result

    return as_result(figure, group)

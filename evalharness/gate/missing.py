"""Evidence that holds whatever the samples without a figure would have said: worst-case bounds.

A sample that failed, or that only one of two runs has, may have had any value within the metric's bounds. Its lowest
goes into the lower bound and its highest into the upper one, so a rule passes, or fails, only where the missing samples
could not change it. Source: Manski 1990 (Am Econ Rev 80:319); Horowitz and Manski 2000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.nulls import best_between, direction
from ..core.protocols import Array, Metric
from ..metrics.base import RowsMetric
from ..metrics.interval import sample_values
from ..stats.intervals import cluster_codes
from ..stats.one_sided import Envelope, Infinite, OneSided
from .evidence import Evidence, absolute_evidence, mean_evidence, paired_evidence, paired_values_evidence
from .kernels import nearer
from .rows import PairedRows

__all__ = ["bounded_absolute", "bounded_paired"]


def bounded_absolute(
    metric: Metric, rows: Array, n_missing: int, *, clusters: Sequence[str | None] | None = None, seed: int = 0
) -> Evidence:
    """`absolute_evidence`, were `n_missing` more samples as bad, and as good, as a value can be."""
    known = absolute_evidence(metric, rows, clusters=clusters, seed=seed)
    if not n_missing:
        return known
    values = sample_values(metric, rows)
    if (
        not len(rows)
        or not _is_mean(metric)
        or not math.isclose(float(np.nanmean(values)), known.value, rel_tol=1e-9, abs_tol=1e-9)
    ):
        return _undecided(known, n_missing)
    codes = None if clusters is None else cluster_codes([*clusters, *[None] * n_missing])

    def filled(value: float) -> OneSided:
        if not math.isfinite(value):
            return Infinite()
        whole = np.concatenate([values, np.full(n_missing, value)])
        measured = ~np.isnan(whole)
        numbers = None if codes is None else np.unique(codes[measured], return_inverse=True)[1]
        return mean_evidence(whole[measured], metric.bounds, codes=numbers).kernel

    return _enveloped(known, filled(metric.bounds[0]), filled(metric.bounds[1]), n_missing)


def bounded_paired(
    metric: Metric, paired: PairedRows, n_neither: int, *, seed: int = 0, relative: float = 0.0
) -> Evidence:
    """`paired_evidence`, were the samples that one run or both (`n_neither`) lack as bad, and as good, as can be."""
    known = paired_evidence(
        metric, paired.current, paired.baseline, clusters=paired.clusters, seed=seed, relative=relative
    )
    n_missing = len(paired.only_current) + len(paired.only_baseline) + n_neither
    if not n_missing or not len(paired.current):
        return known
    low, high = metric.bounds
    if not _is_mean(metric) or not (math.isfinite(low) and math.isfinite(high)):
        return _undecided(known, n_missing)
    ours, theirs = sample_values(metric, paired.current), sample_values(metric, paired.baseline)
    mine, others = sample_values(metric, paired.only_current), sample_values(metric, paired.only_baseline)
    if np.isnan(np.concatenate([ours, theirs, mine, others])).any():
        return _undecided(known, n_missing)
    clusters = [*paired.clusters, *[None] * n_missing]

    best = best_between(metric)

    def filled(current: float, baseline: float, *, mirrored: bool = False) -> OneSided:
        a = np.concatenate([ours, mine, np.full(len(others) + n_neither, current)])
        b = np.concatenate([theirs, np.full(len(mine), baseline), others, np.full(n_neither, baseline)])
        if mirrored and best is not None:
            b = 2 * best - b
        codes = cluster_codes(clusters) if any(cluster is not None for cluster in clusters) else None
        return paired_values_evidence(a, b, metric, codes=codes, relative=relative).kernel

    bad, good = (low, high) if direction(metric) > 0 else (high, low)
    if best is None:
        return _enveloped(known, filled(bad, good), filled(good, bad), n_missing)
    apart = Envelope(filled(bad, good), filled(good, bad))
    mirrored = Envelope(filled(bad, bad, mirrored=True), filled(good, good, mirrored=True))
    return _worst_case(known, nearer(apart, mirrored, relative * best), n_missing)


def _is_mean(metric: Metric) -> bool:
    return metric.interval != "bootstrap" and not isinstance(metric, RowsMetric)


def _undecided(known: Evidence, n_missing: int) -> Evidence:
    note = (
        f"{_are(n_missing)} missing, and this figure has no worst case (it is no mean of values within bounds; "
        "gates.missing: exclude leaves them out)"
    )
    return replace(known, kernel=Infinite(), note=note)


def _enveloped(known: Evidence, low: OneSided, high: OneSided, n_missing: int) -> Evidence:
    return _worst_case(known, Envelope(low, high), n_missing)


def _worst_case(known: Evidence, kernel: OneSided, n_missing: int) -> Evidence:
    return replace(known, kernel=kernel, method=f"{known.method}, worst case of {n_missing:,} missing")


def _are(n: int) -> str:
    return f"{n:,} sample{' is' if n == 1 else 's are'}"

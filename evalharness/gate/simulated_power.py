"""The power of means, and of answers in clusters: of runs redrawn from an earlier one, each put to the gate's own test.

A normal formula knows no skewness, no ties, no few clusters, and not what the gate's tests ask for where there are
some: 20 scores at an alpha of 0.0125 have 20 points less than it says. So samples (or pairs, or whole clusters of them)
of an earlier run are drawn with replacement as often as the plan has them, and the gate's bounds tell how far the truth
must lie beyond a limit for each of these runs to pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from ..compare.paired import figure_of
from ..core.nulls import best_between, direction
from ..core.protocols import Array, Metric
from ..metrics.base import RowsMetric
from ..stats.arrays import Ints
from ..stats.bootstrap import cluster_totals, jackknife
from ..stats.intervals import cluster_codes
from ..stats.one_sided import Infinite, LessCertain, OneSided
from ..stats.skewed import of_deviations
from ..stats.tails import normal_probability, normal_quantile
from ..suite.schema import Rule
from .evidence import Evidence, absolute_evidence, paired_evidence
from .kernels import ENOUGH, nearer
from .looked_power import Looks, runs_passed

__all__ = ["Pool", "Redrawn", "can_be_redrawn"]

# Of so many independent units the mean is normal enough, and more are what these are by the square root.
_MOST_UNITS = 1_000
_RUNS, _WORK, _FEWEST_RUNS = 4_000, 2_000_000, 300
# A power is known to a point or so.
_NOISE, _STEPS = 0.015, 25


class Pool(NamedTuple):
    """The rows of an earlier run, those of its baseline where they are compared, and the clusters of the samples."""

    current: Array
    baseline: Array | None
    clusters: tuple[str | None, ...]


class _Reach(NamedTuple):
    """(runs, looks) how far the truth must lie beyond the limit to pass at a look, and not to be given up there."""

    passes: Array
    futile: Array


def can_be_redrawn(metric: Metric, pool: Pool) -> bool:
    """Whether each redrawn run can be tested soon: by a test of a mean, a jackknife, or the metric's own interval."""
    alone = pool.baseline is None and all(cluster is None for cluster in pool.clusters)
    if getattr(metric, "interval_rows", None) is not None and alone:
        return True
    return not isinstance(metric, RowsMetric) and getattr(metric, "disparity", None) is None


@dataclass(frozen=True, eq=False)
class Redrawn:
    """Runs redrawn from `pool`, decided by `rule` at `alpha`, or at `looks`."""

    rule: Rule
    metric: Metric
    pool: Pool
    alpha: float
    looks: Looks | None = None

    def power(self, n: int, distance: float, *, most: int = _RUNS) -> float:
        """The share of runs, `most` or fewer, that pass where the truth lies `distance` beyond the limit."""
        reach = self._reach(n, most)
        return runs_passed(
            lambda look: (reach.passes[:, look] <= distance, reach.futile[:, look] > distance), reach.passes.shape[1]
        )

    def detectable(self, n: int, power: float, *, most: int = _RUNS) -> float | None:
        """The distance at which runs pass with this power; None where none does."""
        low, high = 0.0, float(np.nanmax(self._reach(n, most).passes[:, -1]))
        if not math.isfinite(high) or self.power(n, high, most=most) < power:
            finite = self._reach(n, most).passes[:, -1]
            high = float(np.quantile(finite, min(power + 0.1, 1.0), method="higher"))
            if not math.isfinite(high) or self.power(n, high, most=most) < power:
                return None
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(n, middle, most=most) >= power else (middle, high)
        return high

    def needed(self, guess: int, distance: float, power: float) -> int | None:
        """About how many samples have this power: what they detect goes down by the square root of their number."""
        n = max(guess, 2)
        for _ in range(4):
            found = self.detectable(n, power, most=_FEWEST_RUNS)
            if found is None:
                n *= 2
                continue
            n = max(math.ceil(n * (found / distance) ** 2), 2)
        # Where few values differ from the rest, another test is made, and what is detected leaps.
        for _ in range(_STEPS):
            if self.power(n, distance, most=_FEWEST_RUNS) >= power - _NOISE:
                return n
            n = math.ceil(1.06 * n)
        return None

    @cached_property
    def _units(self) -> list[Ints]:
        """The samples of each unit that is drawn: of each cluster, or one."""
        clusters = self.pool.clusters
        if all(cluster is None for cluster in clusters):
            return []
        by_name: dict[str, list[int]] = {}
        for place, cluster in enumerate(clusters):
            by_name.setdefault(f"c{cluster}" if cluster is not None else f"alone {place}", []).append(place)
        return [np.array(places, dtype=np.int64) for places in by_name.values()]

    @cached_property
    def _truth(self) -> float:
        clusters = self.pool.clusters if self._units else None
        return self._evidence(np.arange(len(self.pool.current)), clusters).value

    def _evidence(self, rows: Ints, clusters: Sequence[str | None] | None) -> Evidence:
        current = self.pool.current[rows]
        before = None if self.pool.baseline is None else self.pool.baseline[rows]
        relative = self.rule.number if self.rule.kind == "max_relative_drop" else 0.0
        if self.metric.interval == "bootstrap" and not isinstance(self.metric, RowsMetric):
            best = best_between(self.metric) if before is not None else None
            apart = self._jackknifed(current, before, clusters, relative)
            if best is None or before is None:
                return apart
            # As `paired_evidence`: beside the baseline, and beside its mirror image.
            mirrored = self._jackknifed(current, before, clusters, relative, best)
            after, then = (figure_of(self.metric, rows) for rows in (current, before))
            value = float((1 + relative) * abs(then - best) - abs(after - best))
            return replace(apart, value=value, kernel=nearer(apart.kernel, mirrored.kernel, relative * best))
        if before is None:
            return absolute_evidence(self.metric, current, clusters=clusters)
        return paired_evidence(self.metric, current, before, clusters=clusters, relative=relative)

    def _jackknifed(
        self,
        current: Array,
        before: Array | None,
        clusters: Sequence[str | None] | None,
        relative: float,
        mirror: float | None = None,
    ) -> Evidence:
        """For the gate's bootstrap (BCa): to resample within resamples takes too long.

        Its analytic form (ABC: DiCiccio and Efron 1992, Biometrika 79:231, without curvature) is right to the same
        order; of fewer units than the bootstrap is trusted with, the jackknife's t is the gate's other test.
        """
        runs = [current] if before is None else [current, before]
        codes = None if clusters is None else cluster_codes(list(clusters))
        if codes is not None:
            runs = [cluster_totals(run, codes) for run in runs]
        sign = 1.0 if before is None else direction(self.metric)

        def figure(found: Sequence[Array]) -> Array:
            if len(found) == 1:
                return found[0]
            against = found[1] if mirror is None else 2 * mirror - found[1]
            difference: Array = sign * (found[0] - (1 - sign * relative) * against)
            return difference

        n = len(runs[0])
        value = float(figure([self.metric.finalize(run.sum(axis=0)[None]) for run in runs])[0])
        without = figure([jackknife(run, self.metric.finalize) for run in runs])
        kernel: OneSided = Infinite()
        deviations = (n - 1) * (without.mean() - without)
        if n > 1 and np.isfinite(without).all() and deviations.any():
            squares = float(np.sum(deviations**2))
            kernel = _Analytic(value, math.sqrt(squares) / n, float(np.sum(deviations**3)) / (6 * squares**1.5))
            if n < ENOUGH:
                kernel = LessCertain(kernel, of_deviations(value, deviations, n, n))
        return Evidence(value, len(current), "jackknife", kernel, n_units=n)

    def _reach(self, n: int, runs: int) -> _Reach:
        per_unit = len(self.pool.current) / len(self._units) if self._units else 1.0
        units = max(round(n / per_unit), 1)
        most = min(units, _MOST_UNITS)
        if (most, runs) not in self._reaches:
            self._reaches[most, runs] = self._drawn(most, runs)
        found = self._reaches[most, runs]
        scale = math.sqrt(most / units)
        return _Reach(found.passes * scale, found.futile * scale)

    @cached_property
    def _reaches(self) -> dict[tuple[int, int], _Reach]:
        return {}

    def _drawn(self, n_units: int, most: int) -> _Reach:
        looks = [(1.0, self.alpha, -math.inf)]
        if self.looks is not None:
            looks = [(look.share, look.level, look.futile_below) for look in self.looks.looks]
        per_unit = len(self.pool.current) / len(self._units) if self._units else 1.0
        runs = int(min(max(_WORK / (n_units * per_unit * len(looks)), _FEWEST_RUNS), most))
        rng = np.random.default_rng(n_units)
        passes, futile = np.empty((runs, len(looks))), np.empty((runs, len(looks)))
        n_there = len(self._units) or len(self.pool.current)
        for run in range(runs):
            drawn = rng.integers(0, n_there, n_units)
            for place, (share, level, below) in enumerate(looks):
                part = drawn[: max(round(share * n_units), 1)]
                evidence = self._of_units(part)
                passes[run, place], futile[run, place] = self._reach_of(evidence, level, below)
        return _Reach(passes, futile)

    def _of_units(self, drawn: Ints) -> Evidence:
        if not self._units:
            return self._evidence(drawn, None)
        parts = [self._units[unit] for unit in drawn.tolist()]
        names = _names(len(parts))
        clusters = [name for name, part in zip(names, parts, strict=True) for _ in range(len(part))]
        return self._evidence(np.concatenate(parts), clusters)

    def _reach_of(self, evidence: Evidence, level: float, below: float) -> tuple[float, float]:
        """How far beyond the limit passes at `level`, and how far is given up below `below`."""
        kernel, truth, hopeless = evidence.kernel, self._truth, normal_probability(below)

        # Each bound is searched for: those of the other side are left out where the rule has one side only.
        def low(alpha: float) -> float:
            return kernel.lower(alpha) if alpha > 0 else -math.inf

        def high(alpha: float) -> float:
            return kernel.upper(alpha) if alpha > 0 else math.inf

        if self.rule.kind == "equivalent":
            passes = max(truth - low(level), high(level) - truth)
            futile = max(truth - high(hopeless), low(hopeless) - truth)
        elif self.rule.kind == "at_most":
            passes, futile = high(level) - truth, low(hopeless) - truth
        else:
            passes, futile = truth - low(level), truth - high(hopeless)
        return passes, futile


@dataclass(frozen=True, slots=True)
class _Analytic(Infinite):
    """The bounds that BCa tends to, of a figure with this error and acceleration."""

    value: float
    error: float
    acceleration: float

    def lower(self, alpha: float) -> float:
        """The lower bound at level 1 − alpha."""
        w = self.acceleration + normal_quantile(alpha)
        return float(self.value + self.error * w / (1 - self.acceleration * w) ** 2)

    def upper(self, alpha: float) -> float:
        """The upper bound at level 1 − alpha."""
        return self.lower(1 - alpha)


@lru_cache(maxsize=8)
def _names(n: int) -> list[str]:
    return [f"{number}" for number in range(n)]

"""`ScorePart`: metrics of the suite measured of responses, as figures of the interval and as columns to compare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evalharness.core.drifting import DriftFinding
from evalharness.core.production import ProductionResponse
from evalharness.metrics.interval import sample_values, summarize
from evalharness.stats.arrays import Bools, Floats, np
from evalharness.stats.bootstrap import bounded_jackknife_interval, cluster_totals, jackknife, jackknife_interval
from evalharness.stats.intervals import NO_INTERVAL, Interval, cluster_codes
from evalharness.suite.monitor_entry import RunReference

from .measurement import FigureRow
from .parts import Found, Responses, Setting
from .scored import Scored, level_of, scored_of, weights_of

__all__ = ["ScorePart", "weighted_figure"]


@dataclass(slots=True)
class _Kept:
    """What is kept of one figure: a row of statistics a scored response, and to what it belongs."""

    scored: Scored
    n: int = 0
    n_drawn: int = 0
    rows: list[Floats] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    clusters: list[str | None] = field(default_factory=list)
    levels: dict[str, list[str]] = field(default_factory=dict)


class ScorePart:
    """Scores the responses that are drawn; memory grows with those, not with all."""

    def __init__(self, setting: Setting) -> None:
        self._segments = setting.definition.monitor.segments
        self._beat = setting.beat
        self._kept = [_Kept(one) for one in scored_of(setting.definition)]
        self._only_values = setting.side == "reference"
        # Of a run, whose answers are few and have their references, all are scored; shares by segment hold there, too,
        # since both sides must be mixed alike.
        self._draws_all = self._only_values and isinstance(setting.definition.monitor.reference, RunReference)

    @property
    def input_digest(self) -> str:
        """Nothing is read beside the responses and their labels."""
        return ""

    def add(self, responses: Responses) -> Responses:
        """The responses with the scores of those that are drawn."""
        given = [dict(one.scores) for one in responses]
        for kept in self._kept:
            self._beat()
            self._score(kept, responses, given)
        return [replace(one, scores=scores) for one, scores in zip(responses, given, strict=True)]

    def _score(self, kept: _Kept, responses: Responses, given: list[dict[str, float]]) -> None:
        scored = kept.scored
        places, samples, answers = [], [], []
        for place, one in enumerate(responses):
            if not scored.shares.draws(one) and not (self._draws_all and scored.shares.alike):
                continue
            kept.n_drawn += 1
            found = scored.sample(one)
            if found is not None:
                places.append(place)
                samples.append(found[0])
                answers.append(found[1])
        kept.n += len(responses)
        if not places:
            return
        rows = np.asarray(scored.metric.sample_stats(samples, answers), dtype=np.float64)
        for place, value in zip(places, sample_values(scored.metric, rows).tolist(), strict=True):
            if not math.isnan(value):
                given[place][scored.column] = value
        if self._only_values:
            return
        drawn = [responses[place] for place in places]
        kept.rows.append(rows)
        kept.weights += weights_of(scored.shares, drawn)
        kept.clusters += [one.conversation for one in drawn]
        for name in self._segments:
            kept.levels.setdefault(name, []).extend(map(_level(name), drawn))

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """Each figure of the whole and of each segment, and the share of the responses that were scored."""
        return Found(figures=tuple(row for kept in self._kept for row in _figures(kept)))


def _level(name: str) -> Any:
    def level(response: ProductionResponse) -> str:
        return level_of(response.attributes.get(name)) or "missing"

    return level


def _figures(kept: _Kept) -> Iterator[FigureRow]:
    column = kept.scored.column
    width = len(kept.scored.metric.columns)
    rows = np.concatenate([np.zeros((0, width)), *kept.rows])
    yield FigureRow(column, "scored", len(rows) / kept.n if kept.n else math.nan, kept.n)
    everything = np.ones(len(rows), dtype=np.bool_)
    yield _figure(kept, rows, everything, "")
    for name, levels in kept.levels.items():
        found = np.array(levels)
        for level in sorted(set(levels)):
            yield _figure(kept, rows, found == level, f"{name}={level}")


def _figure(kept: _Kept, rows: Floats, mask: Bools, segment: str) -> FigureRow:
    chosen = rows[mask]
    column = kept.scored.column
    if not len(chosen):
        return FigureRow(column, "value", math.nan, 0, segment=segment)
    places = mask.nonzero()[0].tolist()
    clusters = [kept.clusters[place] for place in places]
    named = clusters if any(one is not None for one in clusters) else None
    metric = kept.scored.metric
    weights = np.array([kept.weights[place] for place in places])
    if np.ptp(weights) == 0:
        found = summarize(metric, chosen, clusters=named)
        return FigureRow(column, "value", found.value, len(chosen), found.low, found.high, segment)
    value, bounds = weighted_figure(metric, chosen, weights, named)
    return FigureRow(column, "value", value, len(chosen), bounds.low, bounds.high, segment)


def weighted_figure(
    metric: Any, rows: Floats, weights: Floats, clusters: Sequence[str | None] | None
) -> tuple[float, Interval]:
    """The figure of rows that stand for `weights` responses each, and its 95 % interval.

    The totals are Horvitz-Thompson's, Σ w·row, and so a mean is Hájek's, Σ w·x / Σ w. The interval is the jackknife's
    over the weighted rows, or over their sums by cluster: it holds the unequal weights and what they cost.
    Source: Särndal, Swensson and Wretman 1992, chapter 5.
    """
    units = rows * weights[:, None]
    codes = None if clusters is None else cluster_codes(clusters)
    if codes is not None:
        units = cluster_totals(units, codes)
    value = float(metric.finalize(units.sum(axis=0)))
    if len(units) < 2 or math.isnan(value):
        return value, NO_INTERVAL
    left_out = jackknife(units, metric.finalize)
    if np.ptp(left_out) == 0:
        # Where all agree, nothing varies, and weights have nothing to say of what might.
        found = summarize(metric, rows, clusters=clusters)
        return value, Interval(found.low, found.high)
    low, high = metric.bounds
    if math.isfinite(low) and math.isfinite(high):
        return value, bounded_jackknife_interval(value, left_out, metric.bounds)
    return value, jackknife_interval(value, left_out)

"""`ScorePart`: metrics of the suite measured of responses, as figures of the interval and as columns to compare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evalharness.core.drifting import DriftFinding
from evalharness.core.production import ProductionResponse
from evalharness.core.types import Response, Sample
from evalharness.metrics.interval import sample_values, summarize
from evalharness.stats.arrays import Bools, Floats, np
from evalharness.stats.bootstrap import bounded_jackknife_interval, cluster_totals, jackknife, jackknife_interval
from evalharness.stats.intervals import NO_INTERVAL, Interval, cluster_codes
from evalharness.suite.monitor_entry import RunReference

from .measurement import FigureRow
from .parts import Found, Responses, Setting
from .scored import Scored, level_of, scored_of, weights_of
from .verdicts import Judges

__all__ = ["ScorePart", "weighted_figure"]


@dataclass(slots=True)
class _Kept:
    """What is kept of one figure: a row of statistics a scored response, and to what it belongs."""

    scored: Scored
    n: int = 0
    n_drawn: int = 0
    n_asked: int = 0
    n_unjudged: int = 0
    reason: str = ""
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
        judged = [kept.scored for kept in self._kept if kept.scored.judging is not None]
        # What judges said of the answers of a run stands in its record.
        self._judges = Judges(setting, judged) if judged and not self._draws_all else None

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
        if scored.judging is not None and self._judges is None:
            return
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
        if scored.judging is not None:
            places, samples, answers = self._verdicts(kept, places, samples, answers)
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

    def _verdicts(
        self, kept: _Kept, places: list[int], samples: list[Sample], answers: list[Response]
    ) -> tuple[list[int], list[Sample], list[Response]]:
        """Those of the drawn responses on which judges have given a verdict, with it."""
        assert self._judges is not None
        judged = self._judges.judged(kept.scored, list(zip(samples, answers, strict=True)))
        found: list[tuple[int, Sample, Response]] = []
        for place, sample, answer in zip(places, samples, judged, strict=True):
            if answer is None:
                continue
            kept.n_asked += 1
            if reason := _why_unjudged(kept.scored, answer):
                kept.n_unjudged += 1
                kept.reason = kept.reason or reason
            else:
                found.append((place, sample, answer))
        return [one[0] for one in found], [one[1] for one in found], [one[2] for one in found]

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """Each figure of the whole and of each segment, and the share of the responses that were scored."""
        why_not = "" if self._judges is None else self._judges.why_not
        rows = [row for kept in self._kept for row in _figures(kept, why_not)]
        notes = [f"judges were not asked about all responses that were drawn: {why_not}"] if why_not else []
        notes += [
            f"{kept.scored.column}: {kept.n_unjudged:,} of {kept.n_asked:,} answers have no verdict: {kept.reason}"
            for kept in self._kept
            if kept.n_unjudged
        ]
        if self._judges is not None:
            rows += self._judges.rows()
        return Found(figures=tuple(rows), note="; ".join(notes))


def _level(name: str) -> Any:
    def level(response: ProductionResponse) -> str:
        return level_of(response.attributes.get(name)) or "missing"

    return level


def _why_unjudged(scored: Scored, answer: Response) -> str:
    """Why no verdict on `answer` can be read; "" where one can."""
    assert scored.judging is not None
    if not scored.judging.failed(answer):
        return ""
    said: Any = answer.meta["judged"]
    verdicts = said[scored.judging.figure]["verdicts"]
    return next((str(one["reason"]) for one in verdicts if one["reason"]), "no verdict was given")


def _figures(kept: _Kept, why_not: str) -> Iterator[FigureRow]:
    column = kept.scored.column
    width = len(kept.scored.metric.columns)
    rows = np.concatenate([np.zeros((0, width)), *kept.rows])
    yield FigureRow(column, "scored", len(rows) / kept.n if kept.n else math.nan, kept.n)
    if kept.scored.judging is not None:
        share = kept.n_unjudged / kept.n_asked if kept.n_asked else math.nan
        yield FigureRow(column, "unjudged", share, kept.n_asked)
        if why_not:
            # Those that came first were judged, and no others: weights cannot make up for that.
            yield FigureRow(column, "value", math.nan, 0)
            return
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

"""Compares two runs on some samples of a task: those that one of them was asked alone, or a part of both."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import NotComparableError
from ..metrics.group_figures import is_group_figure
from ..stats.multiple import holm
from ..suite.metric_specs import OPERATIONAL
from ..suite.names import covers, is_of
from .comparable import require_comparable
from .matching import Matcher
from .paired import drawn_changes, figure_of, paired_change
from .pairing import identity_of, paired_rows
from .rebuild import metric_of
from .rows import RowSource
from .significance import significance
from .subjects import FigurePair, Subject, pairs_of

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["SliceFigure", "compare_slice"]


@dataclass(frozen=True, slots=True)
class SliceFigure:
    """A figure of both runs on the samples of a slice; `loss` is by how much it is worse, with its interval.

    `adjusted_p` is the two-sided p-value after Holm's correction over the figures of the task.
    """

    task: str
    metric: str
    value: float
    baseline: float
    loss: float
    low: float
    high: float
    p_value: float
    adjusted_p: float
    n: int
    bounds: tuple[float, float]


def compare_slice(
    record: Record,
    baseline: Record,
    task: str,
    samples: Collection[str] | None,
    *,
    confidence: float = 0.95,
) -> tuple[SliceFigure, ...]:
    """The figures of `task` on `samples` (ids; None: all that both have), each against the baseline's.

    What must agree is as in other comparisons, but for the data as a whole: each sample that is paired holds the same
    in both runs.

    Raises:
        NotComparableError: prompt, settings, kind or a metric differ, or no sample is in both runs.
    """
    pairs = [pair for pair in pairs_of(Subject(record), Subject(baseline))[0] if _is_main(pair, task)]
    if not pairs:
        raise NotComparableError(f"{record.id} and {baseline.id} have no figure of {task} in common")
    ours, theirs, matcher = RowSource(record), RowSource(baseline), Matcher()
    wanted = None if samples is None else frozenset(samples)
    found = [_figure(pair, ours, theirs, matcher, wanted, confidence) for pair in pairs]
    if not any(one.n for one in found):
        raise NotComparableError(f"no sample of {task} is the same in {record.id} and in {baseline.id}")
    adjusted = holm([one.p_value for one in found])
    return tuple(replace(one, adjusted_p=float(p)) for one, p in zip(found, adjusted, strict=True))


def _is_main(pair: FigurePair, task: str) -> bool:
    one = pair.current
    is_asked = covers(task, one.task) or is_of(one.task, task)
    return is_asked and one.group is None and one.metric not in OPERATIONAL and not _is_of_groups(pair)


def _is_of_groups(pair: FigurePair) -> bool:
    return is_group_figure(pair.current.metric, pair.current.signature)


def _figure(
    pair: FigurePair,
    ours: RowSource,
    theirs: RowSource,
    matcher: Matcher,
    wanted: frozenset[str] | None,
    confidence: float,
) -> SliceFigure:
    current, baseline = pair
    identities = [
        {name: value for name, value in identity_of(source.record, figure).items() if name != "data"}
        for source, figure in ((ours, current), (theirs, baseline))
    ]
    require_comparable(current, baseline, *identities, run_id=ours.record.id, baseline_id=theirs.record.id)
    rows = paired_rows(ours, current, theirs, baseline, matcher=matcher)
    places = np.arange(len(rows.current))
    if wanted is not None:
        places = np.flatnonzero([name in wanted for name in rows.current_ids(places)])
    after, before = rows.current[places], rows.baseline[places]
    codes = None if rows.codes is None else np.unique(rows.codes[places], return_inverse=True)[1].astype(np.int64)
    metric, seed = metric_of(ours.record, current), ours.record.manifest.seed
    drawn = drawn_changes(after, before, metric, codes, seed)
    change = paired_change(after, before, metric, confidence=confidence, seed=seed, codes=codes, drawn=drawn)
    p = significance(metric, after, before, change, codes=codes, seed=seed, drawn=drawn).p_value
    return SliceFigure(
        current.task,
        current.metric,
        figure_of(metric, after),
        figure_of(metric, before),
        change.regression,
        change.low,
        change.high,
        p,
        math.nan,
        len(places),
        metric.bounds,
    )

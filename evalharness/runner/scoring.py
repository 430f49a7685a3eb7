"""From samples and responses to statistics, scores and figures: the same code for a run and for a re-scored record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evalharness.core.pickling import quick_to_pickle
from evalharness.core.protocols import Array, Metric
from evalharness.core.types import FAILED_STATES, MetricResult, Response, Sample, Status
from evalharness.metrics.states import state_of
from evalharness.stats.arrays import Bools, Ints, np

from .columns import Blocks, SampleBlock, SampleColumns

__all__ = ["Answered", "Figure", "FigureStats", "ScoredTask", "failed_verdict", "rows_of_task", "score_task"]

CountAs = Literal["failure", "wrong", "excluded"]

# How many answers are looked at together: enough that numpy pays, few enough that long texts do not fill the memory.
_CHUNK = 1024


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class Answered:
    """A response with the sample that it answers; a sample has one for each repeat."""

    sample: Sample
    response: Response
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric under the name that the suite gives it."""

    name: str
    metric: Metric
    fails: Callable[[Response], bool] | None = None
    """Whether a response that came cannot be scored all the same: its judges failed."""


@dataclass(frozen=True, slots=True, eq=False)
class FigureStats:
    """What a figure was computed from: which of the samples (n,) were scored, and the m rows of those, on the disk."""

    figure: Figure
    samples: SampleColumns
    kept: Bools
    rows: Blocks
    own: Blocks | None = None
    """The samples' own values, where they are not to be computed from their rows."""
    failed_here: Bools | None = None
    """(n,) samples of which this figure has a failure of its own: a judge's, where there is an answer."""

    @property
    def failed(self) -> Bools:
        """(n,) whether a sample has a response without a usable answer, or without a usable verdict on it."""
        failed: Bools = self.samples.failed if self.failed_here is None else self.samples.failed | self.failed_here
        return failed

    def __len__(self) -> int:
        return int(self.kept.sum())

    @property
    def stats(self) -> Array:
        """(m, k) the additive statistics of each sample."""
        rows: Array = self.rows.array()
        return rows

    @property
    def values(self) -> Array:
        """(m,) the figure of each sample by itself."""
        from evalharness.metrics.interval import sample_values

        values: Array = self.own.array() if self.own is not None else sample_values(self.figure.metric, self.stats)
        return values

    def blocks(self) -> Iterator[SampleBlock]:
        """The scored samples, in the order of the rows."""
        return self.samples.blocks(self.kept)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTask:
    """What scoring found: the states of the responses, the number of samples, each figure with its results."""

    states: Counter[Status] = field(default_factory=Counter)
    n_samples: int = 0
    figures: Sequence[tuple[FigureStats, list[MetricResult]]] = ()

    @property
    def n_failed(self) -> int:
        """How many responses have no usable answer."""
        return sum(self.states[state] for state in FAILED_STATES)


def score_task(
    task: str,
    model: str,
    answered: Iterable[Answered],
    figures: Sequence[Figure],
    *,
    count_as: CountAs,
    confidence: float,
    seed: int,
    groups: Sequence[str] = (),
) -> ScoredTask:
    """Each figure's statistics and its results: over all samples, then for each value of each group column.

    The repeats of a sample stand together in `answered`, which is gone through once. A sample's statistics are the
    mean over its repeats (or what a `RepeatsMetric` makes of them together), so that n counts samples and a repeat
    adds no evidence that it does not have. Failed
    responses are left out, or scored as an empty answer where `count_as` is "wrong" and the metric knows what an
    empty answer is worth.
    """
    states, samples, made = rows_of_task(answered, figures, count_as=count_as, groups=groups)
    results = [(stats, _results(task, model, stats, groups, confidence=confidence, seed=seed)) for stats in made]
    return ScoredTask(states, len(samples), results)


def rows_of_task(
    answered: Iterable[Answered], figures: Sequence[Figure], *, count_as: CountAs, groups: Sequence[str] = ()
) -> tuple[Counter[Status], SampleColumns, list[FigureStats]]:
    """What `score_task` computes its figures from: the states, the samples, and each figure's statistics."""
    from evalharness.metrics.text import forget_texts

    states: Counter[Status] = Counter()
    samples = SampleColumns(groups)
    rows = [Blocks(np.zeros((0, len(figure.metric.columns)))) for figure in figures]
    kept = [Blocks(np.zeros(0, dtype=bool)) for _ in figures]
    unjudged = [Blocks(np.zeros(0, dtype=bool)) for _ in figures]
    for chunk in _chunks(answered):
        states.update(state_of(item.response) for item in chunk)
        order: dict[str, int] = {}
        owner = np.array([order.setdefault(item.sample.id, len(order)) for item in chunk], dtype=np.intp)
        failed = np.zeros(len(order), dtype=bool)
        failed[owner[[item.response.status in FAILED_STATES for item in chunk]]] = True
        samples.append(list({item.sample.id: item.sample for item in chunk}.values()), failed.tolist())
        for figure, found, scored, without in zip(figures, rows, kept, unjudged, strict=True):
            lacking = _unjudged(figure, chunk)
            judged = chunk if not lacking.any() else [chunk[i] for i in (~lacking).nonzero()[0].tolist()]
            mask, block = _rows_of(figure.metric, judged, owner[~lacking], len(order), count_as=count_as)
            scored.append(mask)
            found.append(block)
            missing = np.zeros(len(order), dtype=bool)
            missing[owner[lacking]] = True
            without.append(missing)
        forget_texts()
    known: list[Bools] = []
    made = [
        FigureStats(
            figure,
            samples,
            _one_of(known, scored.array()),
            found,
            failed_here=None if figure.fails is None else without.array(),
        )
        for figure, found, scored, without in zip(figures, rows, kept, unjudged, strict=True)
    ]
    return states, samples, made


def _one_of(known: list[Bools], mask: Bools) -> Bools:
    """`mask`, or the equal one among `known`, which it joins: most figures of a task score the same samples."""
    for other in known:
        if np.array_equal(other, mask):
            return other
    known.append(mask)
    return mask


def _chunks(answered: Iterable[Answered]) -> Iterator[list[Answered]]:
    """The answers, many at a time; the repeats of a sample stay together."""
    chunk: list[Answered] = []
    for item in answered:
        if len(chunk) >= _CHUNK and item.sample.id != chunk[-1].sample.id:
            yield chunk
            chunk = []
        chunk.append(item)
    if chunk:
        yield chunk


def _rows_of(
    metric: Metric, chunk: Sequence[Answered], owner: Ints, n_samples: int, *, count_as: CountAs
) -> tuple[Bools, Array]:
    """Which of the samples are scored, and one row of statistics for each of those."""
    places: list[int] = []
    scored: list[tuple[Sample, Response]] = []
    for place, item in enumerate(chunk):
        if item.response.status not in FAILED_STATES or _counts_failures(metric):
            scored.append((item.sample, item.response))
        elif count_as == "wrong" and metric.scores_blank:
            scored.append((item.sample, Response(key=item.response.key, status=item.response.status, text="")))
        else:
            continue
        places.append(place)
    kept = np.zeros(n_samples, dtype=bool)
    if not scored:
        return kept, np.zeros((0, len(metric.columns)))
    owners, owner = np.unique(owner[places], return_inverse=True)
    kept[owners] = True
    if hasattr(metric, "repeat_stats"):
        return kept, _of_repeats(metric, scored, owner)
    rows = metric.sample_stats([sample for sample, _ in scored], [response for _, response in scored])
    if len(owners) < len(scored) and hasattr(metric, "merge_repeats"):
        rows = metric.merge_repeats(rows, owner)
    elif len(owners) < len(scored):
        sums = np.zeros((len(owners), rows.shape[1]))
        np.add.at(sums, owner, rows)
        rows = sums / np.bincount(owner)[:, None]
    return kept, rows


def _of_repeats(metric: Any, scored: Sequence[tuple[Sample, Response]], owner: Ints) -> Array:
    """The rows of a metric that sees all answers to a sample together; `owner` is the index of each one's sample."""
    samples: dict[int, Sample] = {}
    groups: dict[int, list[Response]] = {}
    for place, (sample, response) in zip(owner.tolist(), scored, strict=True):
        samples[place] = sample
        groups.setdefault(place, []).append(response)
    order = sorted(samples)
    rows: Array = metric.repeat_stats([samples[place] for place in order], [groups[place] for place in order])
    return rows


def _unjudged(figure: Figure, chunk: Sequence[Answered]) -> Bools:
    """Which of the answers that came the figure cannot score."""
    if figure.fails is None:
        return np.zeros(len(chunk), dtype=bool)
    return np.array([figure.fails(item.response) for item in chunk], dtype=bool)


def failed_verdict(response: Response) -> str | None:
    """Why the first verdict on `response` that is not usable is not, None where there is none."""
    judged: Any = response.meta.get("judged") or {}
    for figure, found in judged.items():
        for verdict in found["verdicts"] if found["value"] is None else ():
            if verdict["status"] != "ok":
                return f"{figure}, judged by {verdict['model']}: {verdict['reason']}"
    return None


def _counts_failures(metric: Metric) -> bool:
    """Whether the metric measures the states themselves (error rate …) and so must see the failed responses."""
    return bool(getattr(metric, "counts_states", False))


def _n_scored(metric: Metric, rows: Array) -> int:
    """How many samples (or pairs) the figure speaks of: those with something to measure, if it tells them."""
    if hasattr(metric, "n_measured"):
        return int(metric.n_measured(rows))
    tells = getattr(metric, "counts_measured", False) and tuple(metric.columns[:1]) == ("n",)
    return int(np.count_nonzero(rows[:, 0])) if tells else len(rows)


def _results(
    task: str, model: str, stats: FigureStats, columns: Sequence[str], *, confidence: float, seed: int
) -> list[MetricResult]:
    """The figure over all samples, then over those of each value of each group column."""
    from evalharness.metrics.base import with_originals
    from evalharness.metrics.interval import summarize

    metric = stats.figure.metric
    rows, failed = stats.stats, stats.failed
    clusters = stats.samples.clusters(stats.kept) if stats.samples.clustered else None

    def result(group: str | None, chosen: Array, mine: list[str | None] | None, n_failed: int) -> MetricResult:
        among = mine if mine is not None and any(cluster is not None for cluster in mine) else None
        summary = summarize(metric, chosen, clusters=among, confidence=confidence, seed=seed)
        return MetricResult(
            task=task,
            model=model,
            metric=stats.figure.name,
            value=summary.value,
            ci_low=summary.low,
            ci_high=summary.high,
            ci_method=summary.method,
            confidence=confidence,
            n=_n_scored(metric, chosen),
            n_failed=n_failed,
            higher_is_better=metric.higher_is_better,
            bounds=metric.bounds,
            signature=metric.signature,
            group=group,
            columns=tuple(metric.columns),
            totals=tuple(float(x) for x in chosen.sum(axis=0)),
        )

    found = [result(None, rows, clusters, int(failed.sum()))]
    # A disparity between groups has none for each group.
    for column in () if getattr(metric, "over_groups", False) else columns:
        for value, members in stats.samples.groups(column):
            mask = with_originals(members[stats.kept], metric.columns, rows)
            mine = None if clusters is None else [clusters[i] for i in mask.nonzero()[0].tolist()]
            found.append(result(f"{column}={value}", rows[mask], mine, int((members & failed).sum())))
    return found

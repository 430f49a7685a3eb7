"""Scores answered tasks and seals them into a record: the end that a run and a re-scoring share."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.canonical import digest
from evalharness.core.levels import LevelsOf, levels_in
from evalharness.core.memory import trim_memory
from evalharness.core.types import Json, Kind, MetricResult, Request
from evalharness.record import Record, RunManifest, SampleRow, ScoreTable, StatsTable, TaskSummary, seal
from evalharness.suite.groups import group_columns

from .build import figures_of
from .scoring import Answered, FigureStats, ScoredTask, score_task

if TYPE_CHECKING:
    from evalharness.suite.schema import Suite, Task

__all__ = ["AnsweredTask", "Provenance", "new_run_id", "score_and_seal", "utc_now"]

_PACKAGES = (
    "evalharness", "numpy", "scipy", "pandas", "sacrebleu", "rouge-score", "nltk", "torch", "transformers", "aiohttp",
    "lm-eval",
)  # fmt: skip
_BLOCKS_A_TABLE = 4


@dataclass(frozen=True, slots=True)
class AnsweredTask:
    """A task with a model's answers: `requests` and `answered` run in parallel, the repeats of a sample together.

    `done` are figures that are computed already. A group of tasks has no answers of its own, only such figures.
    """

    task: Task
    model: str
    kind: Kind
    identity: Mapping[str, str]
    labels: tuple[str, ...]
    requests: Sequence[Request]
    answered: Sequence[Answered]
    done: Sequence[tuple[FigureStats, list[MetricResult]]] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a record comes from, beside its answers."""

    run_id: str
    name: str
    created_utc: str
    models: Mapping[str, Mapping[str, Json]]
    datasets: Mapping[str, Mapping[str, Json]]
    execution: Mapping[str, Json]
    from_store: Callable[[str], bool] = lambda key: False
    """Whether the answer to a request was there already, by its key."""
    notes: tuple[str, ...] = ()
    parent: str | None = None
    suite_name: str = ""
    """What the run is filed under, where that is not the suite's name."""


def utc_now() -> str:
    """The time now in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_run_id(suite_name: str) -> str:
    """A run id that sorts by time and does not clash: `20260131T235959Z-quickstart-1a2b3c`."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{suite_name}-{secrets.token_hex(3)}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _sample_rows(tasks: Sequence[AnsweredTask], from_store: Callable[[str], bool]) -> Iterator[SampleRow]:
    for entry in tasks:
        for request, item in zip(entry.requests, entry.answered, strict=True):
            yield SampleRow(
                task=entry.task.id,
                model=entry.model,
                sample=item.sample,
                request=request,
                response=item.response,
                from_store=from_store(request.key),
            )


def _score_tables(scored: Sequence[tuple[AnsweredTask, FigureStats]]) -> Iterator[ScoreTable]:
    """Each sample's own value of each figure, many samples at a time."""
    pieces = _Pieces()
    for entry, stats in scored:
        values = stats.values
        for start, ids, digests, _ in pieces.of(stats):
            part = values[start : start + len(ids)]
            yield ScoreTable(entry.task.id, entry.model, stats.figure.name, ids, digests, part)


def _stats_tables(scored: Sequence[tuple[AnsweredTask, FigureStats]]) -> Iterator[StatsTable]:
    """The statistics of each figure, many samples at a time."""
    pieces = _Pieces()
    for entry, stats in scored:
        values = stats.stats
        for start, ids, digests, clusters in pieces.of(stats):
            part = values[start : start + len(ids)]
            yield StatsTable(entry.task.id, entry.model, stats.figure.name, ids, digests, clusters, part)


_Piece = tuple[int, list[str], list[str], list[str | None]]
"""Place of the first, ids, digests and clusters of some scored samples."""


class _Pieces:
    """The scored samples of one figure after another; where one piece is all, figures that score the same share it."""

    def __init__(self) -> None:
        self._known: tuple[FigureStats, _Piece] | None = None

    def of(self, stats: FigureStats) -> Iterator[_Piece]:
        """The samples that were scored, so many at a time that writing pays."""
        if self._known is not None:
            other, found = self._known
            if other.samples is stats.samples and other.kept is stats.kept:
                return iter((found,))
        pieces = _pieces(stats)
        first = next(pieces, None)
        if first is None:
            return pieces
        self._known = (stats, first) if len(first[1]) == len(stats) else None
        return chain((first,), pieces)


def _pieces(stats: FigureStats) -> Iterator[_Piece]:
    start, blocks = 0, stats.blocks()
    while some := list(islice(blocks, _BLOCKS_A_TABLE)):
        ids = [sample_id for block in some for sample_id in block.ids]
        yield (
            start,
            ids,
            [sample_digest for block in some for sample_digest in block.digests],
            [cluster for block in some for cluster in block.clusters],
        )
        start += len(ids)


def _summary(entry: AnsweredTask, made: ScoredTask) -> TaskSummary:
    return TaskSummary(
        id=entry.task.id,
        model=entry.model,
        kind=entry.kind,
        identity=dict(entry.identity),
        n_samples=made.n_samples or max((len(stats) for stats, _ in entry.done), default=0),
        n_requests=len(entry.requests),
        states=dict(sorted(made.states.items())),
        labels=entry.labels,
    )


def _complete(suite: Suite, tasks: Sequence[ScoredTask]) -> bool:
    """Whether no more samples lack a usable answer than the suite's `on_error` allows."""
    policy = suite.execution.on_error
    rate = 0.0 if policy.count_as == "failure" else policy.max_rate
    return all(made.n_failed <= rate * made.states.total() for made in tasks)


def score_and_seal(
    suite: Suite,
    tasks: Sequence[AnsweredTask],
    provenance: Provenance,
    *,
    runs: Path,
    base: Path = Path(),
    allow_code: bool = False,
    judgements: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
) -> Record:
    """Score every task, seal the record into `runs/<id>/` and return it.

    `base` is the folder that paths of metrics start from, `allow_code` whether those may run code; `judgements` are
    the digests of the judgings by task and model, and by figure.
    """
    results: list[MetricResult] = []
    scored: list[tuple[AnsweredTask, FigureStats]] = []
    done: list[ScoredTask] = []
    for entry in tasks:
        groups = group_columns(suite, entry.task)
        made = score_task(
            entry.task.id,
            entry.model,
            entry.answered,
            figures_of(
                entry.task,
                entry.kind,
                entry.labels,
                base=base,
                allow_code=allow_code,
                judgements=(judgements or {}).get((entry.task.id, entry.model)),
                groups=groups,
                levels=_levels(entry.answered),
            ),
            count_as=suite.execution.on_error.count_as,
            confidence=suite.confidence,
            seed=suite.seed,
            groups=groups,
        )
        done.append(made)
        for stats, figures in (*entry.done, *(made.figures if made.n_samples else ())):
            scored.append((entry, stats))
            results.extend(figures)
    trim_memory()  # what scoring has left behind: writing needs memory of other sizes
    resolved = suite.model_dump(mode="json", exclude_none=True)
    manifest = RunManifest(
        id=provenance.run_id,
        name=provenance.name,
        suite_name=provenance.suite_name or suite.name,
        suite_digest=digest(resolved),
        suite=resolved,
        created_utc=provenance.created_utc,
        finished_utc=utc_now(),
        evalharness_version=version("evalharness"),
        versions=_versions(),
        models=dict(provenance.models),
        datasets=dict(provenance.datasets),
        tasks=tuple(map(_summary, tasks, done)),
        results=tuple(results),
        execution=dict(provenance.execution),
        seed=suite.seed,
        confidence=suite.confidence,
        notes=provenance.notes,
        parent=provenance.parent,
        complete=_complete(suite, done),
    )
    return seal(
        runs / provenance.run_id,
        manifest,
        _sample_rows(tasks, provenance.from_store),
        _score_tables(scored),
        _stats_tables(scored),
    )


def _levels(answered: Sequence[Answered]) -> LevelsOf:
    # Without their answers, which may have to be read from the disk.
    samples = getattr(answered, "samples", None)
    return levels_in(samples if samples is not None else (item.sample for item in answered))

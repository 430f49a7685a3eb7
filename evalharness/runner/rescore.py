"""`score`: a record scored again with the metrics of another suite, asking no model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.core.errors import NotComparableError, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.spool import Spool
from evalharness.core.types import FAILED_STATES, MetricResult, Request
from evalharness.record import Record, TaskSummary, register
from evalharness.suite.judgings import judgings_of
from evalharness.suite.names import is_of, owner_of
from evalharness.suite.schema import LmEvalTask

from .answers import reader_of
from .columns import Blocks, SampleColumns
from .judged import Rejudged, judged_bodies, judgement_digests
from .refusals import unmarked
from .scoring import Answered, Figure, FigureStats
from .seal import AnsweredTask, Provenance, new_run_id, score_and_seal, utc_now
from .usage import nothing_spent

if TYPE_CHECKING:
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.schema import Suite, Task

    from .judgement import Judgement

__all__ = ["answered_again", "score"]

# What may differ between the recorded task and the new one: how answers are read and scored, not what was asked.
_FREE = frozenset({"metrics", "groups", "extract", "labels", "normalize", "model", "limit"})
# The same of what a probe says of the tasks that it makes.
_SAID_OF_IT = frozenset({"scoring", "findings", "question", "flagged", "least_n"})


def score(
    record: Record,
    suite: str | Path,
    *,
    overrides: Sequence[str] = (),
    reports: str | Path = "reports",
    name: str | None = None,
    registry_url: str | None = None,
    allow_code: bool = False,
) -> Record:
    """Score the answers of `record` with the metrics of the file `suite`; returns a new record, its `parent` the old.

    No model is asked and no dataset is read: samples come from the record. Tasks of the record that the suite does
    not name are left out. `allow_code` says whether metrics may run Python code.

    Raises:
        NotComparableError: the suite asks something else than the record has answers for; it names the field.
        UsageError: the suite is wrong, or names a task that the record does not have.
    """
    from evalharness.suite.check import check_references
    from evalharness.suite.expand import expand_probes
    from evalharness.suite.load import load_suite

    began, created_utc = time.monotonic(), utc_now()
    loaded, more = expand_probes(load_suite(suite, overrides=overrides))
    check_references(loaded, environ=None, secrets=False, more=more)  # lm-eval is not needed: its figures are kept
    manifest = record.manifest
    tasks, judgements = answered_again(record, loaded)
    execution: dict[str, Any] = {**manifest.execution, "n_asked": 0, "seconds": round(time.monotonic() - began, 3)}
    if "judging" in execution:
        execution["judging"] = {**execution["judging"], "n_asked": 0, "judgements": judged_bodies(judgements)}
    if "usage" in execution:
        execution["usage"] = nothing_spent(execution["usage"])
    scored = score_and_seal(
        loaded.suite,
        tasks,
        Provenance(
            run_id=new_run_id(loaded.suite.name),
            name=name or loaded.suite.name,
            created_utc=created_utc,
            models=manifest.models,
            datasets=manifest.datasets,
            execution=execution,
            from_store=lambda key: True,
            notes=(f"scored again from {manifest.id}; no model was asked",),
            parent=manifest.id,
        ),
        runs=Path(reports) / "runs",
        base=loaded.base,
        allow_code=allow_code,
        judgements=judgement_digests(judgements),
    )
    register(scored, registry_url, reports=Path(reports))
    return scored


def answered_again(
    record: Record, loaded: LoadedSuite
) -> tuple[list[AnsweredTask], dict[tuple[str, str], tuple[Judgement, ...]]]:
    """The recorded answers to the tasks of the suite, read as the suite says, and the judgings by task and model.

    Raises:
        NotComparableError: the suite asks something else than the record has answers for; it names the field.
        UsageError: the suite names a task or models that the record does not have.
    """
    tasks: list[AnsweredTask] = []
    judgements: dict[tuple[str, str], tuple[Judgement, ...]] = {}
    for task in loaded.suite.tasks:
        for entry in _entries(record, loaded.suite, task):
            judged = Rejudged()
            if any(judgings_of(task)):
                from .rejudge import rejudged

                judged = rejudged(record, loaded, task, entry)
            tasks.append(_recorded(record, loaded.suite, task, entry, judged))
            if judged.judgements:
                judgements[task.id, entry.model] = judged.judgements
    return tasks, judgements


def _entries(record: Record, suite: Suite, task: Task) -> list[TaskSummary]:
    """What the record has of the task, on the models that the suite names for it."""
    from evalharness.suite.plan import models_of

    recorded = [entry for entry in record.manifest.tasks if is_of(entry.id, task.id)]
    if not recorded:
        tasks: Any = record.manifest.suite["tasks"]
        own = {entry["id"] for entry in tasks}
        known = sorted({entry.id if entry.id in own else owner_of(entry.id) for entry in record.manifest.tasks})
        raise UsageError(
            f"the record {record.manifest.id} has no task {task.id!r}{suggestion(task.id, known)}; "
            f"it has: {', '.join(known)}"
        )
    wanted = models_of(task, suite)
    found = [entry for entry in recorded if entry.model in wanted]
    if not found:
        raise UsageError(
            f"the record {record.manifest.id} has answers to {task.id!r} of {_and(e.model for e in recorded)}, "
            f"not of {_and(wanted)}; name a model that it has"
        )
    return found


def _and(names: Iterable[str]) -> str:
    return " and ".join(map(repr, names))


def _recorded(record: Record, suite: Suite, task: Task, entry: TaskSummary, judged: Rejudged) -> AnsweredTask:
    _same_question(record, suite, task)
    if isinstance(task, LmEvalTask):
        return _kept(record, task, entry)
    read = reader_of(task, refusals=entry.kind == "generate" and suite.execution.detect_refusals)
    requests: Spool[Request] = Spool()
    answered: Spool[Answered] = Spool()
    targets = set()
    for row in record.iter_samples(task=task.id, model=entry.model):
        response = unmarked(row.response)
        if entry.kind not in ("classify", "study") and response.status not in FAILED_STATES:
            # The answer is read anew; what `extract` could not read before may be readable now.
            status = "ok" if response.status == "unparsed" else response.status
            response = replace(response, answer=None, status=status)
        requests.append(row.request)
        response = judged.of(row.sample, response, row.request.repeat)
        answered.append(Answered(row.sample, read(row.sample, response), row.request.repeat))
        targets |= {row.sample.target} - {None}
    return AnsweredTask(
        task=task,
        model=entry.model,
        kind=entry.kind,
        identity=entry.identity,
        labels=tuple(getattr(task, "labels", None) or entry.labels or sorted(targets)),
        requests=requests,
        answered=answered,
    )


def _kept(record: Record, task: LmEvalTask, entry: TaskSummary) -> AnsweredTask:
    """A task of lm-eval's with the figures that it has: nothing about how lm-eval scores it stands in a suite."""
    requests: Spool[Request] = Spool()
    answered: Spool[Answered] = Spool()
    for row in record.iter_samples(task=entry.id, model=entry.model):
        requests.append(row.request)
        answered.append(Answered(row.sample, row.response, row.request.repeat))
    return AnsweredTask(
        task=task.model_copy(update={"id": entry.id}),
        model=entry.model,
        kind=entry.kind,
        identity=entry.identity,
        labels=entry.labels,
        requests=requests,
        answered=answered,
        done=tuple(_figures(record, task, entry)),
    )


def _figures(record: Record, task: LmEvalTask, entry: TaskSummary) -> Iterator[tuple[FigureStats, list[MetricResult]]]:
    import numpy as np

    from evalharness.metrics.lm_eval import PREFIX, recorded_figure

    # A group's samples are those of its tasks.
    samples = {
        row.sample.id: row.sample
        for other in record.manifest.tasks
        if owner_of(other.id) == task.id and other.model == entry.model
        for row in record.iter_samples(task=other.id, model=other.model)
    }
    results: dict[str, list[MetricResult]] = {}
    for result in record.results:
        if (result.task, result.model) == (entry.id, entry.model) and result.signature.startswith(PREFIX):
            results.setdefault(result.metric, []).append(result)
    frame = record.scores(task=entry.id, model=entry.model)
    values = dict(zip(zip(frame["metric"], frame["sample_id"], strict=True), frame["value"], strict=True))
    for name, found in results.items():
        table = record.stats(entry.id, entry.model, name)
        own = np.array([values[name, sample_id] for sample_id in table.sample_ids], dtype=np.float64)
        columns = SampleColumns()
        columns.append([samples[sample_id] for sample_id in table.sample_ids], [False] * len(table))
        kept = np.ones(len(table), dtype=bool)
        figure = Figure(name, recorded_figure(found[0]))
        yield FigureStats(figure, columns, kept, Blocks(table.values), Blocks(own)), found


def _same_question(record: Record, suite: Suite, task: Task) -> None:
    """Raise where the new task would have asked something else than the recorded one."""
    tasks: Any = record.manifest.suite["tasks"]
    recorded = next((entry for entry in tasks if entry["id"] == task.id), None)
    if recorded is None:
        return
    new = _asked(task.model_dump(mode="json", exclude_none=True))
    recorded = _asked(recorded)
    for key in sorted((set(new) | set(recorded)) - _FREE):
        if new.get(key) != recorded.get(key):
            raise NotComparableError(
                f"task {task.id!r}: {key} is {new.get(key)!r} in the suite and {recorded.get(key)!r} in the record "
                f"{record.manifest.id}; a record can be scored again only with what was asked left as it was: "
                f"restore {key}, or run the suite"
            )


def _asked(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task's entry with that of its origin on the first level which says what is asked."""
    origin = task.get("origin") or {}
    asked = {f"origin.{key}": value for key, value in origin.items() if key not in _SAID_OF_IT}
    return {**{key: value for key, value in task.items() if key != "origin"}, **asked}

"""`score`: a record scored again with the metrics of another suite, asking no model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.core.errors import NotComparableError, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.types import FAILED_STATES
from evalharness.record import Record, RunRegistry, TaskSummary

from .answers import reader_for
from .scoring import Answered
from .seal import AnsweredTask, Provenance, new_run_id, score_and_seal, utc_now

if TYPE_CHECKING:
    from evalharness.suite.schema import Suite, Task

__all__ = ["score"]

# What may differ between the recorded task and the new one: how answers are read and scored, not what was asked.
_FREE = frozenset({"metrics", "groups", "extract", "labels", "normalize", "model", "limit"})


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
    from evalharness.suite.load import load_suite

    began, created_utc = time.monotonic(), utc_now()
    loaded = load_suite(suite, overrides=overrides)
    check_references(loaded, environ=None, secrets=False)
    manifest = record.manifest
    tasks = [
        _recorded(record, loaded.suite, task, entry)
        for task in loaded.suite.tasks
        for entry in _entries(record, loaded.suite, task)
    ]
    execution: dict[str, Any] = {**manifest.execution, "n_asked": 0, "seconds": round(time.monotonic() - began, 3)}
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
            from_store=frozenset(request.key for task in tasks for request in task.requests),
            notes=(f"scored again from {manifest.id}; no model was asked",),
            parent=manifest.id,
        ),
        runs=Path(reports) / "runs",
        base=loaded.base,
        allow_code=allow_code,
    )
    with RunRegistry.open(registry_url, reports=Path(reports)) as runs:
        runs.add(scored)
    return scored


def _entries(record: Record, suite: Suite, task: Task) -> list[TaskSummary]:
    """What the record has of the task, on the models that the suite names for it."""
    from evalharness.suite.plan import models_of

    known = sorted({entry.id for entry in record.manifest.tasks})
    if task.id not in known:
        raise UsageError(
            f"the record {record.manifest.id} has no task {task.id!r}{suggestion(task.id, known)}; "
            f"it has: {', '.join(known)}"
        )
    wanted = models_of(task, suite)
    recorded = [entry for entry in record.manifest.tasks if entry.id == task.id]
    found = [entry for entry in recorded if entry.model in wanted]
    if not found:
        raise UsageError(
            f"the record {record.manifest.id} has answers to {task.id!r} of {_and(e.model for e in recorded)}, "
            f"not of {_and(wanted)}; name a model that it has"
        )
    return found


def _and(names: Iterable[str]) -> str:
    return " and ".join(map(repr, names))


def _recorded(record: Record, suite: Suite, task: Task, entry: TaskSummary) -> AnsweredTask:
    _same_question(record, suite, task)
    read = reader_for(
        choices=bool(getattr(task, "choices", None)),
        normalize=getattr(task, "normalize", "none"),
        extract=getattr(task, "extract", None),
    )
    rows = list(record.iter_samples(task=task.id, model=entry.model))
    answered = []
    for row in rows:
        response = row.response
        if entry.kind != "classify" and response.status not in FAILED_STATES:
            # The answer is read anew; what `extract` could not read before may be readable now.
            status = "ok" if response.status == "unparsed" else response.status
            response = replace(response, answer=None, status=status)
        answered.append(Answered(row.sample, read(row.sample, response), row.request.repeat))
    targets = {row.sample.target for row in rows if row.sample.target is not None}
    return AnsweredTask(
        task=task,
        model=entry.model,
        kind=entry.kind,
        identity=entry.identity,
        labels=tuple(getattr(task, "labels", None) or entry.labels or sorted(targets)),
        requests=[row.request for row in rows],
        answered=answered,
    )


def _same_question(record: Record, suite: Suite, task: Task) -> None:
    """Raise where the new task would have asked something else than the recorded one."""
    tasks: Any = record.manifest.suite["tasks"]
    recorded = next((entry for entry in tasks if entry["id"] == task.id), None)
    if recorded is None:
        return
    new = task.model_dump(mode="json", exclude_none=True)
    for key in sorted((set(new) | set(recorded)) - _FREE):
        if new.get(key) != recorded.get(key):
            raise NotComparableError(
                f"task {task.id!r}: {key} is {new.get(key)!r} in the suite and {recorded.get(key)!r} in the record "
                f"{record.manifest.id}; a record can be scored again only with what was asked left as it was: "
                f"restore {key}, or run the suite"
            )

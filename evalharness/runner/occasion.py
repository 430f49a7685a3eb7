"""`Occasion`: what a run is made for where nobody typed a command, and the part of its suite that is run then.

Such a run has an id that follows from its occasion, so that it is found again and not made twice; it is filed under
`SUITE/PURPOSE`, so that `latest` and `SUITE@latest` stay the runs that people made; and it asks anew: it has a response
store of its own, which knows no answer from before, and from which it continues where it was cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evalharness.core.canonical import digest
from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion
from evalharness.core.spool import Picked
from evalharness.core.types import Json
from evalharness.suite.names import covers, is_of
from evalharness.suite.node import Entry, Node
from evalharness.suite.plan import models_of
from evalharness.suite.schema import ProbeTask, StudyTask, Suite, Task

if TYPE_CHECKING:
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.plan import Plan, PlannedTask

__all__ = ["Occasion", "asked_by", "of_model", "of_tasks", "while_wanted", "with_tasks"]

T = TypeVar("T")
_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why, and of what, a run is made.

    `tasks` are those that are asked (none: all), `model` the one that is asked in the place of each task's own,
    `samples` the ids of those that are asked (None: all). `beat` is called about once a second, and raises where the
    run is not wanted any more.
    """

    run_id: str
    purpose: str
    store: Path
    trigger: Mapping[str, Json]
    tasks: tuple[str, ...] = ()
    model: str | None = None
    samples: frozenset[str] | None = None
    beat: Callable[[], None] = field(default=lambda: None)

    def slice_of(self, plan: Plan) -> Plan:
        """The plan with the samples that are taken: a task so cut has an identity of its own, since its data differ."""
        if self.samples is None:
            return plan
        return replace(plan, tasks=tuple(self._cut(planned, self.samples) for planned in plan.tasks))

    @staticmethod
    def _cut(planned: PlannedTask, wanted: frozenset[str]) -> PlannedTask:
        places = [i for i, sample in enumerate(planned.samples) if sample.id in wanted]
        asked = [i for i, sample in enumerate(planned.request_samples) if sample.id in wanted]
        ids = [planned.samples[i].id for i in places]
        return replace(
            planned,
            samples=Picked(planned.samples, places),
            requests=Picked(planned.requests, asked),
            request_samples=Picked(planned.request_samples, asked),
            identity={**planned.identity, "data": digest([planned.identity["data"], ids])},
        )


def of_model(loaded: LoadedSuite, model: str | None) -> LoadedSuite:
    """The suite with `model` in the place of each task's own, and without gates, monitor and batches.

    Gates and monitor speak of all tasks and of other models; batches are answered elsewhere than what production asks.

    Raises:
        UsageError: it has no such model.
    """
    suite = loaded.suite
    if model is not None and model not in suite.models:
        near = suggestion(model, suite.models) or f"; there is: {', '.join(suite.models)}"
        raise UsageError(f"the suite {suite.name} has no model {model!r}{near}")
    tasks = tuple(_on(task, suite, model) for task in suite.tasks)
    execution = suite.execution.model_copy(update={"mode": "online", "stop_when_decided": None})
    changed = {**dict(suite), "tasks": tasks, "execution": execution, "gates": None, "monitor": None}
    entries = {name: entry for name, entry in loaded.root.mapping.items() if name not in ("gates", "monitor")}
    root = Node(entries, loaded.root.place)
    return replace(loaded, suite=Suite.model_construct(suite.model_fields_set, **changed), root=root)


def _on(task: Task, suite: Suite, model: str | None) -> Task:
    if model is not None:
        return task.model_copy(update={"model": model})
    if task.model is not None or isinstance(task, ProbeTask | StudyTask):
        return task
    # Which models a task has by default hangs on the other tasks, some of which may be left out.
    return task.model_copy(update={"model": models_of(task, suite)})


def of_tasks(loaded: LoadedSuite, names: Sequence[str]) -> LoadedSuite:
    """The suite, whose probes are expanded, with the tasks that `names` mean, and those that these are made of.

    Raises:
        UsageError: there is no such task.
    """
    if not names:
        return loaded
    ids = [task.id for task in loaded.suite.tasks]
    for name in names:
        if not any(asked_by(name, one) for one in ids):
            near = suggestion(name, ids) or f"; there is: {', '.join(ids)}"
            raise UsageError(f"the suite {loaded.suite.name} has no task {name!r}{near}")
    wanted = {one for one in ids if any(asked_by(name, one) for name in names)}
    wanted |= {
        one
        for task in loaded.suite.tasks
        if task.id in wanted and isinstance(task, StudyTask) and task.of
        for one in ids
        if covers(task.of, one)
    }
    return with_tasks(loaded, {i: task for i, task in enumerate(loaded.suite.tasks) if task.id in wanted})


def with_tasks(loaded: LoadedSuite, tasks: Mapping[int, Task]) -> LoadedSuite:
    """The suite with `tasks` alone, each in the place of the one that stands at its index, where faults are shown."""
    own = {**dict(loaded.suite), "tasks": tuple(tasks.values())}
    suite = Suite.model_construct(loaded.suite.model_fields_set, **own)
    written = loaded.root.get("tasks")
    assert written is not None  # a suite has tasks
    entries = dict(loaded.root.mapping)
    nodes = Node([written.items[i] for i in tasks], written.place)
    entries["tasks"] = Entry(entries["tasks"].key, nodes)
    return replace(loaded, suite=suite, root=Node(entries, loaded.root.place))


def asked_by(name: str, task: str) -> bool:
    """Whether `name` means `task`: itself, its variants, or what it is a member of."""
    return covers(name, task) or is_of(task, name)


async def while_wanted(work: Coroutine[Any, Any, T], beat: Callable[[], None]) -> T:
    """The result of `work`, which is cancelled when `beat` raises: that is raised then."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_TICK_S))[0]:
            beat()
    except BaseException:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
        raise
    return task.result()

"""What is wrong with what a monitor asks of production: no suite, or names that it does not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evalharness.core.errors import DataError, Problem, UsageError
from evalharness.core.registry import suggestion
from evalharness.suite.judgings import judges_of
from evalharness.suite.names import covers, is_of

from .frozen import frozen_file

if TYPE_CHECKING:
    from evalharness.suite.monitor_entry import Anchor

    from ..define import Definition

__all__ = ["canary_problems"]


def canary_problems(definition: Definition) -> Iterator[Problem]:
    """Problems of the keys `canary` and `on_drift`."""
    canary, on_drift = definition.monitor.canary, definition.monitor.on_drift
    for key, given in (("canary", canary), ("on_drift", on_drift)):
        if given is not None and definition.suite is None:
            yield definition.problem((key,), "it runs a suite, and the monitor names none; add suite: suite.yaml")
    if definition.suite is None:
        return
    if canary is not None:
        if canary.anchor is not None and not judges_of(definition.suite.suite):
            message = "no task of the suite has an llm_judge, whose verdicts could be frozen; leave it out"
            yield definition.problem(("canary", "anchor"), message)
        elif canary.anchor is not None:
            yield from _anchor(definition, canary.anchor, canary.tasks)
        yield from _model(definition, canary.model, "canary")
        for i, name in enumerate(canary.tasks):
            yield from _task(definition, name, "canary", "tasks", i)
    if on_drift is not None:
        yield from _model(definition, on_drift.model, "on_drift")
        yield from _task(definition, on_drift.run, "on_drift", "run")


def _anchor(definition: Definition, anchor: Anchor, tasks: Sequence[str]) -> Iterator[Problem]:
    assert definition.suite is not None  # `canary_problems` has looked
    keys = ("canary", "anchor", "path")
    if anchor.path is None:
        return
    if anchor.run is not None:
        yield definition.problem(keys, "outputs are frozen in a run or in a file, not in both; leave one of them out")
        return
    try:
        frozen_file(anchor.path, definition.suite.suite, tasks, base=definition.base)
    except DataError as error:
        yield from error.problems
    except UsageError as error:
        yield definition.problem(keys, str(error))


def _model(definition: Definition, name: str | None, *keys: str) -> Iterator[Problem]:
    assert definition.suite is not None  # `canary_problems` has looked
    models = definition.suite.suite.models
    if name is not None and name not in models:
        near = suggestion(name, models) or f"; there is: {', '.join(models)}"
        yield definition.problem((*keys, "model"), f"the suite has no model {name!r}{near}")


def _task(definition: Definition, name: str, *keys: str | int) -> Iterator[Problem]:
    assert definition.suite is not None  # `canary_problems` has looked
    ids = [task.id for task in definition.suite.suite.tasks]
    # Tasks that a probe makes (gender/original) are not there before it has made them.
    if not any(covers(name, one) or is_of(one, name) or is_of(name, one) for one in ids):
        near = suggestion(name, ids) or f"; there is: {', '.join(ids)}"
        yield definition.problem(keys, f"the suite has no task {name!r}{near}")

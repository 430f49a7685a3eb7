"""`load_definition`: from a suite with `monitor:`, or a file of its own, to what a monitor is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evalharness.core.canonical import digest
from evalharness.core.errors import Problem, SuiteError
from evalharness.suite.faults import problems_of
from evalharness.suite.fields import Strict
from evalharness.suite.judgings import JUDGE_METRIC, Judging, judgings_of
from evalharness.suite.load import load_suite
from evalharness.suite.merge import read_extended, without_nulls
from evalharness.suite.monitor_entry import Monitor, MonitorFile
from evalharness.suite.node import Entry, Node, plain
from evalharness.suite.settings import apply_settings
from evalharness.suite.variables import check_secrets, shown_path, substitute, unescaped

from .schedule import Schedule

if TYPE_CHECKING:
    from evalharness.suite.load import LoadedSuite

__all__ = ["Definition", "load_definition"]

# What decides the figures of an interval; schedules and alerts may change without any of them being another.
_MEASURING = frozenset({"source", "watch", "columns", "segments", "drift", "reference", "scores", "labels", "estimate"})


@dataclass(frozen=True)
class Definition:
    """A monitor: its entry, which has a name; where it is written; and the suite whose metrics it uses, if any."""

    monitor: Monitor
    path: Path
    root: Node
    suite: LoadedSuite | None = None

    @property
    def name(self) -> str:
        """The monitor's name."""
        return self.monitor.name or ""

    def problem(self, keys: Sequence[str | int], message: str) -> Problem:
        """What is wrong with the value under `keys`, with the place where it is written."""
        node = self.root
        for key in keys:
            node = node.get(key) or node
        return Problem(node.place, shown_path(tuple(keys)), message)

    @property
    def base(self) -> Path:
        """The folder from which its paths start."""
        return self.path.parent

    @cached_property
    def schedule(self) -> Schedule:
        """When its intervals are."""
        return Schedule.of(self.monitor)

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The definition as JSON; secrets are placeholders."""
        return self.monitor.model_dump(mode="json", exclude_none=True)

    @cached_property
    def digest(self) -> str:
        """A hash of what decides the figures of an interval."""
        measuring = {key: value for key, value in self.resolved.items() if key in _MEASURING}
        return digest(measuring | ({"tasks": tasks} if (tasks := self._scored_tasks()) else {}))

    def _scored_tasks(self) -> dict[str, Any]:
        """What the suite says of the tasks whose metrics are measured: another option of a metric is another figure."""
        named = {one.metric.partition(".")[0] for one in self.monitor.scores if isinstance(one.metric, str)}
        if self.suite is None:
            return {}
        suite = self.suite.suite
        tasks = [task for task in suite.tasks if task.id in named]
        judgings = [judging for task in tasks for judging in judgings_of(task)]
        specs = [one.metric for one in self.monitor.scores if not isinstance(one.metric, str)]
        judgings += [Judging(0, spec[JUDGE_METRIC]) for spec in specs if JUDGE_METRIC in spec]
        judges = {name for judging in judgings for name in judging.judges} & set(suite.models)
        found = {task.id: task.model_dump(mode="json", exclude_none=True) for task in tasks}
        asked = {f"judge {name}": suite.models[name].model_dump(mode="json") for name in sorted(judges)}
        return found | asked


class _Wrapped(Strict):
    monitor: MonitorFile


def load_definition(path: str | Path, *, overrides: Sequence[str] = ()) -> Definition:
    """The monitor in the file `path`: a suite that has `monitor:`, or a monitor's own.

    Raises:
        SuiteError: it cannot be read, or is no monitor; all problems at once.
    """
    path = Path(path)
    root, problems, _ = read_extended(path)
    if root is None:
        raise SuiteError(problems)
    if {"models", "tasks", "monitor"} & set(root.mapping):
        return _of_suite(path, overrides)
    before, found = apply_settings(root, overrides)
    problems += found
    before, found = substitute(before)
    problems += found
    before = _under_monitor(before)
    root = without_nulls(before)
    # The same checks as in a suite, in which these keys stand under `monitor`.
    problems += check_secrets(root)
    root = unescaped(root)
    try:
        entry = _Wrapped.model_validate_json(json.dumps(plain(root)), strict=True).monitor
    except ValidationError as error:
        known = {problem.place for problem in problems}
        problems += [one for one in problems_of(error, root, before) if one.place not in known]
        raise SuiteError(map(_own, problems)) from None
    suite = None
    if entry.name is None:
        problems.append(Problem(root.place, "monitor.name", "is missing; add it, such as name: support-bot"))
    if entry.suite is not None:
        if not (path.parent / entry.suite).is_file():
            place = root.mapping["monitor"].node.mapping["suite"].node.place
            problems.append(Problem(place, "monitor.suite", f"there is no file {entry.suite!r} beside {path.name}"))
        else:
            suite = load_suite(path.parent / entry.suite)
    if problems:
        raise SuiteError(map(_own, problems))
    return Definition(entry, path, root.mapping["monitor"].node, suite)


def _of_suite(path: Path, overrides: Sequence[str]) -> Definition:
    loaded = load_suite(path, overrides=overrides)
    monitor = loaded.suite.monitor
    if monitor is None:
        message = "the suite has no `monitor`; add it, or write it into a file of its own: see docs/monitoring.md"
        raise SuiteError([Problem(loaded.root.place, "monitor", message)])
    if monitor.name is None:
        monitor = monitor.model_copy(update={"name": loaded.suite.name})
    return Definition(monitor, path, loaded.root.mapping["monitor"].node, loaded)


def _under_monitor(root: Node) -> Node:
    return Node({"monitor": Entry(root.place, root)}, root.place)


def _own(problem: Problem) -> Problem:
    """The problem with the path that the key has in the monitor's own file."""
    path = problem.path.removeprefix("monitor").removeprefix(".")
    return Problem(problem.place, path or "monitor", problem.message)

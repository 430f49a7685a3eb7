"""Do the rules of a suite name figures that there are, and can they be decided?"""

from __future__ import annotations

from collections.abc import Iterator, Set

from evalharness.core.errors import Problem, UsageError
from evalharness.core.levels import disparity_names
from evalharness.core.registry import suggestion

from .explained import base_of
from .groups import group_columns
from .kinds import kind_of
from .load import LoadedSuite
from .metric_specs import OPERATIONAL, build_metric, figure_names
from .names import covers, meant_by
from .plan import models_of
from .schema import BaselineModel, DataTask, LmEvalTask, ProbeTask, Rule, StudyTask, Task
from .variables import Key, shown_path

__all__ = ["rule_problems"]

# The conditions of a rule that compare with a baseline.
_PAIRED_CONDITIONS = ("max_regression", "non_inferior", "superior", "equivalent", "max_relative_drop")


def rule_problems(loaded: LoadedSuite, unclear: Set[str]) -> Iterator[Problem]:
    """What is wrong with the rules of the gates; of the tasks `unclear` it is not known which figures they have."""
    checker = _Rules(loaded, unclear)
    yield from checker.gates()
    yield from checker.unpaired()


class _Rules:
    def __init__(self, loaded: LoadedSuite, unclear: Set[str]) -> None:
        self.loaded = loaded
        self.suite = loaded.suite
        self.unclear = unclear

    def problem(self, path: Key, message: str) -> Problem:
        return Problem(self.loaded.place_of(path), shown_path(path), message)

    def _tasks(self, name: str) -> list[Task]:
        """The tasks that a rule about `name` means."""
        meant = meant_by(name, [task.id for task in self.suite.tasks])
        return [task for task in self.suite.tasks if task.id in meant]

    def gates(self) -> Iterator[Problem]:
        gates = self.suite.gates
        for index, rule in enumerate(gates.rules if gates is not None else ()):
            base: Key = ("gates", "rules", index)
            if rule.is_paired and gates is not None:
                yield from self._compared(base, rule, gates.baseline)
            yield from self._rule(base, rule)

    def _compared(self, base: Key, rule: Rule, baseline: str | BaselineModel | None) -> Iterator[Problem]:
        """A rule that compares needs a baseline; a model of the same suite must run on the rule's task."""
        if baseline is None:
            message = (
                "needs gates.baseline: a promoted run such as my-suite@production, a run id, a folder, or "
                "{model: NAME} for another model of this suite"
            )
            yield self.problem((*base, rule.kind), message)
        if not isinstance(baseline, BaselineModel):
            return
        name = rule.metric.rpartition(".")[0]
        used = {model for task in self._tasks(name) for model in models_of(task, self.suite)}
        of_baseline = {model for model in used if covers(baseline.model, model)}
        if used and not of_baseline:
            message = (
                f"the task {name!r} does not run on {baseline.model!r}, which gates.baseline names; it runs on: "
                f"{', '.join(sorted(used))}; add it to the task's `model`"
            )
            yield self.problem((*base, "metric"), message)
        elif used and of_baseline == used:
            message = f"the task {name!r} runs on the baseline {baseline.model!r} alone; add the model to be released"
            yield self.problem((*base, "metric"), message)

    def _rule(self, base: Key, rule: Rule) -> Iterator[Problem]:
        name, _, figure = rule.metric.rpartition(".")
        tasks = self._tasks(name)
        if not tasks:
            return
        first = tasks[0]
        if not isinstance(first, LmEvalTask | ProbeTask) and not covers(name, first.id):
            yield self.problem((*base, "metric"), f"there is no task {name!r}: {first.id!r} has no parts")
            return
        figures = _figures(first)
        if figure not in figures and not isinstance(first, LmEvalTask | ProbeTask):
            figures += _operational(first)
            figures += disparity_names(_figures(first), group_columns(self.suite, first)) if "@" in figure else []
        if figure not in figures and first.id not in self.unclear:
            near = suggestion(figure, figures) or f"; it has: {', '.join(figures)}"
            yield self.problem((*base, "metric"), f"the task {name!r} has no figure {figure!r}{near}")
        if rule.model is not None and rule.model in {m.partition("@")[0] for m in self.suite.models} | set(
            self.suite.models
        ):
            used = {model for task in tasks for model in models_of(task, self.suite)}
            if not any(covers(rule.model, model) for model in used):
                message = (
                    f"the task {name!r} does not run on the model {rule.model!r}; it runs on: {', '.join(sorted(used))}"
                )
                yield self.problem((*base, "model"), message)
        if rule.group is not None:
            column = rule.group.partition("=")[0]
            of = base_of(first, self.suite) if isinstance(first, StudyTask) else first
            dataset = None
            if of is not None and not isinstance(of, LmEvalTask | ProbeTask):
                dataset = self.suite.datasets.get(of.dataset)
            own = None if of is None else of.groups
            columns = own if own is not None else dataset.groups if dataset is not None else None
            if columns is not None and column not in columns:
                near = suggestion(column, columns) or f"; it has: {', '.join(columns) or 'none'}"
                yield self.problem((*base, "group"), f"the task {name!r} has no group column {column!r}{near}")

    def unpaired(self) -> Iterator[Problem]:
        """Rules that compare with a baseline what cannot be computed from two records."""
        gates = self.suite.gates
        for index, rule in enumerate(gates.rules if gates is not None else ()):
            name, _, figure = rule.metric.rpartition(".")
            found = next((condition for condition in _PAIRED_CONDITIONS if getattr(rule, condition, None)), None)
            if found is None:
                continue
            tasks = [task for task in self._tasks(name) if task.id not in self.unclear]
            specs = [spec for task in tasks for spec in task.metrics if figure in figure_names(spec)]
            if any(not getattr(build_metric(spec)[1], "paired", True) for spec in specs):
                message = (
                    f"the figure {figure!r} is one of all answers together and cannot be compared with a baseline "
                    "sample by sample; use at_least or at_most"
                )
                yield self.problem(("gates", "rules", index, found), message)


def _figures(task: Task) -> list[str]:
    names = []
    for spec in task.metrics:
        try:
            names.extend(figure_names(spec))
        except UsageError:
            continue  # reported where the metric stands
    return names


def _operational(task: DataTask | StudyTask) -> list[str]:
    """The figures that every task of this kind has."""
    kind = kind_of(task)
    return [name for name in OPERATIONAL if kind in build_metric(name)[1].kinds]

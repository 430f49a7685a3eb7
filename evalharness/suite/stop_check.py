"""What of a suite does not go with `execution.stop_when_decided`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from evalharness.core.errors import Problem, UsageError

from .judgings import judgings_of
from .load import LoadedSuite
from .metric_specs import figure_names
from .names import meant_by
from .schema import Gates, LmEvalTask, Rule, Suite
from .variables import Key, shown_path

__all__ = ["stop_problems"]

_KEY: Key = ("execution", "stop_when_decided")


def stop_problems(loaded: LoadedSuite) -> Iterator[Problem]:
    """Rules that cannot be decided while the run goes on, and tasks that cannot be asked part by part, with place."""
    suite = loaded.suite
    if suite.execution.stop_when_decided is None:
        return
    gates = suite.gates
    if gates is None or not any(rule.tier == "block" for rule in gates.rules):
        yield _problem(
            loaded,
            _KEY,
            "stop_when_decided needs a rule to decide: give the suite gates with a rule of tier block, or remove it",
        )
        return
    if not any(_is_looked_at(rule, gates) for rule in gates.rules):
        yield _problem(
            loaded,
            ("gates", "decide_on"),
            "stop_when_decided needs decide_on: interval, since a figure without its uncertainty would be decided by "
            "the first samples; set gates.decide_on: interval",
        )
    for index, task in enumerate(suite.tasks):
        if isinstance(task, LmEvalTask):
            yield _problem(
                loaded,
                ("tasks", index, "lm_eval"),
                "stop_when_decided cannot part the documents of an lm-eval task, whose figures are computed from all "
                "of them; leave the task to a suite of its own, or remove stop_when_decided",
            )
    for index, rule in enumerate(gates.rules):
        name, _, metric = rule.metric.rpartition(".")
        if _is_looked_at(rule, gates) and metric in _judged(suite, name):
            yield _problem(
                loaded,
                ("gates", "rules", index, "metric"),
                f"stop_when_decided cannot wait for {rule.metric}: judges are asked once the answers are there; give "
                "the rule the tier warn, or remove stop_when_decided",
            )


def _is_looked_at(rule: Rule, gates: Gates) -> bool:
    """Whether the looks decide it: a rule on the point is a fact of whatever was asked, and waits for the end."""
    return rule.tier == "block" and (rule.decide_on or gates.decide_on) == "interval"


def _judged(suite: Suite, name: str) -> set[str]:
    """The figures that judges give of the tasks that `name` covers."""
    meant = meant_by(name, [task.id for task in suite.tasks])
    tasks = [task for task in suite.tasks if task.id in meant]
    found: set[str] = set()
    for spec in (task.metrics[judging.position] for task in tasks for judging in judgings_of(task)):
        with contextlib.suppress(UsageError):  # told, with its place, where the metrics are checked
            found.update(figure_names(spec))
    return found


def _problem(loaded: LoadedSuite, path: Key, message: str) -> Problem:
    return Problem(loaded.place_of(path), shown_path(path), message)

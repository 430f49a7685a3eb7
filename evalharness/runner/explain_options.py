"""What is wrong with the options that tasks with `explain` give their methods."""

from __future__ import annotations

from collections.abc import Iterator

from evalharness.core.errors import Problem, UsageError
from evalharness.core.registry import suggestion
from evalharness.suite.load import LoadedSuite
from evalharness.suite.schema import ExplainTask
from evalharness.suite.variables import shown_path

__all__ = ["option_problems"]

_OF_THE_TASK = ("max_evals", "seed")
"""Options of methods that stand beside `options`, in the task itself."""


def option_problems(loaded: LoadedSuite) -> Iterator[Problem]:
    """Options that a method does not have, or values that it does not take, with their places."""
    for index, task in enumerate(loaded.suite.tasks):
        if not isinstance(task, ExplainTask) or not task.options:
            continue
        faults = list(_faults(task))
        for name, message in faults:
            path = ("tasks", index, "options", name)
            yield Problem(loaded.place_of(path), shown_path(path), message)
        if faults:
            continue
        from evalharness.explain.methods import make_method

        try:
            make_method(task.explain, task.options)
        except UsageError as error:  # options that do not go together
            whole = ("tasks", index, "options")
            yield Problem(loaded.place_of(whole), shown_path(whole), str(error))


def _faults(task: ExplainTask) -> Iterator[tuple[str, str]]:
    """(option, message) of each option that is wrong by itself."""
    from evalharness.explain.methods import make_method, option_names

    known = [name for name in option_names(task.explain) if name not in _OF_THE_TASK]
    for name, value in task.options.items():
        if name in _OF_THE_TASK:
            yield name, f"{name} is a key of the task itself: write it beside `options`"
        elif name not in known:
            near = suggestion(name, known) or (f"; it takes {', '.join(known)}" if known else "; it takes none")
            yield name, f"{task.explain} has no option {name!r}{near}"
        elif value is None:
            yield name, f"{task.explain}: {name} has no value; give one, or leave it out"
        else:
            try:
                make_method(task.explain, {name: value})
            except UsageError as error:
                yield name, str(error)

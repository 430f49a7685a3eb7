"""`load_suite`: from a file to a `Suite`, with the place of every value.

In this order: YAML, `extends`, `--set`, `vars`, paths of extended files, `matrix`, schema. All that is wrong is
reported at once: where the shape of a suite is wrong, so are the names that lead nowhere in what could be understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.errors import Place, Problem, SuiteError

from .faults import check_shape, salvaged
from .matrix import expand
from .merge import anchored, read_extended, without_nulls
from .names import check_own_names
from .node import Node
from .schema import Suite
from .settings import apply_settings
from .variables import check_secrets, substitute, unescaped

if TYPE_CHECKING:
    from .probe_rows import OwnRows, Rewriting

__all__ = ["LoadedSuite", "as_written", "load_suite"]

_TASK = re.compile(r"tasks\[(\d+)\]")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A suite with the file it came from.

    `root` is the document that became the suite, `before` the same before `matrix` was expanded. `made` are the rows
    of the tasks that probes made, by the names of their datasets; `expand_probes` makes them.
    """

    suite: Suite
    path: Path
    root: Node
    before: Node
    made: Mapping[str, OwnRows | Rewriting] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        """The suite's folder."""
        return self.path.parent

    def place_of(self, path: str | Sequence[str | int], *, key: bool = False) -> Place:
        """Where the value at `path` ("tasks[0].metrics[1]") stands, or the nearest thing above it that is written.

        With `key`, where its key stands.
        """
        steps = [int(i) if i else name for i, name in _STEP.findall(path)] if isinstance(path, str) else path
        node, place = self.root, self.root.place
        for step in steps:
            child = node.get(step)
            if child is None:
                break
            place = node.mapping[str(step)].key if key and isinstance(step, str) else child.place
            node = child
        return place


def load_suite(path: str | Path, *, overrides: Sequence[str] = ()) -> LoadedSuite:
    """The suite in the file `path`, with each `key.path=value` of `overrides` set.

    Raises:
        SuiteError: the file cannot be read, is not strict YAML, or has not the shape of a suite; all problems at
            once. `check_references` looks at what a well-shaped suite refers to.
    """
    path = Path(path)
    root, problems, files = read_extended(path)
    if root is None:
        raise SuiteError(problems)
    before, found = apply_settings(root, overrides)
    problems += found
    before, found = substitute(before)
    problems += found
    before = anchored(before, files, path.parent)
    root = without_nulls(before)
    problems += check_own_names(root)
    root, found = expand(root)
    problems += found
    problems += check_secrets(root)
    root = unescaped(root)
    suite, found = check_shape(root, before)
    # What YAML could not tell is not also of the wrong type.
    known = {problem.place for problem in problems}
    problems += [problem for problem in found if problem.place not in known]
    if suite is None or problems:
        raise SuiteError(as_written([*problems, *_references(path, root, before)], root, before))
    return LoadedSuite(suite=suite, path=path, root=root, before=before)


def _references(path: Path, root: Node, before: Node) -> list[Problem]:
    """What else is wrong with a broken suite: the references of its well-shaped parts."""
    from .check import check_parts

    parts, indexes = salvaged(root)
    return check_parts(LoadedSuite(suite=parts, path=path, root=root, before=before), indexes)


def as_written(problems: Iterable[Problem], root: Node, before: Node) -> list[Problem]:
    """Each problem once, numbered as the tasks are in the file: variants share their faults."""
    written = [task.place for task in before.get("tasks").items] if before.get("tasks") else []  # type: ignore[union-attr]
    expanded = root.get("tasks")
    index = [written.index(task.place) for task in expanded.items] if expanded is not None else []
    found: dict[tuple[Place, str], Problem] = {}
    for problem in problems:
        match = _TASK.match(problem.path)
        path = problem.path
        if match and int(match[1]) < len(index):
            path = f"tasks[{index[int(match[1])]}]{path[match.end() :]}"
        found.setdefault((problem.place, problem.message), Problem(problem.place, path, problem.message))
    return list(found.values())

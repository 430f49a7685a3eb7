"""Do the names of a suite lead somewhere? Looked up in the document, so that it works on a suite with other faults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evalharness.core.errors import Problem
from evalharness.core.registry import suggestion

from .node import Node
from .schema import PLAIN_NAME
from .variables import Key, shown_path

__all__ = ["check_names", "check_own_names", "covers", "is_of", "meant_by", "member_id", "owner_of"]

_PLAIN = re.compile(PLAIN_NAME + r"\Z")


def covers(asked: str, name: str) -> bool:
    """Whether `asked` means `name`: itself, or the base of a variant that `matrix` made."""
    return name == asked or name.startswith(f"{asked}@")


def member_id(task_id: str, member: str) -> str:
    """The id of a task within a group: `mmlu@num_fewshot=5` has `mmlu/anatomy@num_fewshot=5`."""
    base, at, variant = task_id.partition("@")
    return f"{base}/{member}{at}{variant}"


def owner_of(name: str) -> str:
    """The id of the suite's task that the figures of `name` belong to."""
    base, at, variant = name.partition("@")
    return f"{base.partition('/')[0]}{at}{variant}"


def is_of(entry_id: str, task_id: str) -> bool:
    """Whether the recorded task `entry_id` is the suite's `task_id`, or a member of it."""
    return entry_id == task_id or owner_of(entry_id) == task_id


def meant_by(name: str, ids: Iterable[str]) -> list[str]:
    """Those of the suite's tasks `ids` that `name` in a rule means: itself, its variants, or what it is a member of."""
    ids = list(ids)
    return [one for one in ids if covers(name, one)] or [one for one in ids if covers(owner_of(name), one)]


def check_own_names(root: Node) -> list[Problem]:
    """Names that a user may not give: @ is for the variants that `matrix` makes."""
    problems = []
    models = root.get("models")
    for name, entry in models.mapping.items() if models is not None else ():
        if "@" in name and not _PLAIN.match(name):
            problems.append(Problem(entry.key, f"models.{name}", _message(name)))
    for index, task in enumerate(_items(root, "tasks")):
        found = task.get("id")
        if found is not None and isinstance(found.value, str) and "@" in found.value:
            problems.append(Problem(found.place, f"tasks[{index}].id", _message(found.value)))
    return problems


def _message(name: str) -> str:
    return f"{name[:60]!r}: a name has letters, digits, _ and -; names with @ are those that matrix makes"


def _items(root: Node, key: str) -> list[Node]:
    found = root.get(key)
    return found.items if found is not None else []


def check_names(document: Any, root: Node) -> list[Problem]:
    """Tasks that name datasets and models that are not there, ids given twice, rules about unknown tasks."""
    if not isinstance(document, Mapping):
        return []
    models, datasets = _keys(document.get("models")), _keys(document.get("datasets"))
    tasks = _list(document.get("tasks"))
    problems: list[Problem] = []

    def check(name: Any, known: Iterable[str], what: str, path: Key, *, variants: bool = False) -> None:
        known = list(known)
        if not isinstance(name, str) or not known or name in known:
            return
        if variants and any(covers(name, other) for other in known):
            return
        near = suggestion(name[:60], known) or f"; there is: {_listed(known)}"
        place = _place(root, path)
        problems.append(Problem(place, shown_path(path), f"there is no {what} {name[:60]!r}{near}"))

    for index, task in enumerate(tasks):
        if not isinstance(task, Mapping):
            continue
        check(task.get("dataset"), datasets, "dataset", ("tasks", index, "dataset"))
        few_shot = task.get("few_shot")
        if isinstance(few_shot, Mapping):
            check(few_shot.get("dataset"), datasets, "dataset", ("tasks", index, "few_shot", "dataset"))
        model = task.get("model")
        for position, name in enumerate(_list(model)):
            check(name, models, "model", ("tasks", index, "model", position))
        if isinstance(model, str):
            check(model, models, "model", ("tasks", index, "model"))
        others = [name for name in _ids(tasks) if name != task.get("id")]
        check(task.get("of"), others, "task", ("tasks", index, "of"), variants=True)
    problems += _repeated([task.get("id") if isinstance(task, Mapping) else None for task in tasks], root)
    known_ids = _ids(tasks)
    gates = document.get("gates")
    baseline = gates.get("baseline") if isinstance(gates, Mapping) else None
    if isinstance(baseline, Mapping):
        check(baseline.get("model"), models, "model", ("gates", "baseline", "model"), variants=True)
    for index, rule in enumerate(_list(gates.get("rules")) if isinstance(gates, Mapping) else []):
        if not isinstance(rule, Mapping):
            continue
        check(rule.get("model"), models, "model", ("gates", "rules", index, "model"), variants=True)
        metric = rule.get("metric")
        if isinstance(metric, str) and "." in metric:
            # A task within an lm-eval group is checked with that group; a part of a probe is a task of the suite.
            name = metric.rpartition(".")[0]
            parts = any(known.startswith(f"{name.partition('/')[0]}/") for known in known_ids)
            if not meant_by(name, known_ids):
                asked = name if parts else owner_of(name)
                check(asked, known_ids, "task", ("gates", "rules", index, "metric"), variants=True)
    return problems


def _repeated(ids: list[Any], root: Node) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, name in enumerate(ids):
        if not isinstance(name, str):
            continue
        if name in first:
            path: Key = ("tasks", index, "id")
            line = _place(root, ("tasks", first[name], "id")).line
            message = f"the id {name[:60]!r} is taken by the task in line {line}; ids must be unique"
            yield Problem(_place(root, path), shown_path(path), message)
        else:
            first[name] = index


def _ids(tasks: Iterable[Any]) -> list[str]:
    found = [task.get("id") for task in tasks if isinstance(task, Mapping)]
    return [name for name in found if isinstance(name, str)]


def _keys(value: Any) -> list[str]:
    return list(value) if isinstance(value, Mapping) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _place(root: Node, path: Key) -> Any:
    node = root
    for step in path:
        node = node.get(step) or node
    return node.place

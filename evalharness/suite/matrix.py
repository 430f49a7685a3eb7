"""`matrix`: variants of models and tasks, one for each combination of values.

```yaml
matrix:
  candidate.generate.temperature: [0.0, 0.7]
  summarise.prompt: [{file: prompts/a.j2}, {file: prompts/b.j2}]
```

The first step of a key names a model or a task (`models.x.…` and `tasks.x.…` say which, where both have the name); the
rest is the path of what varies in it. Variants are called `candidate@temperature=0.0`: the shortest tail of the path
that tells the axes apart, and the value; a value that is not one short word is called by its number, `#1`. Whatever
names the model or task elsewhere in the suite, names all its variants; one variant may be named by its full name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evalharness.core.errors import Place, Problem
from evalharness.core.registry import suggestion

from .node import Entry, Node

__all__ = ["MAX_VARIANTS", "expand"]

MAX_VARIANTS = 1000

_WORD = re.compile(r"[A-Za-z0-9_./:+-]{1,60}\Z")


@dataclass(frozen=True, slots=True)
class _Axis:
    key: str
    place: Place
    steps: tuple[str, ...]
    values: Sequence[Node]


class _Wrong(Exception):
    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def expand(root: Node) -> tuple[Node, list[Problem]]:
    """(`root` with its matrix expanded and taken out, problems)."""
    matrix = root.get("matrix")
    rest = Node({key: entry for key, entry in root.mapping.items() if key != "matrix"}, root.place)
    if matrix is None or matrix.value is None:
        return rest, []
    if not isinstance(matrix.value, dict):
        message = "must be a mapping: {candidate.generate.temperature: [0.0, 0.7]}"
        return rest, [Problem(matrix.place, "matrix", message)]
    problems: list[Problem] = []
    axes: dict[tuple[str, str], list[_Axis]] = {}
    for key, entry in matrix.value.items():
        try:
            target, axis = _axis(rest, key, entry)
            axes.setdefault(target, []).append(axis)
        except _Wrong as error:
            problems.append(Problem(error.place, f"matrix.{key}", str(error)))
    if not problems:
        try:
            _check_count(axes, matrix.place)
            rest = _expanded(rest, axes)
        except _Wrong as error:
            problems.append(Problem(error.place, "matrix", str(error)))
    return rest, problems


def _axis(root: Node, key: str, entry: Entry) -> tuple[tuple[str, str], _Axis]:
    steps = key.split(".")
    models = set(_mapping(root, "models"))
    tasks = {name for name in (_task_id(task) for task in _tasks(root)) if name}
    room: str | None = None
    if len(steps) > 2 and steps[0] in ("models", "tasks") and steps[0] not in models | tasks:
        room, steps = steps[0], steps[1:]
    name, path = steps[0], tuple(steps[1:])
    if not path or not all(path):
        raise _Wrong(entry.key, "must be NAME.path of what varies in a model or task: candidate.generate.temperature")
    if room is None:
        if name in models and name in tasks:
            raise _Wrong(entry.key, f"{name!r} is both a model and a task; write models.{key} or tasks.{key}")
        room = "models" if name in models else "tasks"
    if name not in (models if room == "models" else tasks):
        raise _Wrong(entry.key, f"there is no model or task {name!r}{suggestion(name, models | tasks)}")
    if path[0] == "id":
        raise _Wrong(entry.key, "the id of a task cannot vary; variants get their own names")
    values = entry.node
    if not isinstance(values.value, list) or not values.value:
        raise _Wrong(values.place, "must be a list of one or more values: [0.0, 0.7]")
    return (room, name), _Axis(key, entry.key, path, values.items)


def _mapping(root: Node, key: str) -> Mapping[str, Entry]:
    found = root.get(key)
    return found.mapping if found is not None else {}


def _tasks(root: Node) -> list[Node]:
    found = root.get("tasks")
    return found.items if found is not None else []


def _task_id(task: Node) -> str | None:
    found = task.get("id")
    return found.value if found is not None and isinstance(found.value, str) else None


def _check_count(axes: Mapping[tuple[str, str], Sequence[_Axis]], place: Place) -> None:
    total = 0
    for (_, name), own in axes.items():
        count = 1
        for axis in own:
            count *= len(axis.values)
        total += count
        if total > MAX_VARIANTS:
            message = f"{count:,} variants of {name!r}" if count > MAX_VARIANTS else f"{total:,} variants"
            raise _Wrong(place, f"{message} are more than {MAX_VARIANTS:,}; take values or axes away")


def _labels(axes: Sequence[_Axis]) -> list[str]:
    """The shortest tail of each axis' path that no other one ends with."""
    labels = []
    for axis in axes:
        others = [other.steps for other in axes if other is not axis]
        for length in range(1, len(axis.steps) + 1):
            tail = axis.steps[-length:]
            if not any(other[-length:] == tail for other in others):
                break
        labels.append(".".join(tail))
    return labels


def _value_name(values: Sequence[Node], index: int) -> str:
    node = values[index]
    file = node.get("file")
    text = file.value if file is not None and len(node.mapping) == 1 else node.value
    if isinstance(text, bool):
        text = str(text).lower()
    elif text is None:
        text = "null"
    elif isinstance(text, int | float):
        text = node.raw or str(text)
    return text if isinstance(text, str) and _WORD.match(text) else f"#{index + 1}"


def _variants(name: str, node: Node, axes: Sequence[_Axis]) -> Iterator[tuple[str, Node]]:
    labels = _labels(axes)
    for chosen in itertools.product(*(range(len(axis.values)) for axis in axes)):
        variant, parts = node, []
        for axis, label, index in zip(axes, labels, chosen, strict=True):
            variant = _set(variant, axis.steps, axis.values[index], axis)
            parts.append(f"{label}={_value_name(axis.values, index)}")
        yield f"{name}@{','.join(parts)}", variant


def _set(node: Node, steps: Sequence[str], value: Node, axis: _Axis) -> Node:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(node.value, list):
        if not (step.isascii() and step.isdigit() and int(step[:9]) < len(node.value)):
            raise _Wrong(
                axis.place, f"{axis.key}: the list has no item {step!r}; its items are 0 to {len(node.value) - 1}"
            )
        items = list(node.value)
        items[int(step)] = _set(items[int(step)], rest, value, axis)
        return Node(items, node.place)
    # A prompt in the suite may give way to {file: …} and the other way round; deeper paths need a mapping.
    if not isinstance(node.value, dict) and node.value is not None:
        raise _Wrong(axis.place, f"{axis.key}: there is a single value where {step!r} should be found")
    entries = dict(node.mapping)
    old = entries.get(step)
    child = old.node if old is not None else Node(None, value.place)
    entries[step] = Entry(old.key if old is not None else axis.place, _set(child, rest, value, axis))
    return Node(entries, node.place)


def _expanded(root: Node, axes: Mapping[tuple[str, str], Sequence[_Axis]]) -> Node:
    names: dict[str, dict[str, list[str]]] = {"models": {}, "tasks": {}}
    models: dict[str, Entry] = {}
    for name, entry in _mapping(root, "models").items():
        for variant, node in _named(("models", name), entry.node, axes, names, entry.key):
            models[variant] = Entry(entry.key, node)
    tasks: list[Node] = []
    for task in _tasks(root):
        task_id = _task_id(task)
        if task_id is None:
            tasks.append(task)
            continue
        for variant, node in _named(("tasks", task_id), task, axes, names, task.place):
            id_entry = node.mapping["id"]
            renamed = Entry(id_entry.key, Node(variant, id_entry.node.place, variant))
            tasks.append(Node({**node.mapping, "id": renamed}, node.place))
    entries = dict(root.mapping)
    if models:
        entries["models"] = Entry(entries["models"].key, Node(models, entries["models"].node.place))
    if tasks:
        tasks = [_with_models(task, names["models"]) for task in tasks]
        entries["tasks"] = Entry(entries["tasks"].key, Node(tasks, entries["tasks"].node.place))
    return Node(entries, root.place)


def _named(
    target: tuple[str, str],
    node: Node,
    axes: Mapping[tuple[str, str], Sequence[_Axis]],
    names: dict[str, dict[str, list[str]]],
    place: Place,
) -> Iterator[tuple[str, Node]]:
    room, name = target
    if target not in axes:
        yield name, node
        return
    if not isinstance(node.value, dict):
        raise _Wrong(place, f"{name!r} is no mapping, so nothing in it can vary")
    made = names[room].setdefault(name, [])
    for variant, changed in _variants(name, node, axes[target]):
        if variant in made:
            raise _Wrong(
                axes[target][0].place, f"two variants would be called {variant!r}; take the repeated value away"
            )
        made.append(variant)
        yield variant, changed


def _with_models(task: Node, variants: Mapping[str, list[str]]) -> Node:
    entry = task.mapping.get("model")
    if entry is None:
        return task
    given = entry.node.items if isinstance(entry.node.value, list) else [entry.node]
    if not any(isinstance(item.value, str) and item.value in variants for item in given):
        return task
    named = [
        Node(name, item.place, str(name))
        for item in given
        for name in (variants.get(item.value, [item.value]) if isinstance(item.value, str) else [item.value])
    ]
    return Node({**task.mapping, "model": Entry(entry.key, Node(list(named), entry.node.place))}, task.place)

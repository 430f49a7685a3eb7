"""`--set key.path=value`: changes a suite from the command line, before `vars` and `matrix` are applied.

The value is YAML: `5`, `bfloat16`, `[a, b]`, `{temperature: 0.7}`. A step of the path is a key, an index from 0, or
the `id` of a task: `tasks.summarise.limit=5`, `tasks.0.metrics.1=bleu`, `models.candidate.dtype=bfloat16`,
`vars.split=test`. Missing mappings are made, and a value of null (or none at all) takes the key away. Several are
applied in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.core.errors import Place, Problem
from evalharness.core.registry import suggestion

from .node import Entry, Node
from .scalars import AmbiguousError, read_scalar
from .yamlfile import parse

__all__ = ["apply_settings"]


class _Wrong(Exception):
    pass


def apply_settings(root: Node, settings: Sequence[str]) -> tuple[Node, list[Problem]]:
    """(`root` with each `key.path=value` set in order, problems)."""
    problems: list[Problem] = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        place = Place(f"--set {key.strip()}")
        if not equals or not key.strip():
            problems.append(Problem(Place(f"--set {setting}"), "", "must be key.path=value: tasks.summarise.limit=5"))
            continue
        value, found = _value(text.strip(), place)
        problems += [Problem(place, "", f"the value is not YAML: {problem.message}") for problem in found]
        if value is None or found:
            continue
        try:
            root = _set(root, _steps(key.strip()), _placed(value, place), place)
        except _Wrong as error:
            problems.append(Problem(place, "", str(error)))
    return root, problems


def _value(text: str, place: Place) -> tuple[Node | None, list[Problem]]:
    try:
        read_scalar(text)
    except AmbiguousError:
        # On a command line nobody means anything but the text by `off` or 2024-01-31.
        return Node(text, place, text), []
    return parse(text, shown=place.file) if text else (Node(None, place), [])


def _steps(key: str) -> list[str]:
    first, _, rest = key.partition(".")
    if first == "extends":
        raise _Wrong("extends cannot be set: it was followed already; make a suite file that extends both")
    # The keys of `matrix` are paths themselves: their dots are part of the key.
    steps = [first, rest] if first == "matrix" and rest else key.split(".")
    if not all(steps):
        raise _Wrong("a part of the path is empty; write key.path=value: tasks.summarise.limit=5")
    return steps


def _placed(node: Node, place: Place) -> Node:
    if isinstance(node.value, dict):
        return Node({k: Entry(place, _placed(e.node, place)) for k, e in node.value.items()}, place)
    if isinstance(node.value, list):
        return Node([_placed(item, place) for item in node.value], place)
    return Node(node.value, place, node.raw)


def _set(node: Node, steps: Sequence[str], value: Node, place: Place, above: str = "") -> Node:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    here = f"{above}.{step}" if above else step
    if isinstance(node.value, list):
        items = list(node.value)
        index = _index(items, step, above)
        items[index] = _set(items[index], rest, value, place, here)
        return Node(items, node.place)
    if not isinstance(node.value, dict) and node.value is not None:
        raise _Wrong(f"{above} is {_kind(node)}, so it has no {step!r}")
    entries = dict(node.mapping)
    old = entries.get(step)
    child = old.node if old is not None else Node(None, place)
    entries[step] = Entry(place if not rest or old is None else old.key, _set(child, rest, value, place, here))
    return Node(entries, node.place)


def _index(items: Sequence[Node], step: str, above: str) -> int:
    ids = [found.value if (found := item.get("id")) is not None else None for item in items]
    if step in ids:
        return ids.index(step)
    if step.isascii() and step.isdigit() and int(step[:9]) < len(items):
        return int(step)
    names = [name for name in ids if isinstance(name, str)]
    if names:
        raise _Wrong(f"{above} has no {step!r}{suggestion(step, names)}; it has: {', '.join(names)}")
    last = f"its items are 0 to {len(items) - 1}" if items else "it is empty"
    raise _Wrong(f"{above} has no item {step!r}; {last}")


def _kind(node: Node) -> str:
    return "a text" if isinstance(node.value, str) else "a single value"

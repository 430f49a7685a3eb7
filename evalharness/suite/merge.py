"""`extends`: a suite on top of others.

Files are merged in order, later wins: first the files named under `extends`, left to right, then the file itself.

- Mappings are merged key by key, to any depth.
- `tasks` are merged by `id`: a task with the id of an earlier one changes it, any other is added at the end.
- Every other list, and every plain value, is replaced whole.
- `null` removes what an earlier file said.
- A model whose `backend` changes is replaced whole, for its other keys belonged to the old backend.

Relative paths mean files beside the file that names them. Every value keeps the place where it was written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.errors import Problem

from .node import Entry, Node
from .yamlfile import read

if TYPE_CHECKING:
    from evalharness.core.errors import Place

__all__ = ["anchored", "merge", "read_extended", "without_nulls"]

_MAX_FILES = 100


@dataclass(slots=True)
class _Reading:
    """The files read so far: each once, however many others extend it."""

    problems: list[Problem] = field(default_factory=list)
    done: dict[Path, Node | None] = field(default_factory=dict)
    # Each file that was read, with its name in messages.
    names: dict[str, Path] = field(default_factory=dict)


def read_extended(path: Path) -> tuple[Node | None, list[Problem], dict[str, Path]]:
    """(document, problems, file by its name in messages) of a suite file and all that it extends."""
    reading = _Reading()
    root = _read(path, str(path), (), reading)
    return root, reading.problems, reading.names


def _read(path: Path, shown: str, above: tuple[Path, ...], reading: _Reading) -> Node | None:
    try:
        key = path.resolve()
    except (OSError, ValueError):
        key = path  # no path at all; reading it says why
    if key in reading.done:
        return reading.done[key]
    reading.done[key] = None
    reading.names[shown] = path
    own, problems = read(path, shown=shown)
    reading.problems += problems
    if own is None:
        return None
    if not isinstance(own.value, dict):
        what = "a list" if isinstance(own.value, list) else "a single value"
        reading.problems.append(
            Problem(own.place, "syntax", f"a suite is a mapping of keys, and this is {what}; it begins: version: 1")
        )
        return None
    merged: Node | None = None
    extends = own.get("extends")
    # `extends: null` and a missing key are the same.
    for parent in _parents(extends, reading):
        base = _read_parent(parent, path, shown, (*above, key), reading)
        if base is not None:
            merged = base if merged is None else merge(merged, base)
    rest = Node({k: entry for k, entry in own.mapping.items() if k != "extends"}, own.place)
    result = rest if merged is None else merge(merged, rest)
    reading.done[key] = result
    return result


def _parents(extends: Node | None, reading: _Reading) -> list[Node]:
    if extends is None or extends.value is None:
        return []
    items = extends.items if isinstance(extends.value, list) else [extends]
    good = [item for item in items if isinstance(item.value, str) and item.value]
    for item in items:
        if item not in good:
            reading.problems.append(
                Problem(item.place, "extends", "must be the path of a suite file, or a list of them")
            )
    return good


def _read_parent(named: Node, path: Path, shown: str, above: tuple[Path, ...], reading: _Reading) -> Node | None:
    target = path.parent / str(named.value)
    name = os.path.normpath(os.path.join(os.path.dirname(shown), str(named.value)))  # noqa: PTH118, PTH120
    try:
        key = target.resolve()
        missing = not target.is_file()
    except (OSError, ValueError):
        key, missing = target, True
    if key in above:
        chain = " → ".join(p.name for p in (*above[above.index(key) :], key))
        reading.problems.append(Problem(named.place, "extends", f"goes in a circle: {chain}"))
        return None
    if missing:
        message = f"there is no file {named.value!r} beside {path.name}{_near(target)}"
        reading.problems.append(Problem(named.place, "extends", message))
        return None
    if len(reading.done) >= _MAX_FILES:
        reading.problems.append(Problem(named.place, "extends", f"more than {_MAX_FILES} files are extended"))
        return None
    return _read(target, name, above, reading)


def _near(path: Path) -> str:
    from evalharness.core.registry import suggestion

    try:
        return suggestion(path.name, [entry.name for entry in path.parent.iterdir()])
    except (OSError, ValueError):
        return ""


def merge(earlier: Node, later: Node) -> Node:
    """`later` on top of `earlier`, both suites; neither is changed."""
    return _merged(earlier, later, ())


def _merged(earlier: Node, later: Node, path: tuple[str, ...]) -> Node:
    if not isinstance(earlier.value, dict) or not isinstance(later.value, dict):
        return later
    if len(path) == 2 and path[0] == "models" and _other_backend(earlier, later):
        return later
    entries = dict(earlier.value)
    for key, entry in later.value.items():
        old = entries.get(key)
        if entry.node.value is None:
            # The null stays, so that a key that may be null can be set to it; `without_nulls` removes it at the end.
            entries[key] = entry
        elif old is None:
            entries[key] = entry
        elif key == "tasks" and not path and isinstance(old.node.value, list) and isinstance(entry.node.value, list):
            entries[key] = Entry(entry.key, _merged_tasks(old.node, entry.node))
        else:
            entries[key] = Entry(entry.key, _merged(old.node, entry.node, (*path, key)))
    return Node(entries, later.place if later.value else earlier.place)


def _other_backend(earlier: Node, later: Node) -> bool:
    old, new = earlier.get("backend"), later.get("backend")
    return old is not None and new is not None and old.value != new.value


def _merged_tasks(earlier: Node, later: Node) -> Node:
    tasks = list(earlier.items)
    index = {_id(task): i for i, task in reversed(list(enumerate(tasks))) if _id(task) is not None}
    seen: set[str] = set()
    for task in later.items:
        name = _id(task)
        # A second task of that id in the same file is no change of the first: it is reported as a duplicate.
        if name in index and name not in seen and name is not None:
            tasks[index[name]] = _merged(tasks[index[name]], task, ("tasks", name))
        else:
            tasks.append(task)
        if name is not None:
            seen.add(name)
    return Node(tasks, later.place)


def _id(task: Node) -> str | None:
    found = task.get("id")
    return found.value if found is not None and isinstance(found.value, str) else None


def without_nulls(node: Node) -> Node:
    """`node` without the keys that a later file or `--set` put to null; inline rows and options keep theirs."""
    return _without_nulls(node)


_FREE = frozenset({"rows", "options", "extra_body", "body", "quantization", "metrics", "vars", "matrix"})


def _without_nulls(node: Node) -> Node:
    if isinstance(node.value, list):
        return Node([_without_nulls(item) for item in node.value], node.place, node.raw)
    if not isinstance(node.value, dict):
        return node
    kept: dict[str, Entry] = {}
    for key, entry in node.value.items():
        if entry.node.value is not None:
            kept[key] = entry if key in _FREE else Entry(entry.key, _without_nulls(entry.node))
    return Node(kept, node.place)


def anchored(root: Node, files: dict[str, Path], base: Path) -> Node:
    """`root` with the relative paths of extended files in other folders written from `base`, the suite's folder."""
    folders = {shown: Path(os.path.relpath(path.parent.resolve(), base.resolve())) for shown, path in files.items()}
    if all(folder == Path() for folder in folders.values()):
        return root

    def folder_of(place: Place) -> Path:
        return folders.get(place.file, Path())

    return _anchored(root, (), folder_of, base)


def _anchored(node: Node, path: tuple[str, ...], folder_of: object, base: Path) -> Node:
    if isinstance(node.value, dict):
        return Node(
            {k: Entry(e.key, _anchored(e.node, (*path, k), folder_of, base)) for k, e in node.value.items()},
            node.place,
        )
    if isinstance(node.value, list):
        return Node([_anchored(item, (*path, "*"), folder_of, base) for item in node.value], node.place)
    if not isinstance(node.value, str) or not _is_path(path):
        return node
    folder: Path = folder_of(node.place)  # type: ignore[operator]
    if folder == Path() or not _is_local(node.value, path, base / folder):
        return node
    return Node(os.path.normpath(folder / node.value), node.place, node.raw)


def _is_path(path: tuple[str, ...]) -> bool:
    match path:
        case ("execution", "prices"):
            return True
        case ("datasets", _, "path" | "hf") | ("models", _, "path" | "adapter" | "tokenizer"):
            return True
        case ("tasks", *_, "file") | ("tasks", _, "include_path" | "lm_eval") | ("tasks", _, "include_path", _):
            return True
        case ("tasks", _, "metrics", _, "evaluate") | ("tasks", _, "metrics", _, "evaluate", "path"):
            return True
    return False


def _is_local(value: str, path: tuple[str, ...], folder: Path) -> bool:
    """Whether `value` is a relative path; a hub name such as org/model is none unless such a folder is there."""
    if ":" in value or Path(value).is_absolute():
        return False
    if path[-1] == "lm_eval":
        return value.endswith((".yaml", ".yml"))
    if path[-1] in ("file", "prices") or "include_path" in path[2:] or path[:1] + path[2:] == ("datasets", "path"):
        return True
    return value.startswith(("./", "../")) or (folder / value).exists()

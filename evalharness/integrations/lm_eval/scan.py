"""What the YAML files of a folder of lm-eval tasks declare, without importing lm-eval.

lm-eval parses all of its 14,000 files, with everything that they include, each time it starts: ten seconds. Here each
file is cut down to the few top-level keys that say what it is, which is a fraction of the work, and what was found is
kept in the cache folder until a file of the folder changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from evalharness.core.files import cache_dir, write_atomic

__all__ = ["Declared", "EntryKind", "Function", "read_whole", "scan", "scan_file"]

EntryKind = Literal["task", "python task", "group", "tag"]

_FORMAT = 1
_IGNORED = frozenset({"__pycache__", ".ipynb_checkpoints"})
# What decides kind, name, tags and what a model must do. `include` stays, so that inherited keys are seen.
_KEYS = ("include", "class", "group", "task", "tag", "output_type", "unsafe_code")
_KEY = re.compile(rf"""^["']?(?:{"|".join(_KEYS)})["']?[ \t]*:""", re.MULTILINE)
_MAX_DEPTH = 100
_LEADING = re.compile(r"^[ \t?:\-]+", re.MULTILINE)
_TOP = re.compile(r"^[^\s#\-][^\n]*$", re.MULTILINE)


class Declared(NamedTuple):
    """One task or group, as its file declares it; `path` is relative to the folder.

    `members` are the names under a group's `task`, `code` says that the file (or one that it includes) names Python
    functions, `unsafe` that the task runs what a model wrote.
    """

    name: str
    kind: EntryKind
    path: str
    tags: tuple[str, ...] = ()
    output_type: str = ""
    members: tuple[str, ...] = ()
    code: bool = False
    unsafe: bool = False


def scan(root: Path, *, version: str = "", keep: bool = True) -> tuple[Declared, ...]:
    """The tasks and groups under `root`, in the order of their paths; from the cache folder where nothing has changed.

    Args:
        root: A folder of task files.
        version: Of the package that the folder belongs to; part of what must not have changed.
        keep: Whether the cache folder is used.
    """
    root = root.resolve()
    stamp = f"{_FORMAT} {version} {_state_of(root)}"
    file = cache_dir() / "lm-eval" / f"index-{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.json"
    if keep:
        found = _kept(file, stamp)
        if found is not None:
            return found
    declared = tuple(_read(root))
    if keep:
        _keep(file, stamp, declared)
    return declared


def scan_file(path: Path) -> Declared | None:
    """The task or group that one file declares; None where it declares none, or cannot be read."""
    path = path.resolve()
    return _read_file(_Reader(), str(path), path.name)


def _keep(file: Path, stamp: str, declared: tuple[Declared, ...]) -> None:
    try:
        write_atomic(file, json.dumps({"stamp": stamp, "entries": declared}, separators=(",", ":")))
    except OSError:
        return  # a cache that cannot be written costs time, and nothing else


def _kept(file: Path, stamp: str) -> tuple[Declared, ...] | None:
    try:
        found = json.loads(file.read_bytes())
        if found["stamp"] != stamp:
            return None
        return tuple(
            Declared(name, kind, path, tuple(tags), output_type, tuple(members), code, unsafe)
            for name, kind, path, tags, output_type, members, code, unsafe in found["entries"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _state_of(root: Path) -> str:
    """A digest of the paths, sizes and times of change of all files: includes have any ending."""
    seen = hashlib.blake2b(digest_size=16)
    for path, entry in _files(root):
        found = entry.stat()
        seen.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return seen.hexdigest()


def _files(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """(path, entry) of each file, in a fixed order."""
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as found:
            for entry in sorted(found, key=lambda entry: entry.name):
                if entry.is_dir():
                    if entry.name not in _IGNORED:
                        folders.append(entry.path)
                elif not entry.name.endswith((".pyc", ".pyo")):
                    yield entry.path, entry


def _read(root: Path) -> Iterator[Declared]:
    # Paths are plain text here: of 14,000 files, `Path`s are a third of the time.
    reader, start = _Reader(), str(root)
    files = [path for path, entry in _files(root) if entry.name.endswith(".yaml")]
    for path in sorted(files, key=lambda path: path.replace(os.sep, "/")):
        declared = _read_file(reader, path, path[len(start) + 1 :].replace(os.sep, "/"))
        if declared is not None:
            yield declared


def _read_file(reader: _Reader, path: str, shown: str) -> Declared | None:
    try:
        return _declared(reader.keys_of(path, ()), shown)
    except (OSError, ValueError, yaml.YAMLError):
        return None  # lm-eval passes over files that it cannot read, too


class Function(str):
    """A value that names a Python function."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML in which `!function` is text."""


_Loader.add_constructor("!function", lambda loader, node: Function(loader.construct_scalar(node)))


def read_whole(path: Path) -> dict[str, Any]:
    """All keys of a file, those of its includes under its own; functions are their names, as `Function`.

    Raises:
        OSError, ValueError, yaml.YAMLError: a file cannot be read.
    """
    return _Reader(whole=True).keys_of(str(path), ())


class _Reader:
    """Reads the keys of files; what many files include is read once."""

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._included: dict[str, dict[str, Any]] = {}

    def keys_of(self, path: str, above: tuple[str, ...]) -> dict[str, Any]:
        """The wanted keys of a file, its includes merged in, and `!` for whether it names functions."""
        if path in above:
            raise ValueError(f"{path} includes itself")
        with open(path, encoding="utf-8") as handle:  # noqa: PTH123 - see `_read`
            text = handle.read()
        found = _load(text if self._whole else _reduced(text))
        if not isinstance(found, dict):
            raise ValueError(f"{path} is no mapping")
        merged: dict[str, Any] = {}
        code = "!function" in text or "class" in found
        includes = found.pop("include", ())
        for include in includes if isinstance(includes, list | tuple) else [includes]:
            target = os.path.normpath(os.path.join(os.path.dirname(path), str(include)))  # noqa: PTH118, PTH120
            if target not in self._included:
                self._included[target] = self.keys_of(target, (*above, path))
            merged |= self._included[target]
        code = code or bool(merged.get("!"))
        return {**merged, **found, "!": code}


def _load(text: str) -> Any:
    if _may_be_deep(text):
        _check_depth(text)
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with one more tag


def _may_be_deep(text: str) -> bool:
    # Each level of a list or mapping needs a bracket, or a further sign or blank where its line begins.
    return (
        text.count("[") + text.count("{") > _MAX_DEPTH or max(map(len, _LEADING.findall(text)), default=0) > _MAX_DEPTH
    )


def _check_depth(text: str) -> None:
    """Refuse what libyaml would build by recursion until the stack ends, and the process with it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")


def _reduced(text: str) -> str:
    """The blocks of the wanted keys alone; the whole text where it is not written as plain top-level keys."""
    if text.startswith(("{", "---", "%")) or "&" in text or "<<" in text:
        return text
    starts = [match.start() for match in _TOP.finditer(text)]
    ends = [*starts[1:], len(text)]
    kept = [text[a:b] for a, b in zip(starts, ends, strict=True) if _KEY.match(text, a)]
    return "".join(kept) or text


def _declared(found: dict[str, Any], path: str) -> Declared | None:
    if "class" in found:
        kind: EntryKind = "python task"
    elif "group" in found:
        kind = "group"
    elif "task" in found:
        kind = "task"
    else:
        return None
    name = found["group"] if kind == "group" else found.get("task")
    if not isinstance(name, str):
        return None
    tags = found.get("tag") or ()
    return Declared(
        name=name,
        kind=kind,
        path=path,
        tags=tuple(map(str, [tags] if isinstance(tags, str) else tags)),
        output_type=str(found.get("output_type") or ""),
        members=tuple(_members(found.get("task"))) if kind == "group" else (),
        code=bool(found["!"]),
        unsafe=found.get("unsafe_code") is True,
    )


def _members(value: Any) -> Iterator[str]:
    """The names that stand under a group's `task`, those of groups written in place included."""
    for item in [value] if isinstance(value, str) else value or ():
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            named = item.get("group")
            if named is None:
                yield str(item.get("task"))
            elif isinstance(item.get("task"), list):
                yield from _members(item["task"])
            else:
                yield str(named)

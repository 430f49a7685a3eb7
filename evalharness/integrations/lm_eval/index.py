"""Finds lm-eval's tasks by name in milliseconds, and makes a `TaskManager` that need not look for them.

`entries` and `find` read an index that is kept in the cache folder; they need lm-eval to be installed and do not
import it. `task_manager` gives lm-eval's own manager the same index.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.imports import importing
from evalharness.core.registry import suggestion

from .scan import Declared, EntryKind, scan, scan_file

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

__all__ = ["Found", "IncludePath", "entries", "find", "leaves", "reached", "require_lm_eval", "task_manager"]

IncludePath = str | Path | Sequence[str | Path] | None


class Found(NamedTuple):
    """A task, group or tag that lm-eval knows. `file` is "" for a tag, whose tasks are its `members`.

    `own` is true where it comes from an include path, not from lm-eval itself.
    """

    name: str
    kind: EntryKind
    file: str
    members: tuple[str, ...] = ()
    output_type: str = ""
    code: bool = False
    unsafe: bool = False
    own: bool = False


def require_lm_eval(purpose: str) -> Path:
    """The folder of lm-eval's own tasks.

    Raises:
        MissingExtraError: lm-eval is not installed.
    """
    spec = find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("lm-eval", "lm-eval", purpose=purpose)
    return Path(next(iter(spec.submodule_search_locations))) / "tasks"


def entries(include_path: IncludePath = None, *, defaults: bool = True) -> Mapping[str, Found]:
    """All tasks, groups and tags by name; those under `include_path` take the place of lm-eval's own.

    Raises:
        MissingExtraError: lm-eval is not installed.
        UsageError: an include path is not a folder.
    """
    home = require_lm_eval("the tasks of lm-eval")
    found: dict[str, Found] = {}
    for folder in _folders(include_path):
        if not folder.is_dir():
            raise UsageError(f"include_path: there is no folder {folder}")
        found |= _named(folder, scan(folder), own=True)
    return ChainMap(found, cast(MutableMapping[str, Found], _OfLmEval(home))) if defaults else found


class _OfLmEval(Mapping[str, Found]):
    """lm-eval's own, looked through when a name is not found elsewhere."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __getitem__(self, name: str) -> Found:
        return _of_lm_eval(self._home)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_of_lm_eval(self._home))

    def __len__(self) -> int:
        return len(_of_lm_eval(self._home))


@lru_cache(maxsize=1)
def _of_lm_eval(home: Path) -> Mapping[str, Found]:
    return _named(home, scan(home, version=version("lm-eval")), own=False)


def _folders(include_path: IncludePath) -> list[Path]:
    if include_path is None:
        return []
    given = [include_path] if isinstance(include_path, str | Path) else include_path
    return [Path(folder).expanduser() for folder in given]


def _named(root: Path, declared: Iterable[Declared], *, own: bool) -> dict[str, Found]:
    """The entries of one folder by lm-eval's rules: of two files with one name the first counts; tasks make tags."""
    found: dict[str, Found] = {}
    start = f"{root.resolve()}/"
    tagged: dict[str, set[str]] = {}
    for item in declared:
        if item.name in found:
            continue
        found[item.name] = Found(
            item.name, item.kind, start + item.path, item.members, item.output_type, item.code, item.unsafe, own
        )
        for tag in item.tags if item.kind != "group" else ():
            tagged.setdefault(tag, set()).add(item.name)
    for tag, names in tagged.items():
        if tag not in found:
            members = tuple(sorted(names))
            code = any(found[name].code for name in members)
            found[tag] = Found(tag, "tag", "", members, code=code, own=own)
    return found


def find(name: str, include_path: IncludePath = None) -> Found:
    """The task, group or tag `name`, or the one that the YAML file of that path declares.

    Raises:
        MissingExtraError: lm-eval is not installed.
        UsageError: there is none; the message names the nearest.
    """
    known = entries(include_path)
    if name in known:
        return known[name]
    if name.endswith((".yaml", ".yml")) and Path(name).expanduser().is_file():
        return _of_file(Path(name).expanduser())
    near = suggestion(name, known) or "; all names: evalharness list lm-eval-tasks"
    where = f"lm-eval {version('lm-eval')} has" if include_path is None else "neither lm-eval nor include_path has"
    raise UsageError(f"{where} {'no' if include_path is None else 'a'} task, group or tag {name[:80]!r}{near}")


def _of_file(path: Path) -> Found:
    declared = scan_file(path)
    if declared is None:
        raise UsageError(f"{path} declares no lm-eval task or group")
    return _named(path.resolve().parent, [declared], own=True)[declared.name]


def reached(found: Found, known: Mapping[str, Found]) -> list[Found]:
    """`found` and all that is below it, as far as the index can tell: what a group defines in place is part of it."""
    seen: dict[str, Found] = {}
    waiting = [found]
    while waiting:
        item = waiting.pop(0)
        if item.name not in seen:
            seen[item.name] = item
            waiting += [known[name] for name in item.members if name in known]
    return list(seen.values())


def leaves(found: Found, known: Mapping[str, Found]) -> list[Found]:
    """The tasks among what is `reached`."""
    return [item for item in reached(found, known) if item.kind in ("task", "python task")]


def task_manager(
    names: Sequence[str], include_path: IncludePath = None, *, metadata: Mapping[str, Any] | None = None
) -> TaskManager:
    """lm-eval's `TaskManager`, made from the index in milliseconds; it loads what it is asked for, by name or path.

    Args:
        names: What will be asked of it: names, glob patterns or paths of YAML files; each must lead somewhere.
        include_path: Folders with further tasks.
        metadata: Handed to lm-eval, which adds it to every task.

    Raises:
        MissingExtraError: lm-eval is not installed.
        UsageError: one of `names` is not there.
    """
    known = entries(include_path)
    for name in names:
        if any(sign in name for sign in "*?[") and any(fnmatchcase(other, name) for other in known):
            continue
        find(name, include_path)
    with importing():
        from .manager import IndexedTaskManager

    return IndexedTaskManager(known, include_path=include_path, metadata=metadata)

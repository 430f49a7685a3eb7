"""lm-eval's `TaskManager` over our index: entries are made when they are asked for, of 14,000 a few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.tasks._index import Entry, Kind
from lm_eval.tasks.manager import TaskManager

from .index import Found, IncludePath
from .scan import EntryKind

__all__ = ["IndexedTaskManager"]

_KINDS: dict[EntryKind, Any] = {
    "task": Kind.TASK,
    "python task": Kind.PY_TASK,
    "group": Kind.GROUP,
    "tag": Kind.TAG,
}
# The sorted lists of names that lm-eval keeps, and the kinds that are in each.
_LISTS: dict[str, tuple[EntryKind, ...]] = {
    "_all_tasks": ("task", "python task", "group", "tag"),
    "_all_subtasks": ("task", "python task"),
    "_all_groups": ("group",),
    "_all_tags": ("tag",),
}


class IndexedTaskManager(TaskManager):  # type: ignore[misc]
    """What lm-eval's own manager of the same folders is; `known` are their tasks, groups and tags."""

    def __init__(
        self, known: Mapping[str, Found], *, include_path: IncludePath = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(include_defaults=False, metadata=dict(metadata) if metadata else None)
        self.include_path = include_path
        self._known = known
        self._index = _Entries(known)
        for name in _LISTS:
            self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        if name not in _LISTS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        found = sorted(item.name for item in self._known.values() if item.kind in _LISTS[name])
        setattr(self, name, found)
        return found

    def match_tasks(self, task_list: Sequence[str]) -> list[str]:
        """The names that the patterns match, sorted; plain names are looked up."""
        if any(sign in name for name in task_list for sign in "*?["):
            matched: list[str] = super().match_tasks(list(task_list))
            return matched
        return sorted({name for name in task_list if name in self._known})


class _Entries(MutableMapping[str, Any]):
    """lm-eval's entries by name."""

    def __init__(self, known: Mapping[str, Found]) -> None:
        self._known = known
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            item = self._known[name]
            self._made[name] = Entry(
                name=item.name,
                kind=_KINDS[item.kind],
                yaml_path=Path(item.file) if item.file else None,
                tags=set(item.members) if item.kind == "tag" else set(),
            )
        return self._made[name]

    def __setitem__(self, name: str, entry: Any) -> None:
        self._made[name] = entry

    def __delitem__(self, name: str) -> None:
        raise TypeError("entries of the index stay")

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from (name for name in self._made if name not in self._known)

    def __len__(self) -> int:
        return sum(1 for _ in self)

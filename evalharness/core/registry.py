"""The lazy registry: names of metrics, backends, datasets, probes and drift tests, loaded when they are used.

Each room keeps a table `BUILTIN: dict[str, str]` of name → "module:attribute"; an installed package adds names
through the entry-point group `evalharness.<room>`. Looking a name up imports that one module.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ROOMS", "Registry", "registry", "suggestion"]

ROOMS: tuple[str, ...] = ("models", "metrics", "probes", "datasets", "drift")
_MODULES = {"datasets": "evalharness.data"}


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name nearest to `name`, or "" where none is near."""
    known = list(known)
    folded = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


class Registry:
    """The names of one room."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.group = f"evalharness.{room}"

    def _builtin(self) -> dict[str, str]:
        table: dict[str, str] = importlib.import_module(_MODULES.get(self.room, self.group)).BUILTIN
        return table

    def _outside(self) -> dict[str, EntryPoint]:
        from importlib.metadata import entry_points  # 25 ms that a suite of built-in names does not need

        found: dict[str, EntryPoint] = {}
        builtin = self._builtin()
        for point in entry_points(group=self.group):
            if point.name in builtin or point.name in found:
                raise UsageError(
                    f"the package {_distribution(point)} registers the {self.room} name {point.name!r}, which is "
                    f"taken by {_distribution(found[point.name]) if point.name in found else 'evalharness'}; "
                    f"uninstall one of them"
                )
            found[point.name] = point
        return found

    def names(self) -> tuple[str, ...]:
        """All registered names, sorted."""
        return tuple(sorted({*self._builtin(), *self._outside()}))

    def check(self, name: str) -> None:
        """Raise a `UsageError` with the nearest name if `name` is not registered."""
        # Each look at what is installed costs 5 ms and more: not for every column of every window.
        if name not in self._builtin() and name not in self.names():
            raise UsageError(f"unknown {self.room.rstrip('s')} {name!r}{suggestion(name, self.names())}")

    def load(self, name: str) -> Any:
        """The object registered under `name`.

        Raises:
            UsageError: if there is no such name, or the package that registers it cannot be imported.
        """
        target = self._builtin().get(name)
        if target is not None:
            module, _, attribute = target.partition(":")
            return getattr(importlib.import_module(module), attribute)
        self.check(name)
        point = self._outside()[name]
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the {self.room} name {name!r} comes from the package {_distribution(point)}, "
                f"which cannot be loaded: {error}"
            ) from error

    def describe(self, name: str) -> str:
        """The cleaned docstring of what is registered under `name`."""
        return inspect.getdoc(self.load(name)) or "(no description)"


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


@cache
def registry(room: str) -> Registry:
    """The registry of `room`, one of `ROOMS`."""
    if room not in ROOMS:
        raise UsageError(f"unknown room {room!r}{suggestion(room, ROOMS)}")
    return Registry(room)

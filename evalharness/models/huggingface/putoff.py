"""Puts off the import of a package until somebody asks it for more than marks on functions.

`importlib.util.LazyLoader` does the same for whoever asks for anything at all; here some names answer at once, and
some modules of the package are loaded without it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any

__all__ = ["put_off"]


def put_off(name: str, *, marks: Sequence[str], apart: Sequence[str] = ()) -> None:
    """Let the package `name`, which is not loaded yet, be loaded when it is needed.

    `marks` are decorators of it that leave functions as they are until then; `apart` are modules of it that are loaded
    without it. Everything else loads it, in its own place: whoever holds the package holds the real one then.
    """
    spec = importlib.util.find_spec(name)
    assert spec is not None
    package = importlib.util.module_from_spec(spec)
    package.__class__ = type("PutOff", (_PutOff,), dict.fromkeys(marks, staticmethod(_as_it_is)))
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)
    sys.meta_path.insert(0, _Finder(package, frozenset(f"{name}.{module}" for module in apart)))


def _as_it_is(function: Any = None, *_: Any, **__: Any) -> Any:
    """A decorator that leaves its function alone."""
    return function if function is not None else _as_it_is


class _PutOff(ModuleType):
    """The package until it is loaded; its class is the plain one afterwards, and the marks are gone."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _load(self)
        return getattr(self, name)


def _load(package: ModuleType) -> None:
    if not isinstance(package, _PutOff):
        return
    object.__setattr__(package, "__class__", ModuleType)
    spec = package.__spec__
    assert spec is not None
    assert spec.loader is not None
    for name, module in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if parent == spec.name and module is not None:
            setattr(package, child, module)
    spec.loader.exec_module(package)


class _Finder(MetaPathFinder):
    """Loads the package before any of its modules but those that stand apart."""

    def __init__(self, package: ModuleType, apart: frozenset[str]) -> None:
        self._package = package
        self._apart = apart

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(f"{self._package.__name__}.") or fullname in self._apart:
            return None
        if isinstance(self._package, _PutOff):
            _load(self._package)
            if fullname in sys.modules:
                # Loading the package has loaded this one: it must not be run twice.
                return importlib.machinery.ModuleSpec(fullname, _There(sys.modules[fullname]))
        return None


class _There(Loader):
    """Hands out a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec

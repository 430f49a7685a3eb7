"""Imports that cost less, for processes of our own: many at once, and those that are put off until they are needed.

`importlib.util.LazyLoader` puts off for whoever asks for anything at all; here some names answer at once, and some
modules of a package are loaded without it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any

__all__ = ["importing", "load_now", "put_off"]


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """For imports that make very many objects: nothing among them is garbage, and none is looked at again for it."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def put_off(name: str, *, marks: Sequence[str] = (), apart: Sequence[str] = (), along: Sequence[str] = ()) -> None:
    """Let the module `name`, which is not loaded yet, be loaded when it is needed.

    `marks` are decorators of it that leave functions as they are until then; `apart` are modules of the package that
    are loaded without it. Everything else loads it, in its own place: whoever holds the module holds the real one then.
    `along` are modules, put off as well, that are loaded with it: it needs what they do, and asks nothing of them.
    """
    sys.meta_path.insert(0, _Finder(name, tuple(marks), frozenset(f"{name}.{module}" for module in apart), along))
    parent = name.rpartition(".")[0]
    if parent in sys.modules:
        importlib.import_module(name)


def load_now(name: str) -> bool:
    """Load what `put_off` has put off; False where it is loaded, or was never asked for."""
    module = sys.modules.get(name)
    if not isinstance(module, _PutOff):
        return False
    _load(module)
    return True


def _as_it_is(function: Any = None, *_: Any, **__: Any) -> Any:
    """A decorator that leaves its function alone."""
    return function if function is not None else _as_it_is


class _PutOff(ModuleType):
    """The module until it is loaded; its class is the plain one afterwards, and the marks are gone."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _load(self)
        return getattr(self, name)


def _load(module: ModuleType) -> None:
    if not isinstance(module, _PutOff):
        return
    object.__setattr__(module, "__class__", ModuleType)
    spec = module.__spec__
    assert spec is not None
    assert isinstance(spec.loader, _Later)
    for name in spec.loader.along:
        load_now(name)
    for name, other in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if parent == spec.name and other is not None:
            setattr(module, child, other)
    spec.loader.load(module)


class _Later(Loader):
    """Makes the module at once, and runs its code when it is told to."""

    def __init__(self, loader: Loader, marks: Sequence[str], along: Sequence[str]) -> None:
        self._loader = loader
        self._marks = marks
        self.along = along

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        kind = type("PutOff", (_PutOff,), dict.fromkeys(self._marks, staticmethod(_as_it_is)))
        made: ModuleType = kind(spec.name)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Nothing yet."""

    def load(self, module: ModuleType) -> None:
        """Run the module's code."""
        spec = module.__spec__
        assert spec is not None
        spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the module, without its code; loads it before any of a package's modules but those that stand apart."""

    def __init__(self, name: str, marks: Sequence[str], apart: frozenset[str], along: Sequence[str]) -> None:
        self._name = name
        self._marks = marks
        self._apart = apart
        self._along = along

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == self._name:
            spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Later(spec.loader, self._marks, self._along)
            return spec
        if not fullname.startswith(f"{self._name}.") or fullname in self._apart:
            return None
        if load_now(self._name) and fullname in sys.modules:
            # Loading the package has loaded this one: it must not be run twice. Python takes the spec that the module
            # has by now for the one that was found.
            module = sys.modules[fullname]
            spec = importlib.machinery.ModuleSpec(fullname, _There(module))
            _set_spec(module, spec)
            return spec
        return None


class _There(Loader):
    """Hands out a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        _set_spec(module, self._spec)


def _set_spec(module: ModuleType, spec: importlib.machinery.ModuleSpec | None) -> None:
    # torch has modules that refuse attributes.
    vars(module)["__spec__"] = spec

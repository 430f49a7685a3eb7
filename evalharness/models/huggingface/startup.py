"""Imports torch and transformers in about two thirds of the time, for processes that belong to evalharness alone.

transformers imports what clusters, compilers and detection models need (torch.distributed.tensor, torch._dynamo, sympy,
scipy.optimize) before it loads any model, and reads all of its 3,000 files to learn what is in them. Scoring and
generating on one machine needs none of that. A process that others share (a notebook, a test run) is left alone: what
is told here to transformers it believes to its end.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from evalharness.core.files import cache_dir, write_atomic
from evalharness.core.imports import importing, put_off

from .preload import preload_torch
from .shortcuts import META, compile_late, without_arithmetic
from .spec import HfSpec

__all__ = ["allow_lean_imports", "import_for", "import_leanly", "spare_loading"]

_ABSENT = ("is_scipy_available", "is_sklearn_available", "is_torch_distributed_available")
# The compiler: transformers and torch mark functions for it, and nothing is compiled here. One module of it is used
# without it.
_COMPILER = "torch._dynamo"
_MARKS = ("assume_constant_result", "allow_in_graph", "disable")
_APART = ("_trace_wrapped_higher_order_op",)
_UTILS = "transformers.utils"
# What that loads of machine code: it would wait for the linker.
_LINKED = ("numpy", "regex", "unicodedata", "yaml")
_STRUCTURES = "transformers.utils.import_utils"
_MODELING = ("transformers.modeling_utils", "transformers.generation.utils", "transformers.models.auto.modeling_auto")


_allowed = False


def allow_lean_imports() -> None:
    """Say that this process is evalharness' own, so that `import_for` may import leanly."""
    global _allowed
    _allowed = True


def import_for(spec: HfSpec) -> None:
    """Import what the model of `spec` needs, leanly where that is allowed and enough: other packages may need more."""
    if _may_be_lean(spec):
        import_leanly()


def spare_loading(spec: HfSpec) -> AbstractContextManager[Any]:
    """A context for loading the model of `spec` without what is computed in vain, where imports may be lean, too."""
    return without_arithmetic() if _may_be_lean(spec) else contextlib.nullcontext()


def _may_be_lean(spec: HfSpec) -> bool:
    return _allowed and spec.adapter is None and spec.quantization is None and not spec.trust_remote_code


def import_leanly() -> None:
    """Import what every checkpoint needs; does nothing where transformers is loaded already, or is not there."""
    if "transformers" in sys.modules or not all(map(importlib.util.find_spec, ("torch", "transformers"))):
        return
    with importing():
        _import()


def _import() -> None:
    if "torch" not in sys.modules:
        put_off(META)
        for name in _LINKED:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        preload_torch()
        # The linker works beside it: all of this is Python.
        with _remembered_structure():
            importlib.import_module(_UTILS)
    importlib.import_module("torch")
    if _COMPILER not in sys.modules:
        put_off(_COMPILER, marks=_MARKS, apart=_APART, along=(META,))
    with _remembered_structure():
        utils = importlib.import_module(_UTILS)
        for name in _ABSENT:
            for module in (utils, utils.import_utils):
                if hasattr(module, name):
                    setattr(module, name, _no)
        for name in _MODELING:
            importlib.import_module(name)
    compile_late()


def _no(*_: Any, **__: Any) -> bool:
    return False


class _AfterLoading(MetaPathFinder):
    """Calls `change` with one module as soon as it is loaded."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            self._change(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _remembered_structure() -> Iterator[None]:
    """Let transformers find in the cache folder what it knows of its own files, of this version and this folder."""
    finder = _AfterLoading(_STRUCTURES, _remember)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def _remember(module: ModuleType) -> None:
    import importlib.metadata

    version = importlib.metadata.version("transformers")
    read = getattr(module, "define_import_structure", None)
    if read is None or "dev" in version:
        return

    def structure(module_path: Any, prefix: str | None = None) -> Any:
        folder = Path(module_path)
        folder = folder if folder.is_dir() else folder.parent
        if folder.name != "models":
            # One model's own folder takes no time.
            return read(module_path, prefix)
        file = cache_dir() / "transformers" / f"structure-{version}-{prefix or 'plain'}.json"
        stamp = [str(folder), folder.stat().st_mtime_ns]
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["stamp"] == stamp:
                return {
                    frozenset(needs): {name: set(objects) for name, objects in modules.items()}
                    for needs, modules in kept["structure"]
                }
        found = read(module_path, prefix)
        with contextlib.suppress(OSError, TypeError, ValueError):
            plain = [
                [sorted(needs), {name: sorted(objects) for name, objects in modules.items()}]
                for needs, modules in found.items()
            ]
            write_atomic(file, json.dumps({"stamp": stamp, "structure": plain}))
        return found

    module.define_import_structure = structure  # type: ignore[attr-defined]

"""Imports a user's function from a folder, leaving Python's search path as it was."""

from __future__ import annotations

import importlib
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import UsageError
from .registry import suggestion

__all__ = ["import_function"]

_LOCK = threading.Lock()


@contextmanager
def _search(base: Path) -> Iterator[None]:
    """`base` first on the search path, and no byte code written beside the user's files."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(base))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):  # the user's module may have taken it off itself
            sys.path.remove(str(base))
        sys.dont_write_bytecode = before


def import_function(
    function: str, *, base: Path, fresh: Mapping[str, Path], place: str, what: str = "function"
) -> Callable[..., Any]:
    """The callable that `function`, "module:name", stands for, looked for in `base` first.

    The modules of `fresh` that lie under `base` are imported anew, so that what runs is what their digest names, also
    after an edit and also where another suite has a module of the same name.

    Raises:
        UsageError: the module cannot be imported, or has no such function (`what` it is called in the message, which
            begins with `place`).
    """
    module_name, _, attribute = function.partition(":")
    with _LOCK, _search(base):
        for name, path in fresh.items():
            if path.is_relative_to(base):
                if name.split(".")[0] in sys.stdlib_module_names:
                    raise UsageError(f"{place}: {path} has the name of a module of Python's own; rename it")
                sys.modules.pop(name, None)
        try:
            target: Any = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise UsageError(f"{place}: {_import_failure(module_name, error, fresh)}") from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            known = [name for name, value in vars(target).items() if callable(value) and not name.startswith("_")]
            raise UsageError(f"{place}: {module_name} has no {what} {attribute!r}{suggestion(part, known)}")
        target = getattr(target, part)
    if not callable(target):
        raise UsageError(f"{place}: {function} is a {type(target).__name__}, which cannot be called")
    checked: Callable[..., Any] = target
    return checked


def _import_failure(module: str, error: BaseException, fresh: Mapping[str, Path]) -> str:
    files = {str(path) for path in fresh.values()}
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}:{error.lineno})"
        return f"{module} cannot be imported: {type(error).__name__}: {error.msg}{place}"
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"{module} cannot be imported: {type(error).__name__}: {error}{place}"

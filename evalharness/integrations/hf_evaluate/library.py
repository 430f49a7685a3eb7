"""Imports huggingface/evaluate without what it imports for its evaluators, and loads its modules with plain errors."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.files import cache_dir
from evalharness.core.registry import suggestion

__all__ = ["Source", "import_evaluate", "load_module", "locate"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# What metric scripts use of the package, by the submodule that it is in.
_NAMES = {
    "info": ("ComparisonInfo", "EvaluationModuleInfo", "MeasurementInfo", "MetricInfo"),
    "loading": ("load",),
    "module": ("CombinedEvaluations", "Comparison", "EvaluationModule", "Measurement", "Metric", "combine"),
}


def import_evaluate(*, purpose: str) -> Any:
    """The package `evaluate`.

    Its `__init__` imports the pipelines of transformers, and torch with them, for `evaluate.evaluator`: six seconds of
    seven, and no metric needs them. So the package is put together from its submodules here, and its `__init__` runs
    when a name is asked for that they do not have.

    Raises:
        MissingExtraError: evaluate is not installed.
    """
    if "evaluate" in sys.modules:
        return sys.modules["evaluate"]
    spec = importlib.util.find_spec("evaluate")
    if spec is None or spec.loader is None:
        raise MissingExtraError("evaluate", "evaluate", purpose=purpose)
    from importlib.metadata import version

    package: Any = importlib.util.module_from_spec(spec)
    package.__version__ = package.SCRIPTS_VERSION = version("evaluate")
    sys.modules["evaluate"] = package
    try:
        for part, names in _NAMES.items():
            found = importlib.import_module(f"evaluate.{part}")
            for name in names:
                setattr(package, name, getattr(found, name))
    except (ImportError, AttributeError):
        # Another version of the package is put together otherwise: it is imported as a whole.
        for name in [name for name in sys.modules if name == "evaluate" or name.startswith("evaluate.")]:
            del sys.modules[name]
        try:
            return importlib.import_module("evaluate")
        except ImportError as error:
            raise UsageError(f"{purpose} needs the package 'evaluate', which cannot be imported: {error}") from error
    package.__getattr__ = functools.partial(_whole, package)
    return package


def _whole(package: ModuleType, name: str) -> Any:
    """The attribute `name` of the package after its `__init__` has run."""
    if name.startswith("__") or package.__spec__ is None or package.__spec__.loader is None:
        raise AttributeError(f"module 'evaluate' has no attribute {name!r}")
    del package.__dict__["__getattr__"]
    package.__spec__.loader.exec_module(package)
    return getattr(package, name)


@dataclass(frozen=True, slots=True)
class Source:
    """A module of evaluate: `path` is what `evaluate.load` is given, `digest` of a local one is of its Python files."""

    path: str
    digest: str | None
    config: str | None
    revision: str | None


def locate(text: str, *, base: Path, config: str | None, revision: str | None) -> Source:
    """The module that `text` names: a folder NAME with NAME.py in it, that file, or a name on the hub.

    Relative paths are looked up from `base`.

    Raises:
        UsageError: it is a path and there is no metric script.
    """
    path = base / Path(text).expanduser()
    if path.is_dir() or path.is_file() or not _HUB_NAME.fullmatch(text):
        script = path if path.suffix == ".py" else path / f"{path.resolve().name}.py"
        if not script.is_file():
            raise UsageError(f"evaluate: {text!r}: there is no metric script {script}{_near(script)}")
        if revision is not None:
            raise UsageError(
                f"evaluate: {text!r} is on this machine and has no revision {revision!r}; remove the option"
            )
        return Source(str(script.resolve()), _digest(script), config, None)
    return Source(text, None, config, revision)


def _near(script: Path) -> str:
    if script.parent.is_dir():
        others = sorted(path.name for path in script.parent.glob("*.py"))
        return f" (a folder NAME needs a script NAME.py; it has: {', '.join(others[:5]) or 'none'})"
    folders = sorted(path.name for path in script.parent.parent.iterdir()) if script.parent.parent.is_dir() else []
    return suggestion(script.parent.name, folders)


def _digest(script: Path) -> str:
    """The sha256 of all Python files beside the script: it may import them."""
    found = hashlib.sha256()
    for path in sorted(script.parent.rglob("*.py")):
        found.update(f"{path.relative_to(script.parent).as_posix()}\0".encode())
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()


@functools.cache
def load_module(source: Source) -> Any:
    """The module, loaded once a process. Its script runs: ask the user first.

    Raises:
        MissingExtraError: evaluate is not installed.
        UsageError: the module is not there, or its script fails.
    """
    evaluate = import_evaluate(purpose=f"the metric evaluate: {source.path}")
    options: dict[str, Any] = {} if source.revision is None else {"revision": source.revision}
    try:
        return evaluate.load(
            source.path,
            config_name=source.config,
            keep_in_memory=True,
            cache_dir=str(cache_dir() / "evaluate"),
            **options,
        )
    except FileNotFoundError as error:
        if source.digest is not None:
            raise UsageError(f"evaluate: {source.path}: {_first_line(error)}") from error
        raise UsageError(
            f"evaluate: {source.path!r} is no folder here, and the hub has no such module or cannot be reached; give "
            f"the path of a local folder: ./{source.path.rpartition('/')[2]}"
        ) from error
    except TypeError as error:
        if "'NoneType' object is not callable" not in str(error):
            raise UsageError(f"evaluate: {source.path} cannot be loaded: TypeError: {_first_line(error)}") from error
        # What evaluate says of a script in which it has found nothing.
        raise UsageError(
            f"evaluate: {source.path} holds no metric: a script needs a class that derives from evaluate.Metric"
        ) from error
    except Exception as error:  # the script is foreign code: whatever it raises is told, with what to do
        raise UsageError(
            f"evaluate: {source.path} cannot be loaded: {type(error).__name__}: {_first_line(error)}"
        ) from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

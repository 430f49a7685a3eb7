"""Finds a user's Python module and the modules beside it that it imports, without running any of them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from .canonical import digest, file_digest

__all__ = ["find_source", "sources", "sources_digest"]

_OURS = __name__.split(".")[0]


def _spec_of(module: str, search: list[str]) -> ModuleSpec | None:
    """The spec of a dotted `module`; unlike `importlib.util.find_spec`, parents are not imported."""
    spec: ModuleSpec | None = None
    places: list[str] | None = search
    parts = module.split(".")
    for depth in range(len(parts)):
        if places is None:
            return None
        spec = PathFinder.find_spec(".".join(parts[: depth + 1]), places)
        if spec is None:
            return None
        found = spec.submodule_search_locations
        places = None if found is None else list(found)
    return spec


def find_source(module: str, base: Path) -> Path | None:
    """The source file of `module`, looked for in `base` and then where Python looks; None where there is none."""
    spec = _spec_of(module, [str(base), *sys.path])
    origin = None if spec is None else spec.origin
    path = Path(origin) if origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _imports(path: Path, module: str) -> Iterator[str]:
    """The dotted names that the file may import, relative ones made absolute; nothing for a file that has errors."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*above, node.module] if node.module else above)
            if name:
                yield name
                # `from package import module` names a module where `package` has no such attribute.
                yield from (f"{name}.{alias.name}" for alias in node.names)


def sources(module: str, base: Path) -> Mapping[str, Path]:
    """`module` and, through its imports, every module under `base` or in its own package, by name."""
    start = find_source(module, base)
    if start is None:
        return {}
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        # A package's own __init__ runs before its modules do.
        for known in (name, *_parents(name)):
            # Ourselves, where we are developed: what runs already is not imported anew.
            if known in found or (known.split(".")[0] == _OURS and module.split(".")[0] != _OURS):
                continue
            path = find_source(known, base)
            if path is None or not (path.is_relative_to(base) or known.split(".")[0] == module.split(".")[0]):
                continue
            found[known] = path
            waiting.extend(_imports(path, known))
    return dict(sorted(found.items()))


def _parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:depth]) for depth in range(1, len(parts)))


def sources_digest(files: Mapping[str, Path]) -> str:
    """One sha256 over the source of each module, by module name: it does not depend on where the files lie."""
    return digest({name: file_digest(path) for name, path in files.items()})

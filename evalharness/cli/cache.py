"""Look into the response store: what it holds, remove old answers, export them.

Every answer that a model gave is kept in responses.sqlite3 in the reports folder, under the complete identity of its
request. A run takes from there what it can (`execution.cache: reuse`), so nothing is asked twice.
"""

from __future__ import annotations

import argparse
import math
import secrets
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from evalharness.core.errors import RunError, UsageError

from .columns import print_json

if TYPE_CHECKING:
    from evalharness.runner.store import ResponseStore

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cache`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="how many answers, how large, how old", allow_abbrev=False)
    stats.add_argument("--json", action="store_true", help="print JSON")
    prune = actions.add_parser("prune", help="remove old answers and give the space back", allow_abbrev=False)
    prune.add_argument(
        "--older-than-days", type=_days, metavar="N", required=True, help="remove what was stored longer ago (0: all)"
    )
    export = actions.add_parser("export", help="write all answers as JSON lines", allow_abbrev=False)
    export.add_argument("file", metavar="FILE.jsonl", help="where to; - is standard output")
    for action in (stats, prune, export):
        action.add_argument(
            "--reports", metavar="DIR", default="reports", help="folder of the store (default: reports)"
        )


def run(args: argparse.Namespace) -> int:
    """Do what `args.action` says; returns the exit code."""
    from evalharness.runner.store import ResponseStore

    path = Path(args.reports) / "responses.sqlite3"
    if not path.exists():
        raise UsageError(f"there is no response store {path}: no run has stored an answer there; name it: --reports")
    with ResponseStore.open(path) as store:
        if args.action == "stats":
            _stats(store, as_json=args.json)
        elif args.action == "prune":
            removed = store.prune(older_than_days=args.older_than_days)
            print(f"removed {removed:,} answers; {store.stats().n_entries:,} are left")
        else:
            _export(store, args.file)
    return 0


def _stats(store: ResponseStore, *, as_json: bool) -> None:
    stats = store.stats()
    if as_json:
        print_json(
            {
                "path": stats.path,
                "n_entries": stats.n_entries,
                "n_damaged": stats.n_damaged,
                "by_status": stats.by_status,
                "size_bytes": stats.size_bytes,
                "oldest_utc": stats.oldest_utc,
                "newest_utc": stats.newest_utc,
            }
        )
        return
    states = ", ".join(f"{count:,} {status}" for status, count in stats.by_status.items())
    print(f"store    {stats.path} ({stats.size_bytes / 2**20:.1f} MiB)")
    print(f"answers  {stats.n_entries:,}" + (f" ({states})" if states else ""))
    print(f"stored   {stats.oldest_utc or '-'} to {stats.newest_utc or '-'}")
    print(f"damaged  {stats.n_damaged:,}" + (" (set aside; they are asked again)" if stats.n_damaged else ""))


def _export(store: ResponseStore, file: str) -> None:
    if file == "-":
        _write_lines(store, sys.stdout)
        return
    path = Path(file)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as handle:
            count = _write_lines(store, handle)
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; choose another file") from error
    finally:
        temporary.unlink(missing_ok=True)
    print(f"wrote {count:,} answers to {path}")


def _write_lines(store: ResponseStore, handle: IO[str]) -> int:
    from evalharness.record.codec import response_to_json

    count = 0
    for response in store:
        handle.write(response_to_json(response) + "\n")
        count += 1
    return count


def _days(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError("must be a number of days, 0 or more")
    return value

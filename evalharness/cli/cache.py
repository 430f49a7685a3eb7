"""Look into the response store: what it holds, remove old answers, export them; batches that are not done with.

Every answer that a model gave is kept in responses.sqlite3 in the reports folder, under the complete identity of its
request. A run takes from there what it can (`execution.cache: reuse`), so nothing is asked twice.
"""

from __future__ import annotations

import argparse
import math
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from evalharness.core.errors import RunError, UsageError

from .columns import columns, print_json

if TYPE_CHECKING:
    from evalharness.runner.store import ResponseStore, Tally

__all__ = ["add_arguments", "run"]

_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_BYTES = {
    "": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate(("", "k", "m", "g", "t"))},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", start=1)},
}
_MOST_DAYS_SHOWN = 14
_BATCH_FIELDS = ("batch_id", "tag", "model", "address", "n_requests", "written_s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cache`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    stats = actions.add_parser(
        "stats", help="how many answers, how large, how old, of which models and days", allow_abbrev=False
    )
    stats.add_argument("--json", action="store_true", help="print JSON")
    prune = actions.add_parser("prune", help="remove old answers and give the space back", allow_abbrev=False)
    prune.add_argument(
        "--older-than", type=_days, metavar="AGE", help="remove what was stored longer ago: 12h, 30d, 8w (0d: all)"
    )
    prune.add_argument(
        "--max-size", type=_bytes, metavar="SIZE", help="remove the oldest until the file is no larger: 500MB, 2GB"
    )
    export = actions.add_parser("export", help="write all answers as JSON lines", allow_abbrev=False)
    export.add_argument("file", metavar="FILE.jsonl", help="where to; - is standard output")
    batches = actions.add_parser(
        "batches",
        help="the batches that were handed in and are not done with (execution.mode: batch)",
        allow_abbrev=False,
    )
    batches.add_argument(
        "--forget", metavar="ID", help="give this batch up: the next run hands its open requests in again"
    )
    batches.add_argument("--json", action="store_true", help="print JSON")
    for action in (stats, prune, export, batches):
        action.add_argument(
            "--reports", metavar="DIR", default="reports", help="folder of the store (default: reports)"
        )


def run(args: argparse.Namespace) -> int:
    """Do what `args.action` says; returns the exit code."""
    from evalharness.runner.store import ResponseStore

    if args.action == "prune" and args.older_than is None and args.max_size is None:
        raise UsageError("say what may go: --older-than 30d, --max-size 2GB, or both")

    path = Path(args.reports) / "responses.sqlite3"
    if not path.exists():
        raise UsageError(f"there is no response store {path}: no run has stored an answer there; name it: --reports")
    if args.action == "batches":
        _batches(path, forget=args.forget, as_json=args.json)
        return 0
    with ResponseStore.open(path) as store:
        if args.action == "stats":
            _stats(store, as_json=args.json)
        elif args.action == "prune":
            removed = store.prune(older_than_days=args.older_than, max_bytes=args.max_size)
            left = store.stats()
            print(f"removed {removed:,} answers; {left.n_entries:,} are left ({_size(left.size_bytes)})")
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
                "by_model": {name: tally._asdict() for name, tally in stats.by_model.items()},
                "by_day": {day: tally._asdict() for day, tally in stats.by_day.items()},
                "size_bytes": stats.size_bytes,
                "oldest_utc": stats.oldest_utc,
                "newest_utc": stats.newest_utc,
            }
        )
        return
    states = ", ".join(f"{count:,} {status}" for status, count in stats.by_status.items())
    print(f"store    {stats.path} ({_size(stats.size_bytes)})")
    print(f"answers  {stats.n_entries:,}" + (f" ({states})" if states else ""))
    print(f"stored   {stats.oldest_utc or '-'} to {stats.newest_utc or '-'}")
    print(f"damaged  {stats.n_damaged:,}" + (" (set aside; they are asked again)" if stats.n_damaged else ""))
    _table("model", list(stats.by_model.items()))
    days = list(stats.by_day.items())
    _table("day (UTC)", days[-_MOST_DAYS_SHOWN:])
    if len(days) > _MOST_DAYS_SHOWN:
        print(f"and {len(days) - _MOST_DAYS_SHOWN:,} days before; --json has them all")


def _batches(path: Path, *, forget: str | None, as_json: bool) -> None:
    from datetime import UTC, datetime

    from evalharness.runner.batch_ledger import BatchLedger

    with BatchLedger.open(path) as ledger:
        found = ledger.batches()
        if forget is not None:
            given_up = [batch for batch in found if forget in (batch.batch_id, batch.tag)]
            if not given_up:
                known = ", ".join(batch.batch_id or batch.tag for batch in found) or "none"
                raise UsageError(f"there is no open batch {forget!r}; there are: {known}")
            ledger.drop(batch.number for batch in given_up)
            print(f"gave {forget} up, with {sum(batch.n_requests for batch in given_up):,} requests")
            return
    if as_json:
        print_json([{field: getattr(batch, field) for field in _BATCH_FIELDS} for batch in found])
        return
    if not found:
        print("no batch is open")
        return
    rows = [
        (
            batch.batch_id or f"{batch.tag} (not known whether it was handed in)",
            batch.model,
            f"{batch.n_requests:,}",
            datetime.fromtimestamp(batch.written_s, UTC).strftime("%Y-%m-%d %H:%M"),
            batch.address,
        )
        for batch in found
    ]
    print(columns(["batch", "model", "requests", "handed in (UTC)", "address"], rows, right=["requests"]))


def _table(title: str, tallies: Sequence[tuple[str, Tally]]) -> None:
    if tallies:
        rows = [(name or "(not written down)", f"{t.n_entries:,}", _size(t.size_bytes)) for name, t in tallies]
        print(f"\n{columns([title, 'answers', 'size'], rows, right=['answers', 'size'])}")


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


def _size(n_bytes: int) -> str:
    """Bytes in the unit that suits them."""
    value, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _days(text: str) -> float:
    """Days of an age such as 12h, 30d or 8w."""
    value, unit = _quantity(text)
    if value is None or unit not in _DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write a number and h, d or w, as in 30d")
    return value * _DAYS[unit]


def _bytes(text: str) -> int:
    """Bytes of a size such as 2GB, 500MB, 1.5GiB or 100000."""
    value, unit = _quantity(text)
    if value is None or unit not in _BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write a number and kB, MB, GB or GiB, as in 2GB")
    return int(value * _BYTES[unit])


def _quantity(text: str) -> tuple[float | None, str]:
    """The number at the beginning of `text` and the unit after it, in lower case."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or not math.isfinite(float(match[1])):
        return None, ""
    return float(match[1]), match[2].lower()

"""Say what monitors have recorded, newest first, and what is next.

MONITOR is the name of a recorded monitor, or its file; without it, all monitors of the registry are listed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .columns import columns, print_json
from .monitor_run import as_json
from .runs import add_place_arguments, existing_registry

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from evalharness.monitor.store import Recorded

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor status`."""
    parser.add_argument("monitor", metavar="MONITOR", nargs="?", help="name or file of one (default: all)")
    parser.add_argument("--limit", type=int, metavar="N", default=20, help="at most N intervals (default: 20)")
    parser.add_argument("--revisions", action="store_true", help="all revisions, not the newest only")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it; returns the exit code."""
    from evalharness.record.database import reading

    name = _name(args.monitor)
    with existing_registry(args) as registry, reading(registry.engine) as connection:
        return _one(connection, name, args) if name is not None else _all(connection, args)


def _name(given: str | None) -> str | None:
    if given is not None and Path(given).is_file():
        from evalharness.monitor.define import load_definition

        return load_definition(given).name
    return given


def _all(connection: Connection, args: argparse.Namespace) -> int:
    from evalharness.monitor.store import monitors, recorded

    rows = []
    for monitor in monitors(connection):
        last = next(iter(recorded(connection, monitor.name, limit=1)), None)
        rows.append((monitor, last))
    if args.json:
        print_json([{"name": m.name, "path": m.path, "last": as_json(last) if last else None} for m, last in rows])
        return 0
    if not rows:
        print("no monitors yet; evalharness monitor run MONITOR records the first interval")
        return 0
    heads = ("MONITOR", "LAST INTERVAL", "STATUS", "RESPONSES", "DRIFTED", "FILE")
    cells = [
        (m.name, str(last.interval), _state(last), f"{last.n_rows:,}", _drifted(last), m.path)
        if last
        else (m.name, "-", "-", "-", "-", m.path)
        for m, last in rows
    ]
    print(columns(heads, cells, right=("RESPONSES", "DRIFTED")))
    return 0


def _one(connection: Connection, name: str, args: argparse.Namespace) -> int:
    from evalharness.core.errors import UsageError
    from evalharness.core.registry import suggestion
    from evalharness.monitor.store import monitors, recorded

    known = [monitor.name for monitor in monitors(connection)]
    if name not in known:
        near = suggestion(name, known) or (f"; there is: {', '.join(known)}" if known else "; none has run yet")
        raise UsageError(f"there is no monitor {name!r} in the registry{near}")
    rows = recorded(connection, name, limit=args.limit, all_revisions=args.revisions)
    if args.json:
        print_json([as_json(row) for row in rows])
        return 0
    heads = ("INTERVAL", "REV", "STATUS", "RESPONSES", "LATE", "BAD ROWS", "DRIFTED", "NOTE")
    cells = [
        (
            str(row.interval),
            row.revision,
            _state(row),
            f"{row.n_rows:,}",
            f"{row.n_late:,}",
            f"{row.n_quarantined:,}",
            _drifted(row),
            row.message,
        )
        for row in rows
    ]
    print(columns(heads, cells, right=("REV", "RESPONSES", "LATE", "BAD ROWS", "DRIFTED")))
    return 0


def _state(row: Recorded) -> str:
    return row.status.replace("_", " ")


def _drifted(row: Recorded) -> str:
    return f"{row.n_drifted}/{row.n_findings}" if row.n_findings else "-"

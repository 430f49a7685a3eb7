"""List, show, promote and delete recorded runs.

RUN is the id of a run, a beginning or an end of it that no other id has, `latest`, `suite@label` for the run that is
promoted under a label, or the folder of a record.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.core.errors import UsageError

from .beside import ratings_beside
from .columns import columns, print_json

if TYPE_CHECKING:
    from evalharness.record import Record, RunInfo, RunRegistry

__all__ = ["add_arguments", "add_place_arguments", "add_promote_arguments", "existing_registry", "promote", "run"]


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the runs are."""
    parser.add_argument("--reports", metavar="DIR", default="reports", help="folder of records (default: reports)")
    parser.add_argument(
        "--registry",
        metavar="URL",
        help="database of runs (default: $EVALHARNESS_REGISTRY, else SQLite in the reports folder)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_promote_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `promote` and `runs promote`."""
    parser.add_argument("record", metavar="RUN", help="which run")
    parser.add_argument("--as", dest="label", metavar="LABEL", default="production", help="label (default: production)")
    parser.add_argument("--note", default="", help="why; kept in the history")
    parser.add_argument("--force", action="store_true", help="promote a run that is not complete")
    add_place_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `runs`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the runs, newest first", allow_abbrev=False)
    listing.add_argument("--suite", help="only the runs of this suite")
    listing.add_argument("--limit", type=_count, metavar="N", default=20, help="at most N runs (default: 20; 0: all)")
    add_place_arguments(listing)
    show = actions.add_parser("show", help="one run: what it is and what it measured", allow_abbrev=False)
    show.add_argument("record", metavar="RUN", help="which run")
    add_place_arguments(show)
    add_promote_arguments(
        actions.add_parser("promote", help="make a run the baseline of its suite", allow_abbrev=False)
    )
    remove = actions.add_parser("delete", help="remove a run and its folder", allow_abbrev=False)
    remove.add_argument("record", metavar="RUN", help="which run")
    remove.add_argument("--force", action="store_true", help="delete a run that is promoted")
    add_place_arguments(remove)
    rescan = actions.add_parser("rescan", help="register the records found in the reports folder", allow_abbrev=False)
    add_place_arguments(rescan)


def run(args: argparse.Namespace) -> int:
    """Do what `args.action` says; returns the exit code."""
    actions = {"list": _list, "show": _show, "promote": promote, "delete": _delete, "rescan": _rescan}
    return actions[args.action](args)


def promote(args: argparse.Namespace) -> int:
    """Make a run the baseline of its suite."""
    with existing_registry(args) as registry:
        promoted = registry.promote(args.record, args.label, note=args.note, force=args.force)
    if args.json:
        print_json(promoted)
    else:
        print(f"{promoted.run_id} is now {promoted.suite_name}@{promoted.label}")
    return 0


def existing_registry(args: argparse.Namespace) -> RunRegistry:
    """The registry, where there is one: looking at runs makes no folder."""
    from evalharness.record import RunRegistry
    from evalharness.record.registry import REGISTRY_VARIABLE

    reports = Path(args.reports)
    if not args.registry and not os.environ.get(REGISTRY_VARIABLE) and not reports.is_dir():
        raise UsageError(f"there is no folder {reports}: make a run with evalharness run SUITE, or name it: --reports")
    return RunRegistry.open(args.registry, reports=reports)


def _list(args: argparse.Namespace) -> int:
    with existing_registry(args) as registry:
        runs = registry.list(suite=args.suite, limit=(args.limit or None))
    if args.json:
        print_json(runs)
    elif runs:
        heads = ("RUN", "SUITE", "CREATED", "SAMPLES", "STATE", "GATES", "PROMOTED AS")
        rows = [
            (r.id, r.suite_name, _minute(r.created_utc), r.n_samples, _state(r), r.verdict or "-", _labels(r))
            for r in runs
        ]
        print(columns(heads, rows, right=("SAMPLES",)))
    else:
        print("no runs yet; evalharness run SUITE makes one", file=sys.stderr)
    return 0


def _show(args: argparse.Namespace) -> int:
    from evalharness.record import Record

    folder = Path(args.record)
    info = None
    if not (folder / "run.json").is_file():
        with existing_registry(args) as registry:
            folder = registry.resolve(args.record)
            info = next((run for run in registry.list() if run.path == folder), None)
    record = Record.open(folder)
    if args.json:
        print_json(_as_json(record, info))
        return 0
    from evalharness.report import print_summary

    print(_head(record, info), flush=True)
    print()
    sys.stdout.flush()
    print_summary(record, _gate(record), ratings=ratings_beside(record, Path(args.reports), url=args.registry))
    return 0


def _head(record: Record, info: RunInfo | None) -> str:
    m = record.manifest
    lines = [
        ("run", m.id if m.name in (m.suite_name, m.id) else f"{m.id} ({m.name})"),
        ("suite", f"{m.suite_name} (digest {m.suite_digest[:12]})"),
        ("created", f"{m.created_utc}, finished {m.finished_utc}, by evalharness {m.evalharness_version}"),
        ("path", str(record.folder)),
        *((f"model {name}", _identity(identity)) for name, identity in m.models.items()),
        *(
            (f"data {name}", f"{data.get('n_rows')} rows, digest {str(data.get('digest'))[:12]}")
            for name, data in m.datasets.items()
        ),
    ]
    if m.parent:
        lines.append(("scored from", m.parent))
    if info is not None:
        lines.append(("gates", info.verdict or "not decided"))
        lines.append(("promoted as", _labels(info)))
    width = max(len(name) for name, _ in lines)
    from evalharness.report.text import single_line

    return "\n".join(f"{single_line(name):<{width}}  {single_line(text)}" for name, text in lines)


def _identity(identity: Any) -> str:
    """The few words of a model's identity that tell it apart."""
    shown = [
        f"{key}={value}" for key, value in identity.items() if isinstance(value, str | int | float) and value != ""
    ]
    text = ", ".join(shown)
    return text if len(text) <= 160 else text[:159] + "…"


def _as_json(record: Record, info: RunInfo | None) -> dict[str, Any]:
    m = record.manifest
    return {
        "id": m.id,
        "name": m.name,
        "suite_name": m.suite_name,
        "suite_digest": m.suite_digest,
        "created_utc": m.created_utc,
        "finished_utc": m.finished_utc,
        "complete": m.complete,
        "parent": m.parent,
        "path": record.folder,
        "verdict": info.verdict if info else None,
        "labels": info.labels if info else (),
        "models": m.models,
        "datasets": m.datasets,
        "tasks": m.tasks,
        "results": m.results,
        "execution": m.execution,
        "notes": m.notes,
    }


def _gate(record: Record) -> dict[str, Any] | None:
    """What the gates said, where a verdict lies beside the record."""
    path = record.folder / "gate.json"
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) and "verdicts" in body else None


def _delete(args: argparse.Namespace) -> int:
    with existing_registry(args) as registry:
        gone = registry.delete(args.record, force=args.force)
    if args.json:
        print_json(gone)
    else:
        print(f"deleted {gone.id} and {gone.path}")
    return 0


def _rescan(args: argparse.Namespace) -> int:
    with existing_registry(args) as registry:
        found = registry.rescan()
    if args.json:
        print_json(found)
    else:
        print(f"{found.n_found} records found, {len(found.added)} of them new to the registry")
    for name, fault in found.damaged.items():
        print(f"evalharness: not registered: {name}: {fault}", file=sys.stderr)
    for run_id in found.missing:
        print(
            f"evalharness: run {run_id} is registered, but its folder is gone; forget it: "
            f"evalharness runs delete {run_id}",
            file=sys.stderr,
        )
    return 2 if found.damaged else 0


def _state(run: RunInfo) -> str:
    return "complete" if run.complete else "NOT COMPLETE"


def _labels(run: RunInfo) -> str:
    return ", ".join(run.labels) or "-"


def _minute(utc: str) -> str:
    return utc[:16].replace("T", " ")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value

"""Note what was put into production, and when: a mark under the monitor's charts. Without a text, list the notes.

MONITOR is the name of a monitor. A pipeline that deploys calls this as its last step.
"""

from __future__ import annotations

import argparse
import dataclasses
from datetime import UTC, datetime

from .columns import columns, print_json
from .monitor_desk import as_plain, minute_text, open_registry, user_name
from .runs import add_place_arguments

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor mark`."""
    parser.add_argument("monitor", metavar="MONITOR", help="name of the monitor")
    parser.add_argument("text", nargs="?", metavar="TEXT", help="what was deployed, as in: prompt v12")
    parser.add_argument("--at", type=_time, metavar="TIME", help="when, in ISO 8601 (default: now; without a zone UTC)")
    parser.add_argument("--by", default=user_name(), metavar="WHO", help="who did it (default: %(default)s)")
    parser.add_argument("--remove", type=int, metavar="NUMBER", help="take the note of this number back")
    add_place_arguments(parser)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of ISO 8601; write 2026-11-23T14:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from evalharness.record.database import writing
    from evalharness.record.deployments import Deployment, add_deployment, deployments_of, remove_deployment

    now = datetime.now(UTC)
    found: tuple[Deployment, ...]
    with open_registry(args) as registry, writing(registry.engine) as connection:
        if args.remove is not None:
            found = (remove_deployment(connection, args.monitor, args.remove),)
        elif args.text is not None:
            at = args.at or now
            found = (add_deployment(connection, args.monitor, at=at, text=args.text, by=args.by, now=now),)
        else:
            found = deployments_of(connection, args.monitor)
    if args.json:
        print_json([{k: as_plain(v) for k, v in dataclasses.asdict(one).items()} for one in found])
    elif args.remove is not None or args.text is not None:
        (one,) = found
        done = "is forgotten" if args.remove is not None else "is noted"
        print(f"{one.monitor}: {one.text!r}, deployed {minute_text(one.at_utc)} UTC, {done} (number {one.id})")
    elif not found:
        print(f"nothing is noted: evalharness monitor mark {args.monitor} 'prompt v12'")
    else:
        rows = [[str(one.id), minute_text(one.at_utc), one.text, one.noted_by] for one in found]
        print(columns(["NUMBER", "DEPLOYED", "WHAT", "NOTED BY"], rows, right=["NUMBER"]))
    return 0

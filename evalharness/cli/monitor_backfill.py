"""Run the intervals of a span of time that are not recorded, oldest first.

One that fails does not end the others. What is recorded already is left as it is, unless --again is given.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from .columns import print_json
from .monitor import add_definition_arguments, definition_of
from .monitor_run import add_asking_arguments, add_lease_arguments, as_json, leased, open_registry, stops
from .runs import add_place_arguments

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor backfill`."""
    add_definition_arguments(parser)
    parser.add_argument(
        "--span", metavar="START/END", required=True, help="which time, in ISO 8601: 2026-01-01/2026-02-01"
    )
    parser.add_argument("--again", action="store_true", help="read recorded intervals again, too")
    parser.add_argument("--dry-run", action="store_true", help="only say which intervals would be run")
    add_lease_arguments(parser)
    add_asking_arguments(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run them; returns the exit code: 3 where one failed."""
    with stops() as beat:
        return _run(args, beat)


def _run(args: argparse.Namespace, beat: Callable[[], None]) -> int:
    from evalharness.monitor.assemble import deliverer, tools_of
    from evalharness.monitor.backfill import backfill, not_recorded
    from evalharness.monitor.daemon import told
    from evalharness.monitor.schedule import parse_interval
    from evalharness.monitor.store import ensure_monitor
    from evalharness.record.database import writing

    definition = definition_of(args)
    span = parse_interval(args.span, definition.monitor.timezone, place="--span")
    outcomes = []
    with open_registry(args) as registry:
        tools = tools_of(registry, allow_code=args.allow_code, ask_late=args.ask_late)
        until = min(span.end, tools.clock() - definition.schedule.lag)
        intervals = not_recorded(tools, definition, span.start, until, again=args.again)
        if args.dry_run:
            if args.json:
                print_json([str(interval) for interval in intervals])
            else:
                for interval in intervals:
                    print(interval)
            return 0
        if intervals:
            with leased(tools, definition, args.lease_wait_s, beat) as lease:
                with writing(tools.engine) as connection:
                    ensure_monitor(connection, definition, tools.clock())
                for outcome in backfill(tools, definition, intervals, lease, beat=beat):
                    outcomes.append(outcome)
                    if not args.json:
                        print(told(definition.name, outcome.row.interval, outcome), flush=True)
            deliverer(registry, os.environ)()
    if args.json:
        print_json([{"action": outcome.action, "row": as_json(outcome.row)} for outcome in outcomes])
    elif not intervals:
        print(f"nothing to do: all whole intervals within {span} are recorded", file=sys.stderr)
    return 3 if any(outcome.action == "failed" for outcome in outcomes) else 0

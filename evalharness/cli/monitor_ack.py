"""Say that you look after an alert: it is not sent again until it ends, and its end is."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from .columns import print_json
from .monitor_desk import alert_row, open_registry, user_name
from .runs import add_place_arguments

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor ack`."""
    parser.add_argument("alert", metavar="ALERT", help="fingerprint, or its beginning")
    parser.add_argument("--by", default=user_name(), metavar="WHO", help="who looks after it (default: %(default)s)")
    parser.add_argument("--note", default="", help="kept in the history")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from evalharness.monitor.alerts import acknowledge
    from evalharness.record.database import writing

    with open_registry(args) as registry, writing(registry.engine) as connection:
        alert = acknowledge(connection, args.alert, by=args.by, now=datetime.now(UTC), note=args.note)
    if args.json:
        print_json(alert_row(alert))
    else:
        what = f"{alert.fingerprint} ({alert.monitor}, {alert.alert_key})"
        print(f"{what} is looked after by {args.by}; its end is still sent")
    return 0

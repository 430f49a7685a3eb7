"""Send nothing of some alerts for a while.

A MATCHER compares a label of alerts: LABEL=VALUE, LABEL!=VALUE, LABEL=~REGEX, LABEL!~REGEX; all must agree. Every
alert has the labels monitor, alert and severity. The end of an alert that was told of is sent in a silence, too.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from evalharness.core.errors import UsageError

from .columns import columns, print_json
from .monitor_desk import minute_text, open_registry, user_name
from .runs import add_place_arguments

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor silence`."""
    parser.add_argument(
        "matchers", nargs="*", metavar="MATCHER", help="LABEL=VALUE, !=, =~REGEX, !~REGEX; all must agree"
    )
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--for", dest="lasts", metavar="TIME", help="how long: 30min, 2h, 1d")
    time.add_argument("--until", metavar="TIME", help="until when: 2026-03-01T12:00+01:00 (without a zone: UTC)")
    parser.add_argument("--by", default=user_name(), metavar="WHO", help="who says so (default: %(default)s)")
    parser.add_argument("--comment", default="", help="why")
    parser.add_argument("--list", action="store_true", help="list the silences that are not over")
    parser.add_argument("--end", type=int, metavar="N", help="end the silence number N now")
    add_place_arguments(parser)


_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from evalharness.monitor.alerts import add_silence, end_silence, parse_matcher, silences
    from evalharness.record.database import reading, writing

    now = datetime.now(UTC)
    with open_registry(args) as registry:
        if args.list:
            with reading(registry.engine) as connection:
                found = silences(connection, now)
            rows = [
                (s.id, ", ".join(map(str, s.matchers)), minute_text(s.until_utc), s.created_by, s.comment)
                for s in found
            ]
            if args.json:
                heads = ("id", "matchers", "until_utc", "created_by", "comment")
                print_json([dict(zip(heads, row, strict=True)) for row in rows])
            else:
                print(columns(("silence", "alerts", "until", "by", "comment"), rows) if rows else "no silence holds")
            return 0
        with writing(registry.engine) as connection:
            if args.end is not None:
                end_silence(connection, args.end, now)
                print(f"silence {args.end} is over")
                return 0
            until = _until(args, now)
            matchers = [parse_matcher(text) for text in args.matchers]
            number = add_silence(connection, matchers, until=until, now=now, created_by=args.by, comment=args.comment)
    if args.json:
        print_json({"id": number, "until_utc": until.isoformat()})
    else:
        print(
            f"silence {number} holds until {minute_text(until)} UTC; end it earlier: "
            f"evalharness monitor silence --end {number}"
        )
    return 0


def _until(args: argparse.Namespace, now: datetime) -> datetime:
    if args.lasts is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h|d|w)", args.lasts)
        if found is None:
            raise UsageError(f"--for {args.lasts!r}: write a number and s, min, h, d or w: 30min, 2h")
        try:
            return now + timedelta(seconds=float(found[1]) * _UNITS[found[2]])
        except OverflowError:
            raise UsageError(f"--for {args.lasts!r}: too long") from None
    if args.until is None:
        raise UsageError("say how long the silence holds: --for 2h, or --until 2026-03-01T12:00")
    try:
        time = datetime.fromisoformat(args.until)
    except ValueError:
        raise UsageError(f"--until {args.until!r}: write a time as 2026-03-01T12:00+01:00") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)

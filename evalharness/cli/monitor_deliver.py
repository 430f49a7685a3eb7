"""Send the messages that wait in the outbox.

Several of these may run at once. A message that cannot be sent waits longer each time and is given up after half a day.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime

from .columns import columns, print_json
from .monitor_desk import as_plain, minute_text, open_registry
from .runs import add_place_arguments

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor deliver`."""
    parser.add_argument("--retry-dead", action="store_true", help="try again those that were given up")
    parser.add_argument("--list", action="store_true", help="list what waits or was given up, and send nothing")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from evalharness.monitor.alerts import deliver
    from evalharness.monitor.channels import Channels
    from evalharness.monitor.outbox import revive, waiting_rows
    from evalharness.record.database import reading, writing

    with open_registry(args) as registry:
        if args.list:
            with reading(registry.engine) as connection:
                waiting = waiting_rows(connection)
            if args.json:
                print_json([{k: as_plain(v) for k, v in row._asdict().items()} for row in waiting])
            else:
                heads = ("message", "monitor", "channel", "kind", "state", "attempts", "next", "error")
                rows = [
                    (
                        w.key[:12],
                        w.monitor,
                        w.channel,
                        w.kind,
                        w.state,
                        w.attempts,
                        minute_text(w.due_utc),
                        w.error or "-",
                    )
                    for w in waiting
                ]
                print(columns(heads, rows, right=("attempts",)) if rows else "nothing waits")
            return 0
        if args.retry_dead:
            with writing(registry.engine) as connection:
                revive(connection, datetime.now(UTC))
        done = deliver(registry, lambda: datetime.now(UTC), Channels(os.environ))
    if args.json:
        print_json(done)
    else:
        print(f"{done.n_sent} sent, {done.n_failed} failed and tried again later, {done.n_dead} given up")
        if done.n_perhaps_repeated:
            print(f"{done.n_perhaps_repeated} of them may have arrived before; receivers tell by the key")
    if done.n_failed or done.n_dead:
        print("evalharness: not all messages were sent; see: evalharness monitor deliver --list", file=sys.stderr)
        return 3
    return 0

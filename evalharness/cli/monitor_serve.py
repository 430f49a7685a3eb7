"""Run monitors when they are due, until told to end (SIGTERM or Ctrl-C).

Several of these may serve the same monitors on one registry: each interval is run once. One that is told to end
finishes the interval in progress, or gives it up after half a minute; the next one goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from types import FrameType

from .listening import address_of
from .monitor import definition_of
from .monitor_desk import listening_at
from .monitor_run import add_asking_arguments, open_registry
from .runs import add_place_arguments

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor serve`."""
    parser.add_argument("monitors", metavar="MONITOR", nargs="+", help="suites with `monitor:`, or monitors' own files")
    parser.add_argument("--once", action="store_true", help="run what is due now, and end")
    parser.add_argument("--metrics", metavar="HOST:PORT", help="answer Prometheus at HOST:PORT/metrics meanwhile")
    add_asking_arguments(parser, late=False)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve; returns the exit code."""
    from evalharness.core.errors import UsageError
    from evalharness.core.visible import safe
    from evalharness.monitor.assemble import deliverer, system_clock, tools_of
    from evalharness.monitor.daemon import Daemon
    from evalharness.monitor.schedule import utc_text

    definitions = [definition_of(argparse.Namespace(monitor=path, overrides=[])) for path in args.monitors]
    names = [definition.name for definition in definitions]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of the monitors are called {name!r}; names must differ, as intervals go by them")

    def log(line: str) -> None:
        print(f"{utc_text(system_clock().replace(microsecond=0))} {safe(line)}", file=sys.stderr, flush=True)

    with open_registry(args) as registry:
        tools = tools_of(registry, allow_code=args.allow_code)
        daemon = Daemon(tools, definitions, deliver=deliverer(registry, os.environ), log=log)
        if args.once:
            daemon.look()
            return 0
        woken = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            daemon.stop()
            woken.set()
            # Told twice, it ends at once.
            signal.signal(number, signal.SIG_DFL)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        for definition in definitions:
            due = definition.schedule.next_due(system_clock())
            log(f"{definition.name}: next interval is due at {utc_text(due.replace(microsecond=0))}")
        with contextlib.ExitStack() as stack:
            if args.metrics is not None:
                from evalharness.monitor.prometheus import serving_metrics

                listening = listening_at(args.metrics, option="--metrics")
                stack.enter_context(serving_metrics(registry, system_clock, listening))
                log(f"metrics at http://{address_of(listening)}/metrics")
            try:
                daemon.serve(woken.wait)
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        log("told to end: no interval is in progress")
    return 0

"""Print metrics for Prometheus, or answer its scrapes."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .monitor_desk import listening_at, open_registry
from .runs import add_place_arguments

if TYPE_CHECKING:
    from evalharness.record import RunRegistry

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `monitor metrics`."""
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="answer http://HOST:PORT/metrics, as 127.0.0.1:9464 (default: print once)"
    )
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from evalharness.monitor.prometheus import exposition

    with open_registry(args) as registry:
        if args.listen is None:
            sys.stdout.write(exposition(registry, lambda: datetime.now(UTC)).decode())
            return 0
        return _serve(args, registry)


def _serve(args: argparse.Namespace, registry: RunRegistry) -> int:
    import signal
    import threading

    from evalharness.monitor.prometheus import serving_metrics

    from .listening import address_of

    listening = listening_at(args.listen, option="--listen")
    woken = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda number, frame: woken.set()) for number in numbers}
    with serving_metrics(registry, lambda: datetime.now(UTC), listening):
        print(f"metrics at http://{address_of(listening)}/metrics; Ctrl-C stops", file=sys.stderr, flush=True)
        woken.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    return 0

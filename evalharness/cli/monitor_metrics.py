"""Print metrics for Prometheus, or answer its scrapes."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evalharness.core.errors import UsageError

from .monitor_desk import open_registry
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
    import asyncio
    import signal

    from aiohttp import web

    from evalharness.monitor.prometheus import metrics_app

    from .listening import address_of, listening_on, until_signalled

    host, _, port = args.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {args.listen!r}: write HOST:PORT, as 127.0.0.1:9464")
    listening = listening_on(host.strip("[]"), int(port))

    async def serve() -> int:
        stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        runner = web.AppRunner(metrics_app(registry, lambda: datetime.now(UTC)), access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        print(f"metrics at http://{address_of(listening)}/metrics; Ctrl-C stops", file=sys.stderr, flush=True)
        try:
            with until_signalled({signal.SIGINT: 0, signal.SIGTERM: 0}, stopped):
                return await stopped
        finally:
            await runner.cleanup()

    return asyncio.run(serve())

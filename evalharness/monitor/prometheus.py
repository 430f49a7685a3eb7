"""What Prometheus scrapes: the state of monitors, alerts and runs, read from the registry at each scrape.

Nothing is counted in memory, so that any process (or several) may answer, and a restart loses nothing. Labels are
bounded: a family has at most `MOST_SERIES` series, and `evalharness_series_dropped` says how many were left out.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evalharness.core.errors import MissingExtraError
from evalharness.core.visible import safe
from evalharness.record.database import reading

from .prometheus_families import FAMILIES, LONGEST_LABEL, MOST_SERIES

if TYPE_CHECKING:
    from aiohttp import web

    from evalharness.record import RunRegistry

__all__ = ["exposition", "metrics_app", "serving_metrics"]


def exposition(registry: RunRegistry, clock: Callable[[], datetime]) -> bytes:
    """The text format of Prometheus (version 0.0.4), UTF-8.

    Raises:
        MissingExtraError: if prometheus_client is not installed.
        RunError: if the registry cannot be read.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    except ModuleNotFoundError as error:
        raise MissingExtraError("prometheus_client", "monitor", purpose="the metrics for Prometheus") from error
    found: list[Any] = []
    dropped = GaugeMetricFamily(
        "evalharness_series_dropped", "Series that were left out of a family.", labels=["family"]
    )
    with reading(registry.engine) as connection:
        for family in FAMILIES:
            make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = make(family.name, family.help, labels=list(family.labels))
            samples = list(family.samples(connection, clock()))
            for labels, value in samples[:MOST_SERIES]:
                metric.add_metric([safe(label)[:LONGEST_LABEL] for label in labels], value)
            dropped.add_metric([family.name], max(0, len(samples) - MOST_SERIES))
            found.append(metric)

    class _All:
        def collect(self) -> Iterator[Any]:
            yield from (*found, dropped)

    collected = CollectorRegistry(auto_describe=False)
    collected.register(_All())
    text: bytes = generate_latest(collected)
    return text


def metrics_app(registry: RunRegistry, clock: Callable[[], datetime]) -> web.Application:
    """A web application that answers `/metrics`; the daemon may run it beside its own work."""
    from aiohttp import web

    async def metrics(_: web.Request) -> web.Response:
        text = await asyncio.to_thread(exposition, registry, clock)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app


@contextmanager
def serving_metrics(registry: RunRegistry, clock: Callable[[], datetime], listening: socket.socket) -> Iterator[None]:
    """In the block `/metrics` is answered on `listening`, by a thread of its own: for those that are busy otherwise."""
    from aiohttp import web

    loop = asyncio.new_event_loop()
    runner = web.AppRunner(metrics_app(registry, clock), access_log=None)

    async def start() -> None:
        await runner.setup()
        await web.SockSite(runner, listening).start()

    thread = threading.Thread(target=loop.run_forever, name="metrics", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result()
        yield
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

"""What the engine works with in earnest: the registry of runs, real sources, real alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from .alerts.heartbeat import note_window, seen_window
from .alerts.observe import observe
from .asking import Asking, system_clock
from .conditions import Window
from .run import Tools
from .schedule import Interval

if TYPE_CHECKING:
    from evalharness.record import RunRegistry
    from evalharness.suite.monitor_entry import Monitor

    from .measurement import Measure

__all__ = ["deliverer", "rewind", "system_clock", "tools_of"]


def tools_of(
    registry: RunRegistry,
    *,
    clock: Callable[[], datetime] = system_clock,
    measure: Measure | None = None,
    allow_code: bool = False,
    ask_late: bool = False,
) -> Tools:
    """Tools that read real sources and move real alerts; `allow_code` and `ask_late` as in `Asking`."""
    if measure is None:
        from .measure import Measurer
        from .state_kit import StateKit

        measure = Measurer(registry, StateKit, Asking(clock, allow_code, ask_late))
    return Tools(registry.engine, Path(registry.reports), clock, measure, observe, rewind)


def deliverer(
    registry: RunRegistry, environ: Mapping[str, str], *, clock: Callable[[], datetime] = system_clock
) -> Callable[[], object]:
    """What sends the messages that wait in the registry; one that cannot be sent waits there for the next time."""
    from .alerts.deliver import deliver
    from .channels.transport import Channels

    transport = Channels(environ)
    return lambda: deliver(registry, clock, transport)


def rewind(connection: Connection, monitor: Monitor, interval: Interval, now: datetime) -> None:
    """Let the alerts look at what comes after `interval` as new: what they saw there was read too early."""
    assert monitor.name is not None  # a definition has a name
    seen = seen_window(connection, monitor.name)
    if seen is not None and seen.end > interval.end:
        window = Window(interval.start, interval.end, -1)
        note_window(connection, monitor.name, monitor.alerts, window, now, due=None)

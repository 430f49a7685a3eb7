"""When monitors look again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from ...record.monitor_tables import MONITORS
from .monitors import MonitorRow, monitor_of

__all__ = ["Upcoming", "upcoming"]


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A monitor and when its next interval is due (None: not known); `is_late` if that has passed."""

    monitor: MonitorRow
    due_utc: datetime | None
    is_late: bool


def upcoming(
    connection: Connection, next_due: Callable[[Mapping[str, Any], datetime], datetime | None], now: datetime
) -> tuple[Upcoming, ...]:
    """The monitors, the one that is due next first."""
    rows = []
    for name, text in connection.execute(select(MONITORS.c.name, MONITORS.c.definition)).all():
        found = monitor_of(connection, name)
        if found is None:
            continue
        one = found[0]
        # What is due after the last interval that was run; time alone moves nothing.
        due = next_due(json.loads(text), one.cursor_utc)
        rows.append(Upcoming(one, due, due is not None and due < now))
    return tuple(sorted(rows, key=lambda row: (row.due_utc is None, row.due_utc or now, row.monitor.name)))

"""A dead man's switch: an alert when intervals stop ending, and an address that is asked after each one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from evalharness.core.canonical import digest
from evalharness.monitor.conditions import Condition, Window, fingerprint
from evalharness.monitor.outbox import drop_waiting, enqueue
from evalharness.record.alert_tables import HEARTBEATS
from evalharness.suite.alert_entry import Alerts

from .machine import Rules, look
from .notify import settle
from .store import add_event, load, new_alert, save, seen

__all__ = ["HEARTBEAT", "forget", "note_window", "ping", "seen_window", "tick"]

HEARTBEAT: Final = "heartbeat"
_LABELS: Final = {"severity": "critical"}


def seen_window(connection: Connection, monitor: str) -> Window | None:
    """The newest window that the alerts of `monitor` have seen."""
    query = select(HEARTBEATS.c.start_utc, HEARTBEATS.c.end_utc, HEARTBEATS.c.revision)
    row = connection.execute(query.where(HEARTBEATS.c.monitor == monitor)).first()
    return None if row is None else Window(*row)


def note_window(
    connection: Connection, monitor: str, alerts: Alerts, window: Window, now: datetime, *, due: datetime | None
) -> None:
    """Keep that `window` was seen, when the next one is due, and what `alerts:` says now.

    The next one is never due before now: who catches up on old intervals is not late with each of them.
    """
    values = {
        "alerts": alerts.model_dump_json(),
        "start_utc": window.start,
        "end_utc": window.end,
        "revision": window.revision,
        "observed_utc": now,
        "due_utc": max(now, now + (window.end - window.start) if due is None else due),
    }
    where = HEARTBEATS.c.monitor == monitor
    if connection.execute(update(HEARTBEATS).where(where).values(values)).rowcount == 0:
        connection.execute(insert(HEARTBEATS).values(monitor=monitor, **values))


def ping(connection: Connection, monitor: str, alerts: Alerts, window: Window, now: datetime) -> None:
    """Have the heartbeat's address asked for `window`; one that was not asked for an earlier one yet need not be."""
    if alerts.heartbeat.url is None:
        return
    stream = digest(["ping", monitor])[:32]
    drop_waiting(connection, stream, now)
    key = digest(["ping", monitor, window.start.isoformat(), window.end.isoformat(), window.revision])[:32]
    enqueue(
        connection,
        key=key,
        monitor=monitor,
        stream=stream,
        channel=HEARTBEAT,
        target=alerts.heartbeat.model_dump_json(),
        kind="ping",
        body=json.dumps({"key": key, "monitor": monitor}),
        now=now,
    )


def tick(connection: Connection, now: datetime) -> tuple[str, ...]:
    """What time alone brings about: late intervals, messages said again, silences that end; returns messages' keys."""
    keys: tuple[str, ...] = ()
    for row in connection.execute(select(HEARTBEATS).order_by(HEARTBEATS.c.monitor)).mappings().all():
        alerts = Alerts.model_validate_json(row["alerts"])
        window = Window(row["start_utc"], row["end_utc"], row["revision"])
        if alerts.heartbeat.alert and now > row["due_utc"] + timedelta(seconds=alerts.heartbeat.grace_s):
            _is_late(connection, row["monitor"], window, row["due_utc"], now)
        keys += settle(connection, row["monitor"], alerts, now)
    return keys


def forget(connection: Connection, monitor: str) -> bool:
    """Expect no interval of `monitor` any more; returns whether any was expected."""
    return connection.execute(delete(HEARTBEATS).where(HEARTBEATS.c.monitor == monitor)).rowcount > 0


def _is_late(connection: Connection, monitor: str, window: Window, due: datetime, now: datetime) -> None:
    summary = f"no interval has ended since {window.end:%Y-%m-%d %H:%M} UTC; the next one was due {due:%Y-%m-%d %H:%M}"
    condition = Condition(HEARTBEAT, "bad", _LABELS, summary=summary)
    alert = load(connection, monitor=monitor).get(fingerprint(monitor, condition))
    if alert is None:
        alert = new_alert(monitor, condition, window, now)
    if alert.track.state != "firing":
        after = seen(alert, condition, look(alert.track, condition, Rules()), window, now)
        save(connection, after)
        add_event(connection, after, "firing", now, note=summary)

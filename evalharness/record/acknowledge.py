"""Acknowledgement of alerts: somebody looks after one, so that it is not told again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from ..core.errors import UsageError
from .alert_tables import ALERT_EVENTS, ALERTS

__all__ = ["OPEN", "acknowledge", "find_alert"]

OPEN: Final = ("firing", "no_data", "error")
"""The states of an alert that receivers are told of."""
_MOST_NAMED: Final = 5


def find_alert(connection: Connection, name: str) -> Mapping[Any, Any]:
    """The row of the alert whose fingerprint is `name`, or begins with it.

    Raises:
        UsageError: if there is none, or more than one.
    """
    query = select(ALERTS).where(ALERTS.c.fingerprint.startswith(name, autoescape=True))
    found = connection.execute(query.order_by(ALERTS.c.fingerprint).limit(_MOST_NAMED + 1)).mappings().all()
    if not found or not name:
        raise UsageError(f"there is no alert {name!r}; see: evalharness monitor alerts --all")
    if len(found) > 1 and found[0]["fingerprint"] != name:
        shown = ", ".join(row["fingerprint"] for row in found[:_MOST_NAMED])
        more = len(found) if len(found) <= _MOST_NAMED else f"more than {_MOST_NAMED}"
        raise UsageError(f"{name!r} names {more} alerts: {shown}; give more of the fingerprint")
    return found[0]


def acknowledge(connection: Connection, name: str, *, by: str, now: datetime, note: str = "") -> str:
    """Note that `by` looks after the alert `name`: it is not told again until it ends or becomes another; its end is.

    Returns its fingerprint.

    Raises:
        UsageError: if there is no such alert, or it is not one that is told of.
    """
    row = find_alert(connection, name)
    fingerprint: str = row["fingerprint"]
    if row["state"] not in OPEN:
        raise UsageError(f"alert {fingerprint} ({row['alert_key']}) is {row['state']}: there is nothing to acknowledge")
    done = {"acked_by": by, "acked_utc": now, "ack_note": note}
    connection.execute(update(ALERTS).where(ALERTS.c.fingerprint == fingerprint).values(done))
    kept = ("fingerprint", "monitor", "window_start_utc", "window_end_utc", "revision", "value")
    event = {"at_utc": now, "kind": "acknowledged", "note": f"{by}: {note}" if note else by}
    connection.execute(insert(ALERT_EVENTS).values({name: row[name] for name in kept} | event))
    return fingerprint

"""Acknowledgement: somebody looks after an alert, so that it is not told again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from evalharness.core.errors import UsageError

from .machine import OPEN
from .store import Alert, add_event, load, save

__all__ = ["acknowledge", "named_alert"]


def named_alert(connection: Connection, name: str) -> Alert:
    """The alert whose fingerprint is `name`, or begins with it.

    Raises:
        UsageError: if there is none, or more than one.
    """
    everything = load(connection)
    found = [alert for identity, alert in everything.items() if name and identity.startswith(name)]
    if not found:
        raise UsageError(f"there is no alert {name!r}; see: evalharness monitor alerts --all")
    if len(found) > 1:
        shown = ", ".join(alert.fingerprint for alert in found[:5])
        raise UsageError(f"{name!r} names {len(found)} alerts: {shown}; give more of the fingerprint")
    return found[0]


def acknowledge(connection: Connection, name: str, *, by: str, now: datetime, note: str = "") -> Alert:
    """Note that `by` looks after the alert `name`: it is not told again until it ends or becomes another; its end is.

    Raises:
        UsageError: if there is no such alert, or it is not one that is told of.
    """
    alert = named_alert(connection, name)
    if alert.track.state not in OPEN:
        raise UsageError(
            f"alert {alert.fingerprint} ({alert.alert_key}) is {alert.track.state}: there is nothing to acknowledge"
        )
    after = replace(alert, acked_by=by, acked_utc=now, ack_note=note)
    save(connection, after)
    add_event(connection, after, "acknowledged", now, note=f"{by}: {note}" if note else by)
    return after

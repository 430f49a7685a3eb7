"""Acknowledgement: somebody looks after an alert, so that it is not told again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from evalharness.record import acknowledge as _rows

from .store import Alert, load

__all__ = ["acknowledge", "named_alert"]


def named_alert(connection: Connection, name: str) -> Alert:
    """The alert whose fingerprint is `name`, or begins with it.

    Raises:
        UsageError: if there is none, or more than one.
    """
    return load(connection)[_rows.find_alert(connection, name)["fingerprint"]]


def acknowledge(connection: Connection, name: str, *, by: str, now: datetime, note: str = "") -> Alert:
    """`record.acknowledge.acknowledge`; returns the alert as it stands then."""
    fingerprint = _rows.acknowledge(connection, name, by=by, now=now, note=note)
    return load(connection)[fingerprint]

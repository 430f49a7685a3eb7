"""The audit log: who changed what by the dashboard, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from ..record.user_tables import AUDIT

__all__ = ["Change", "changes", "note"]

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    id: int
    at_utc: datetime
    who: str
    action: str
    subject: str
    detail: str


def note(connection: Connection, now: datetime, *, who: str, action: str, subject: str, detail: str = "") -> None:
    """Add a change to the log, in the transaction that makes it."""
    row = {"at_utc": now, "who": who, "action": action, "subject": subject[:_LONGEST], "detail": detail[:_LONGEST]}
    connection.execute(insert(AUDIT).values(row))


def changes(connection: Connection, *, before: int | None, limit: int) -> tuple[Change, ...]:
    """The changes, newest first; those with numbers below `before`."""
    query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AUDIT.c.id < before)
    return tuple(Change(**row) for row in connection.execute(query).mappings())

"""What people did to production, and when: the marks under charts of monitors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from ..core.errors import UsageError
from .monitor_tables import DEPLOYMENTS, MONITORS

__all__ = ["MOST_CHARS", "Deployment", "add_deployment", "deployments_of", "remove_deployment"]

MOST_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Deployment:
    """Something that was put into production at a time: a model, a prompt, a setting."""

    id: int
    monitor: str
    at_utc: datetime
    text: str
    noted_by: str
    noted_utc: datetime


def add_deployment(
    connection: Connection, monitor: str, *, at: datetime, text: str, by: str, now: datetime
) -> Deployment:
    """Note that `text` was put into production at `at`; the same once more changes nothing.

    Raises:
        UsageError: there is no such monitor, the text is empty or too long, or `at` lies in the future.
    """
    text = " ".join(text.split())
    if not text or len(text) > MOST_CHARS:
        raise UsageError(f"say in 1 to {MOST_CHARS} characters what was deployed, as in: prompt v12; got {len(text):,}")
    if at.year < 1970:
        raise UsageError(
            f"at: the year {at.year} was before anything was deployed; write a time such as 2026-11-23T14:00"
        )
    if at > now:
        raise UsageError(f"{at:%Y-%m-%d %H:%M} UTC has not come yet; a deployment is noted when it is done")
    if connection.execute(select(MONITORS.c.name).where(MONITORS.c.name == monitor)).first() is None:
        raise UsageError(f"there is no monitor {monitor!r}; see: evalharness monitor status")
    table = DEPLOYMENTS.c
    same = table.monitor == monitor, table.at_utc == at, table.text == text
    row = connection.execute(select(DEPLOYMENTS).where(*same)).mappings().first()
    if row is None:
        values = {"monitor": monitor, "at_utc": at, "text": text, "noted_by": by, "noted_utc": now}
        connection.execute(insert(DEPLOYMENTS).values(**values))
        row = connection.execute(select(DEPLOYMENTS).where(*same)).mappings().one()
    return Deployment(**row)


def remove_deployment(connection: Connection, monitor: str, number: int) -> Deployment:
    """Take a note back.

    Raises:
        UsageError: there is none of this number.
    """
    same = DEPLOYMENTS.c.id == number, DEPLOYMENTS.c.monitor == monitor
    row = connection.execute(select(DEPLOYMENTS).where(*same)).mappings().first()
    if row is None:
        raise UsageError(f"the monitor {monitor!r} has no deployment {number}; see: evalharness monitor mark {monitor}")
    connection.execute(delete(DEPLOYMENTS).where(*same))
    return Deployment(**row)


def deployments_of(
    connection: Connection, monitor: str, *, since: datetime | None = None, limit: int = 100
) -> tuple[Deployment, ...]:
    """The newest deployments under a monitor, the newest first."""
    query = select(DEPLOYMENTS).where(DEPLOYMENTS.c.monitor == monitor)
    if since is not None:
        query = query.where(DEPLOYMENTS.c.at_utc >= since)
    query = query.order_by(DEPLOYMENTS.c.at_utc.desc(), DEPLOYMENTS.c.id.desc()).limit(limit)
    return tuple(Deployment(**row) for row in connection.execute(query).mappings())

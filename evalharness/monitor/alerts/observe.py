"""`observe`: what an interval found moves the alerts of its monitor, and puts messages into the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from evalharness.monitor.conditions import Condition, Watched, Window

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["observe"]


def observe(
    connection: Connection,
    monitor: Watched,
    interval: Window,
    conditions: Sequence[Condition],
    now: datetime,
    *,
    due: datetime | None = None,
) -> tuple[str, ...]:
    """Move the alerts of `monitor`; returns the keys of the messages that were put into the outbox.

    It writes over `connection` and commits nothing, so that alerts and messages come about with the interval's own
    rows or not at all; the transaction must be one of `record.database.writing`. `due` is when the next interval should
    have ended at the latest (default: as long after `now` as the interval lasted).
    """
    raise NotImplementedError

"""What the registry says of alerts, their history, and silences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal, select, tuple_

from ...record.acknowledge import OPEN
from ...record.alert_tables import ALERT_EVENTS, ALERTS
from ...record.silences import Silence
from ...record.tables import AnyText, UtcTime
from ..cursor import place_of, read_place
from .runs import number

__all__ = ["AlertEvent", "AlertPage", "AlertRow", "SilenceRow", "alert_of", "alerts_page", "count_open", "events_of"]
__all__ += ["marks_of", "silence_row"]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert as it stands."""

    fingerprint: str
    monitor: str
    alert: str
    labels: Mapping[str, str]
    state: str
    severity: str
    summary: str
    value: float | None
    limit: float | None
    link: str | None
    since_utc: datetime
    fired_utc: datetime | None
    window_start_utc: datetime
    window_end_utc: datetime
    acked_by: str | None
    acked_utc: datetime | None
    ack_note: str | None
    is_open: bool
    is_silenced: bool


@dataclass(frozen=True, slots=True)
class AlertPage:
    """A page of a list; `after` names the next one, None where this is the last."""

    items: tuple[AlertRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that happened to an alert; `window_end_utc` ends the interval that brought it about, if any did."""

    at_utc: datetime
    kind: str
    value: float | None
    note: str
    monitor: str
    fingerprint: str
    window_end_utc: datetime | None = None


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """Alerts that nobody is told of for a while."""

    id: int
    matchers: tuple[str, ...]
    starts_utc: datetime
    until_utc: datetime
    created_by: str
    comment: str


def alerts_page(
    connection: Connection,
    *,
    is_open: bool | None = True,
    monitor: str = "",
    after: str | None = None,
    limit: int = 50,
    silences: tuple[Silence, ...] = (),
    now: datetime,
) -> AlertPage:
    """A page of alerts, those that changed last first; `is_open` None: of all states.

    Raises:
        UsageError: if `after` is no place in a list.
    """
    query = select(ALERTS).order_by(ALERTS.c.since_utc.desc(), ALERTS.c.fingerprint.desc()).limit(limit + 1)
    if is_open is not None:
        query = query.where(ALERTS.c.state.in_(OPEN) if is_open else ALERTS.c.state.not_in(OPEN))
    if monitor:
        query = query.where(ALERTS.c.monitor == monitor)
    if place := read_place(after, str):
        here = tuple_(literal(place[0], UtcTime), literal(place[1], AnyText))
        query = query.where(tuple_(ALERTS.c.since_utc, ALERTS.c.fingerprint) < here)
    rows = tuple(_alert(row, silences, now) for row in connection.execute(query).mappings())
    more = place_of(rows[limit - 1].since_utc, rows[limit - 1].fingerprint) if len(rows) > limit else None
    return AlertPage(rows[:limit], more)


def alert_of(
    connection: Connection, fingerprint: str, *, silences: tuple[Silence, ...] = (), now: datetime
) -> tuple[AlertRow, str | None] | None:
    """An alert and its picture (SVG)."""
    row = connection.execute(select(ALERTS).where(ALERTS.c.fingerprint == fingerprint)).mappings().first()
    return None if row is None else (_alert(row, silences, now), row["picture"])


def count_open(connection: Connection) -> int:
    """How many alerts are open and nobody looks after."""
    where = ALERTS.c.state.in_(OPEN), ALERTS.c.acked_by.is_(None)
    return int(connection.execute(select(func.count()).select_from(ALERTS).where(*where)).scalar_one())


def events_of(connection: Connection, fingerprint: str, *, limit: int = 100) -> tuple[AlertEvent, ...]:
    """What happened to an alert, newest first."""
    query = select(ALERT_EVENTS).where(ALERT_EVENTS.c.fingerprint == fingerprint)
    return _events(connection, query.order_by(ALERT_EVENTS.c.id.desc()).limit(limit))


def marks_of(connection: Connection, monitor: str, since: datetime, *, limit: int = 100) -> tuple[AlertEvent, ...]:
    """The alerts of a monitor that began in intervals since a time, the newest ones."""
    place = func.coalesce(ALERT_EVENTS.c.window_end_utc, ALERT_EVENTS.c.at_utc)
    query = select(ALERT_EVENTS).where(
        ALERT_EVENTS.c.monitor == monitor, place >= literal(since, UtcTime), ALERT_EVENTS.c.kind == "firing"
    )
    return _events(connection, query.order_by(place.desc()).limit(limit))


def silence_row(one: Silence) -> SilenceRow:
    """A silence as pages show it."""
    matchers = tuple(map(str, one.matchers))
    return SilenceRow(one.id, matchers, one.starts_utc, one.until_utc, one.created_by, one.comment)


def _events(connection: Connection, query: Any) -> tuple[AlertEvent, ...]:
    return tuple(
        AlertEvent(
            row["at_utc"], row["kind"], number(row["value"]), row["note"], row["monitor"], row["fingerprint"],
            row["window_end_utc"],
        )
        for row in connection.execute(query).mappings()
    )  # fmt: skip


def _alert(row: Mapping[Any, Any], silences: tuple[Silence, ...], now: datetime) -> AlertRow:
    labels = {str(key): str(value) for key, value in json.loads(row["labels"]).items()}
    all_labels = {"severity": "warning", **labels, "monitor": row["monitor"], "alert": row["alert_key"]}
    copied = (
        *("fingerprint", "monitor", "state", "summary", "link", "since_utc", "fired_utc", "window_start_utc"),
        *("window_end_utc", "acked_by", "acked_utc", "ack_note"),
    )
    return AlertRow(
        **{name: row[name] for name in copied},
        alert=row["alert_key"],
        labels=labels,
        severity=all_labels["severity"],
        value=number(row["value"]),
        limit=number(row["limit_value"]),
        is_open=row["state"] in OPEN,
        is_silenced=any(one.holds(all_labels, now) for one in silences),
    )

"""Alerts as the registry keeps them: read, written, and their history added to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from evalharness.monitor.conditions import Condition, Window, fingerprint
from evalharness.record.alert_tables import ALERT_EVENTS, ALERTS

from .machine import OPEN, Runs, Track

__all__ = ["LARGEST_PICTURE", "Alert", "add_event", "load", "new_alert", "save", "seen"]

LARGEST_PICTURE = 200_000
"""Characters; larger charts are left out of messages, which services refuse as a whole when they are too long."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: its identity, where it stands, what was said of it last, and who acknowledged it."""

    fingerprint: str
    monitor: str
    alert_key: str
    labels: Mapping[str, str]
    track: Track
    window: Window
    since_utc: datetime
    value: float = float("nan")
    limit: float = float("nan")
    summary: str = ""
    picture: str | None = None
    link: str | None = None
    sequence: int = 0
    fired_utc: datetime | None = None
    told_utc: datetime | None = None
    refreshed_utc: datetime | None = None
    acked_by: str | None = None
    acked_utc: datetime | None = None
    ack_note: str | None = None

    @property
    def all_labels(self) -> dict[str, str]:
        """The labels by which it is matched and grouped."""
        return {"severity": "warning", **self.labels, "monitor": self.monitor, "alert": self.alert_key}


def new_alert(monitor: str, condition: Condition, window: Window, now: datetime) -> Alert:
    """An alert that has not been looked at yet."""
    found = fingerprint(monitor, condition)
    return Alert(found, monitor, condition.key, dict(condition.labels), Track(), window, now)


def seen(alert: Alert, condition: Condition, track: Track, window: Window, now: datetime) -> Alert:
    """`alert` after a look that made it `track`."""
    picture = condition.picture if condition.picture and len(condition.picture) <= LARGEST_PICTURE else None
    changed = track.state != alert.track.state
    began = track.state in OPEN and alert.track.state not in OPEN
    return replace(
        alert,
        track=track,
        window=window,
        since_utc=now if changed else alert.since_utc,
        fired_utc=now if began else alert.fired_utc,
        value=condition.value,
        limit=condition.limit,
        summary=condition.summary,
        picture=picture,
        link=condition.link,
    )


def load(connection: Connection, *, monitor: str | None = None, state: str | None = None) -> dict[str, Alert]:
    """The alerts (of a monitor, in a state) by their fingerprints, in the order of these."""
    query = select(ALERTS).order_by(ALERTS.c.fingerprint)
    if monitor is not None:
        query = query.where(ALERTS.c.monitor == monitor)
    if state is not None:
        query = query.where(ALERTS.c.state == state)
    return {row["fingerprint"]: _alert(dict(row)) for row in connection.execute(query).mappings()}


def save(connection: Connection, alert: Alert) -> None:
    """Write `alert`, whether it is there already or not."""
    values = {
        "monitor": alert.monitor,
        "alert_key": alert.alert_key,
        "labels": json.dumps(dict(alert.labels), sort_keys=True),
        "state": alert.track.state,
        "told": alert.track.told,
        "runs": json.dumps(alert.track.runs),
        "prior_runs": json.dumps(alert.track.prior),
        "window_start_utc": alert.window.start,
        "window_end_utc": alert.window.end,
        "revision": alert.window.revision,
        "value": alert.value,
        "limit_value": alert.limit,
        **{
            name: getattr(alert, name)
            for name in (
                "sequence", "summary", "picture", "link", "since_utc", "fired_utc", "told_utc", "refreshed_utc",
                "acked_by", "acked_utc", "ack_note",
            )
        },
    }  # fmt: skip
    where = ALERTS.c.fingerprint == alert.fingerprint
    if connection.execute(update(ALERTS).where(where).values(values)).rowcount == 0:
        connection.execute(insert(ALERTS).values(fingerprint=alert.fingerprint, **values))


def add_event(connection: Connection, alert: Alert, kind: str, now: datetime, *, note: str = "") -> None:
    """Add to the history of `alert` that `kind` happened."""
    connection.execute(
        insert(ALERT_EVENTS).values(
            fingerprint=alert.fingerprint,
            monitor=alert.monitor,
            at_utc=now,
            kind=kind,
            window_start_utc=alert.window.start,
            window_end_utc=alert.window.end,
            revision=alert.window.revision,
            value=alert.value,
            note=note,
        )
    )


def _alert(row: dict[str, Any]) -> Alert:
    track = Track(
        row.pop("state"), row.pop("told"), Runs(*json.loads(row.pop("runs"))), Runs(*json.loads(row.pop("prior_runs")))
    )
    window = Window(row.pop("window_start_utc"), row.pop("window_end_utc"), row.pop("revision"))
    return Alert(labels=json.loads(row.pop("labels")), track=track, window=window, limit=row.pop("limit_value"), **row)

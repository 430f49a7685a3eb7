"""The tables of alerts: their states and history, silences, the outbox of messages, and when monitors were last heard.

Alerts move in the transaction that records the interval, and their messages wait in the outbox of that same
transaction: there is no moment at which one is stored and the other is not.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, Table, UniqueConstraint

from .tables import METADATA, AnyText, Figure, UtcTime, _column, _number

__all__ = ["ALERTS", "ALERT_EVENTS", "HEARTBEATS", "OUTBOX", "SILENCES"]

ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("fingerprint", AnyText, primary_key=True),
    _column("monitor", AnyText),
    _column("alert_key", AnyText),
    _column("labels", AnyText),
    _column("state", AnyText),
    _column("told", AnyText),
    _column("sequence", Integer),
    _column("runs", AnyText),
    _column("prior_runs", AnyText),
    _column("window_start_utc", UtcTime),
    _column("window_end_utc", UtcTime),
    _column("revision", Integer),
    _column("value", Figure, null=True),
    _column("limit_value", Figure, null=True),
    _column("summary", AnyText),
    _column("picture", AnyText, null=True),
    _column("link", AnyText, null=True),
    _column("since_utc", UtcTime),
    _column("fired_utc", UtcTime, null=True),
    _column("told_utc", UtcTime, null=True),
    _column("refreshed_utc", UtcTime, null=True),
    _column("acked_by", AnyText, null=True),
    _column("acked_utc", UtcTime, null=True),
    _column("ack_note", AnyText, null=True),
    Index(None, "monitor", "state"),
)
"""One alert a row, as it stands.

`told` is what receivers were told last (none, firing, no_data, error); `sequence` grows with each message, so that a
message has a name that no other has. `runs` counts looks in a row (JSON), `prior_runs` those before the newest window.
"""

ALERT_EVENTS: Final = Table(
    "alert_events",
    METADATA,
    _number(),
    _column("fingerprint", AnyText),
    _column("monitor", AnyText),
    _column("at_utc", UtcTime),
    _column("kind", AnyText),
    _column("window_start_utc", UtcTime, null=True),
    _column("window_end_utc", UtcTime, null=True),
    _column("revision", Integer),
    _column("value", Figure, null=True),
    _column("note", AnyText),
    Index(None, "fingerprint"),
    Index(None, "monitor", "at_utc"),
)
"""What happened to an alert; rows are only added.

`kind` is the state that it came into, or told_… (a message went to the outbox), acknowledged, late.
"""

SILENCES: Final = Table(
    "silences",
    METADATA,
    _number(),
    _column("matchers", AnyText),
    _column("starts_utc", UtcTime),
    _column("until_utc", UtcTime),
    _column("created_utc", UtcTime),
    _column("created_by", AnyText),
    _column("comment", AnyText),
    _column("ended_utc", UtcTime, null=True),
)
"""Alerts whose labels match (JSON: [[label, operator, value], …]) are not told of in `[starts_utc, until_utc)`."""

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    _number(),
    _column("key", AnyText),
    _column("monitor", AnyText),
    _column("stream", AnyText),
    _column("channel", AnyText),
    _column("target", AnyText),
    _column("kind", AnyText),
    _column("body", AnyText),
    _column("created_utc", UtcTime),
    _column("state", AnyText),
    _column("attempts", Integer),
    _column("n_failed", Integer),
    _column("due_utc", UtcTime),
    _column("holder", AnyText),
    _column("token", Integer),
    _column("expires_utc", UtcTime, null=True),
    _column("done_utc", UtcTime, null=True),
    _column("error", AnyText),
    UniqueConstraint("key"),
    Index(None, "state", "due_utc"),
    Index(None, "stream", "state"),
)
"""One message to one channel a row: waiting, sent, dead (given up) or dropped (a newer ping took its place).

Messages of one `stream` (a channel's group of alerts) go out in order. `target` is the channel as the monitor says it,
with placeholders for secrets. Who sends a message holds it until `expires_utc`; `token` grows by one with each holder,
and one with an older token changes nothing any more. `attempts` began, `n_failed` are known not to have arrived.
"""

HEARTBEATS: Final = Table(
    "heartbeats",
    METADATA,
    Column("monitor", AnyText, primary_key=True),
    _column("alerts", AnyText),
    _column("start_utc", UtcTime),
    _column("end_utc", UtcTime),
    _column("revision", Integer),
    _column("observed_utc", UtcTime),
    _column("due_utc", UtcTime),
)
"""The newest window that each monitor's alerts have seen, when the next one is due, and its `alerts:` as JSON."""

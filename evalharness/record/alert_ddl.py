"""The tables of alerts, as SQLAlchemy makes them in SQLite: what `register.py` writes into an empty registry."""

from __future__ import annotations

from typing import Final

from .monitor_ddl import table

__all__ = ["ALERT_TABLES"]

ALERT_TABLES: Final = (
    table(
        "alerts",
        """
        fingerprint TEXT NOT NULL
        monitor TEXT NOT NULL
        alert_key TEXT NOT NULL
        labels TEXT NOT NULL
        state TEXT NOT NULL
        told TEXT NOT NULL
        sequence INTEGER NOT NULL
        runs TEXT NOT NULL
        prior_runs TEXT NOT NULL
        window_start_utc DATETIME NOT NULL
        window_end_utc DATETIME NOT NULL
        revision INTEGER NOT NULL
        value FLOAT
        limit_value FLOAT
        summary TEXT NOT NULL
        picture TEXT
        link TEXT
        since_utc DATETIME NOT NULL
        fired_utc DATETIME
        told_utc DATETIME
        refreshed_utc DATETIME
        acked_by TEXT
        acked_utc DATETIME
        ack_note TEXT
        CONSTRAINT pk_alerts PRIMARY KEY (fingerprint)
        """,
    ),
    "CREATE INDEX ix_alerts_monitor_state ON alerts (monitor, state)",
    table(
        "alert_events",
        """
        id INTEGER NOT NULL
        fingerprint TEXT NOT NULL
        monitor TEXT NOT NULL
        at_utc DATETIME NOT NULL
        kind TEXT NOT NULL
        window_start_utc DATETIME
        window_end_utc DATETIME
        revision INTEGER NOT NULL
        value FLOAT
        note TEXT NOT NULL
        CONSTRAINT pk_alert_events PRIMARY KEY (id)
        """,
    ),
    "CREATE INDEX ix_alert_events_fingerprint ON alert_events (fingerprint)",
    "CREATE INDEX ix_alert_events_monitor_at_utc ON alert_events (monitor, at_utc)",
    table(
        "silences",
        """
        id INTEGER NOT NULL
        matchers TEXT NOT NULL
        starts_utc DATETIME NOT NULL
        until_utc DATETIME NOT NULL
        created_utc DATETIME NOT NULL
        created_by TEXT NOT NULL
        comment TEXT NOT NULL
        ended_utc DATETIME
        CONSTRAINT pk_silences PRIMARY KEY (id)
        """,
    ),
    table(
        "outbox",
        """
        id INTEGER NOT NULL
        "key" TEXT NOT NULL
        monitor TEXT NOT NULL
        stream TEXT NOT NULL
        channel TEXT NOT NULL
        target TEXT NOT NULL
        kind TEXT NOT NULL
        body TEXT NOT NULL
        created_utc DATETIME NOT NULL
        state TEXT NOT NULL
        attempts INTEGER NOT NULL
        n_failed INTEGER NOT NULL
        due_utc DATETIME NOT NULL
        holder TEXT NOT NULL
        token INTEGER NOT NULL
        expires_utc DATETIME
        done_utc DATETIME
        error TEXT NOT NULL
        CONSTRAINT pk_outbox PRIMARY KEY (id)
        CONSTRAINT uq_outbox_key UNIQUE ("key")
        """,
    ),
    "CREATE INDEX ix_outbox_state_due_utc ON outbox (state, due_utc)",
    "CREATE INDEX ix_outbox_stream_state ON outbox (stream, state)",
    table(
        "heartbeats",
        """
        monitor TEXT NOT NULL
        alerts TEXT NOT NULL
        start_utc DATETIME NOT NULL
        end_utc DATETIME NOT NULL
        revision INTEGER NOT NULL
        observed_utc DATETIME NOT NULL
        due_utc DATETIME NOT NULL
        CONSTRAINT pk_heartbeats PRIMARY KEY (monitor)
        """,
    ),
)

"""The tables of monitoring, as SQLAlchemy makes them in SQLite: what `register.py` writes into an empty registry."""

from __future__ import annotations

from typing import Final

__all__ = ["MONITOR_TABLES", "table"]


def table(name: str, lines: str) -> str:
    """The statement in the spaces that SQLAlchemy puts."""
    inner = ", \n\t".join(line.strip() for line in lines.strip().splitlines())
    return f"CREATE TABLE {name} (\n\t{inner}\n)"


MONITOR_TABLES: Final = (
    table(
        "monitors",
        """
        name TEXT NOT NULL
        definition TEXT NOT NULL
        definition_digest TEXT NOT NULL
        path TEXT NOT NULL
        created_utc DATETIME NOT NULL
        updated_utc DATETIME NOT NULL
        cursor_utc DATETIME NOT NULL
        CONSTRAINT pk_monitors PRIMARY KEY (name)
        """,
    ),
    table(
        "leases",
        """
        name TEXT NOT NULL
        holder TEXT NOT NULL
        token INTEGER NOT NULL
        expires_utc DATETIME NOT NULL
        CONSTRAINT pk_leases PRIMARY KEY (name)
        """,
    ),
    table(
        "intervals",
        """
        id INTEGER NOT NULL
        monitor TEXT NOT NULL
        start_utc DATETIME NOT NULL
        end_utc DATETIME NOT NULL
        revision INTEGER NOT NULL
        status TEXT NOT NULL
        message TEXT NOT NULL
        token INTEGER NOT NULL
        attempts INTEGER NOT NULL
        started_utc DATETIME NOT NULL
        recorded_utc DATETIME NOT NULL
        checked_utc DATETIME NOT NULL
        n_rows INTEGER NOT NULL
        n_duplicates INTEGER NOT NULL
        n_quarantined INTEGER NOT NULL
        n_late INTEGER NOT NULL
        n_findings INTEGER NOT NULL
        n_drifted INTEGER NOT NULL
        reference TEXT NOT NULL
        definition_digest TEXT NOT NULL
        input_digest TEXT NOT NULL
        layout_digest TEXT NOT NULL
        path TEXT NOT NULL
        CONSTRAINT pk_intervals PRIMARY KEY (id)
        CONSTRAINT uq_intervals_monitor_start_utc_end_utc_revision UNIQUE (monitor, start_utc, end_utc, revision)
        """,
    ),
    "CREATE INDEX ix_intervals_monitor_end_utc ON intervals (monitor, end_utc)",
    "CREATE INDEX ix_intervals_monitor_checked_utc ON intervals (monitor, checked_utc)",
    table(
        "figures",
        """
        id INTEGER NOT NULL
        interval_id INTEGER NOT NULL
        column_name TEXT NOT NULL
        segment TEXT NOT NULL
        name TEXT NOT NULL
        value FLOAT
        ci_low FLOAT
        ci_high FLOAT
        n INTEGER NOT NULL
        CONSTRAINT pk_figures PRIMARY KEY (id)
        CONSTRAINT fk_figures_interval_id FOREIGN KEY(interval_id) REFERENCES intervals (id) ON DELETE CASCADE
        """,
    ),
    "CREATE INDEX ix_figures_interval_id ON figures (interval_id)",
    table(
        "findings",
        """
        id INTEGER NOT NULL
        interval_id INTEGER NOT NULL
        column_name TEXT NOT NULL
        segment TEXT NOT NULL
        kind TEXT NOT NULL
        test TEXT NOT NULL
        state TEXT NOT NULL
        reason TEXT NOT NULL
        p_value FLOAT
        q_value FLOAT
        effect FLOAT
        effect_low FLOAT
        effect_high FLOAT
        effect_name TEXT NOT NULL
        effect_threshold FLOAT
        smallest_effect FLOAT
        statistic FLOAT
        n_reference INTEGER NOT NULL
        n_current INTEGER NOT NULL
        CONSTRAINT pk_findings PRIMARY KEY (id)
        CONSTRAINT fk_findings_interval_id FOREIGN KEY(interval_id) REFERENCES intervals (id) ON DELETE CASCADE
        """,
    ),
    "CREATE INDEX ix_findings_interval_id ON findings (interval_id)",
    table(
        "deployments",
        """
        id INTEGER NOT NULL
        monitor TEXT NOT NULL
        at_utc DATETIME NOT NULL
        text TEXT NOT NULL
        noted_by TEXT NOT NULL
        noted_utc DATETIME NOT NULL
        CONSTRAINT pk_deployments PRIMARY KEY (id)
        """,
    ),
    "CREATE INDEX ix_deployments_monitor_at_utc ON deployments (monitor, at_utc)",
)

"""The tables of the dashboard, as SQLAlchemy makes them in SQLite: what `register.py` writes into an empty registry."""

from __future__ import annotations

from typing import Final

from .monitor_ddl import table

__all__ = ["USER_TABLES"]

USER_TABLES: Final = (
    table(
        "users",
        """
        name TEXT NOT NULL
        role TEXT NOT NULL
        password_hash TEXT NOT NULL
        created_utc DATETIME NOT NULL
        changed_utc DATETIME NOT NULL
        CONSTRAINT pk_users PRIMARY KEY (name)
        """,
    ),
    table(
        "sessions",
        """
        token_digest TEXT NOT NULL
        user_name TEXT NOT NULL
        kind TEXT NOT NULL
        created_utc DATETIME NOT NULL
        expires_utc DATETIME NOT NULL
        CONSTRAINT pk_sessions PRIMARY KEY (token_digest)
        """,
    ),
    "CREATE INDEX ix_sessions_user_name ON sessions (user_name)",
    table(
        "audit",
        """
        id INTEGER NOT NULL
        at_utc DATETIME NOT NULL
        who TEXT NOT NULL
        action TEXT NOT NULL
        subject TEXT NOT NULL
        detail TEXT NOT NULL
        CONSTRAINT pk_audit PRIMARY KEY (id)
        """,
    ),
    "CREATE INDEX ix_audit_subject ON audit (subject)",
)

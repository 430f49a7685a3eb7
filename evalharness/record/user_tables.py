"""The tables of the dashboard: who may come in, who is in, and what they changed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Table

from .tables import METADATA, AnyText, UtcTime, _column, _number

__all__ = ["AUDIT", "SESSIONS", "USERS"]

USERS: Final = Table(
    "users",
    METADATA,
    Column("name", AnyText, primary_key=True),
    _column("role", AnyText),
    _column("password_hash", AnyText),
    _column("created_utc", UtcTime),
    _column("changed_utc", UtcTime),
)
"""Who may use the dashboard. `role`: viewer, editor or admin; `password_hash` is argon2's own text."""

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("token_digest", AnyText, primary_key=True),
    _column("user_name", AnyText),
    _column("kind", AnyText),
    _column("created_utc", UtcTime),
    _column("expires_utc", UtcTime),
    Index(None, "user_name"),
)
"""Browsers that are logged in, by the sha256 of their cookie: whoever reads the registry can use none of them.

`kind`: password (the role is that of the user, at each request), link (whoever had the link), or token and a digest of
the access token that it began with.
"""

AUDIT: Final = Table(
    "audit",
    METADATA,
    _number(),
    _column("at_utc", UtcTime),
    _column("who", AnyText),
    _column("action", AnyText),
    _column("subject", AnyText),
    _column("detail", AnyText),
    Index(None, "subject"),
)
"""One change that somebody made by the dashboard, or to its users, a row; rows are only added."""

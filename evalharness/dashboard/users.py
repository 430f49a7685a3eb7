"""Users of the dashboard: their passwords as argon2 keeps them, their roles, and the browsers they are logged in by."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from ..core.errors import MissingExtraError, UsageError
from ..record.user_tables import SESSIONS, USERS
from .settings import ROLES, Role

if TYPE_CHECKING:
    from pwdlib import PasswordHash

__all__ = [
    "SESSION_S",
    "User",
    "add_user",
    "begin_session",
    "check_password",
    "count_users",
    "end_session",
    "find_user",
]
__all__ += ["list_users", "remove_user", "session_user"]

SESSION_S: Final = 14 * 86_400
"""How long a browser stays logged in."""
_SHORTEST: Final = 10
_LONGEST: Final = 1_000
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may use the dashboard."""

    name: str
    role: Role
    created_utc: datetime
    changed_utc: datetime


@cache
def _hasher() -> PasswordHash:
    try:
        from pwdlib import PasswordHash
    except ModuleNotFoundError:
        raise MissingExtraError("pwdlib", "dashboard", purpose="the passwords of users") from None
    return PasswordHash.recommended()


def add_user(connection: Connection, name: str, role: str, password: str, now: datetime) -> bool:
    """Add a user, or give one another role and password; returns whether it is a new one.

    Raises:
        UsageError: for a name, role or password that cannot be.
    """
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise UsageError(
            f"{name[:_LONGEST_NAME]!r} is no user name: write 1 to {_LONGEST_NAME} characters, no blanks around"
        )
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}; there are: {', '.join(ROLES)}")
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise UsageError(f"a password has {_SHORTEST} to {_LONGEST:,} characters; this one has {len(password):,}")
    values = {"role": role, "password_hash": _hasher().hash(password), "changed_utc": now}
    if connection.execute(update(USERS).where(USERS.c.name == name).values(values)).rowcount:
        _end_all(connection, name)
        return False
    connection.execute(insert(USERS).values(name=name, created_utc=now, **values))
    return True


def remove_user(connection: Connection, name: str) -> None:
    """Remove a user, and log all their browsers out.

    Raises:
        UsageError: if there is none.
    """
    if connection.execute(delete(USERS).where(USERS.c.name == name)).rowcount == 0:
        raise UsageError(f"there is no user {name!r}; see: evalharness dashboard user list")
    _end_all(connection, name)


def list_users(connection: Connection) -> tuple[User, ...]:
    """All users, by name."""
    columns = (USERS.c.name, USERS.c.role, USERS.c.created_utc, USERS.c.changed_utc)
    return tuple(User(*row) for row in connection.execute(select(*columns).order_by(USERS.c.name)))


def count_users(connection: Connection) -> int:
    """How many there are."""
    return int(connection.execute(select(func.count()).select_from(USERS)).scalar_one())


def find_user(connection: Connection, name: str) -> User | None:
    """The user of that name."""
    columns = (USERS.c.name, USERS.c.role, USERS.c.created_utc, USERS.c.changed_utc)
    row = connection.execute(select(*columns).where(USERS.c.name == name)).first()
    return None if row is None else User(*row)


@cache
def _of_nobody() -> str:
    return _hasher().hash(secrets.token_hex(16))


def check_password(stored: str | None, password: str) -> bool:
    """Whether `password` is that of `stored`; for nobody's (None) it takes as long, and is wrong."""
    is_right = _hasher().verify(password[: _LONGEST + 1], stored if stored is not None else _of_nobody())
    return is_right and stored is not None


def stored_hash(connection: Connection, name: str) -> str | None:
    """What is kept of a user's password; None where there is no such user."""
    found: str | None = connection.execute(select(USERS.c.password_hash).where(USERS.c.name == name)).scalar()
    return found


def begin_session(connection: Connection, name: str, kind: str, now: datetime) -> str:
    """Log a browser in; returns the token that it keeps. Sessions that are over go away."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_utc <= now))
    token = secrets.token_urlsafe(32)
    expires = now + timedelta(seconds=SESSION_S)
    values = {"token_digest": _digest(token), "user_name": name, "kind": kind}
    connection.execute(insert(SESSIONS).values(values | {"created_utc": now, "expires_utc": expires}))
    return token


def session_user(connection: Connection, token: str, now: datetime) -> tuple[str, str] | None:
    """(name, kind) of the session of `token`; None where there is none, or it is over."""
    query = select(SESSIONS.c.user_name, SESSIONS.c.kind).where(
        SESSIONS.c.token_digest == _digest(token), SESSIONS.c.expires_utc > now
    )
    row = connection.execute(query).first()
    return None if row is None else (row[0], row[1])


def end_session(connection: Connection, token: str) -> bool:
    """Log the browser with `token` out; returns whether it was in."""
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.token_digest == _digest(token))).rowcount > 0


def _end_all(connection: Connection, name: str) -> None:
    connection.execute(delete(SESSIONS).where(SESSIONS.c.user_name == name, SESSIONS.c.kind == "password"))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

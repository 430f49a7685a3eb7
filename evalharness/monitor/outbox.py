"""The outbox: messages wait in the registry until a receiver has them, or nobody will take them.

A message is put in by the transaction that made it necessary, so that none is lost; it has a key of its own, so that
none is put in twice. Who sends it holds it for a while (a lease) under a number that grows with each holder (a fencing
token): two deliverers never hold one message at once, and one that was held up changes nothing any more. Between the
receiver's answer and the mark in the registry a process may die: the message then goes out again, under the same key,
and says so. That is the one way for it to arrive twice, and receivers tell by the key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, or_, select, update

from evalharness.record.alert_tables import OUTBOX

__all__ = [
    "Claimed",
    "OutboxRow",
    "backoff_s",
    "claim",
    "drop_waiting",
    "enqueue",
    "has_waiting",
    "mark_failed",
    "mark_sent",
    "prune",
    "revive",
    "waiting_rows",
]

FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 3600.0
MOST_ATTEMPTS: Final = {"ping": 3}
ATTEMPTS: Final = 20  # half a day, with the waits between them
KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this deliverer may send until `expires_utc`."""

    id: int
    key: str
    monitor: str
    channel: str
    target: str
    kind: str
    body: str
    attempt: int
    n_failed: int
    token: int
    expires_utc: datetime

    @property
    def may_be_repeated(self) -> bool:
        """Whether an earlier attempt may have arrived: it ended without anybody knowing how."""
        return self.attempt - 1 > self.n_failed


class OutboxRow(NamedTuple):
    """A message that is not sent, for people to see."""

    id: int
    key: str
    monitor: str
    channel: str
    kind: str
    state: str
    attempts: int
    created_utc: datetime
    due_utc: datetime
    error: str


def enqueue(
    connection: Connection,
    *,
    key: str,
    monitor: str,
    stream: str,
    channel: str,
    target: str,
    kind: str,
    body: str,
    now: datetime,
) -> None:
    """Put a message in; its `key` must be new."""
    connection.execute(
        insert(OUTBOX).values(
            key=key, monitor=monitor, stream=stream, channel=channel, target=target, kind=kind, body=body,
            created_utc=now, state="waiting", attempts=0, n_failed=0, due_utc=now, holder="", token=0,
            expires_utc=None, done_utc=None, error="",
        )
    )  # fmt: skip


def has_waiting(connection: Connection, stream: str) -> bool:
    """Whether a message of `stream` waits."""
    query = select(exists().where(OUTBOX.c.stream == stream, OUTBOX.c.state == "waiting"))
    return bool(connection.execute(query).scalar())


def drop_waiting(connection: Connection, stream: str, now: datetime) -> int:
    """Take back the messages of `stream` that nobody is sending; returns how many."""
    where = and_(OUTBOX.c.stream == stream, OUTBOX.c.state == "waiting", _is_free(now))
    return connection.execute(update(OUTBOX).where(where).values(state="dropped", done_utc=now)).rowcount


def claim(connection: Connection, *, holder: str, now: datetime, lease_s: float) -> Claimed | None:
    """The oldest message that is due and that nobody holds, now held; None where there is none.

    Of a stream only the oldest waiting message may go, so that no end overtakes its beginning. The transaction must be
    one of `record.database.writing`.
    """
    older = OUTBOX.alias()
    first = ~exists().where(
        older.c.stream == OUTBOX.c.stream, older.c.state == "waiting", older.c.id < OUTBOX.c.id
    ).correlate(OUTBOX)
    query = select(OUTBOX).where(OUTBOX.c.state == "waiting", OUTBOX.c.due_utc <= now, _is_free(now), first)
    row = connection.execute(query.order_by(OUTBOX.c.id).limit(1)).mappings().first()
    if row is None:
        return None
    if row["attempts"] >= 2 * ATTEMPTS:
        # Whatever sends it dies of it: it must not keep all others from being sent.
        values = {"state": "dead", "done_utc": now, "expires_utc": None, "error": "who sent it never came back"}
        connection.execute(update(OUTBOX).where(OUTBOX.c.id == row["id"]).values(values))
        return claim(connection, holder=holder, now=now, lease_s=lease_s)
    token, expires = row["token"] + 1, now + timedelta(seconds=lease_s)
    held = and_(OUTBOX.c.id == row["id"], OUTBOX.c.token == row["token"], OUTBOX.c.state == "waiting")
    values = {"token": token, "holder": holder, "expires_utc": expires, "attempts": row["attempts"] + 1}
    if connection.execute(update(OUTBOX).where(held).values(values)).rowcount == 0:
        return None
    names = ("id", "key", "monitor", "channel", "target", "kind", "body", "n_failed")
    return Claimed(**{n: row[n] for n in names}, attempt=row["attempts"] + 1, token=token, expires_utc=expires)


def mark_sent(connection: Connection, claimed: Claimed, now: datetime) -> bool:
    """Note that the receiver has the message; False where somebody else holds it by now, and nothing was noted."""
    values = {"state": "sent", "done_utc": now, "expires_utc": None, "error": ""}
    return connection.execute(update(OUTBOX).where(_still(claimed)).values(values)).rowcount > 0


def mark_failed(
    connection: Connection,
    claimed: Claimed,
    now: datetime,
    *,
    error: str,
    permanent: bool = False,
    is_sure: bool = True,
    retry_after_s: float = 0.0,
) -> Literal["waiting", "dead", "fenced"]:
    """Note that an attempt failed: the message waits longer each time, and in the end is given up (dead).

    `is_sure` says that the receiver cannot have it; `permanent`, that no other attempt would fare better.
    """
    dead = permanent or claimed.attempt >= MOST_ATTEMPTS.get(claimed.kind, ATTEMPTS)
    wait = max(backoff_s(claimed.key, claimed.attempt), min(retry_after_s, LONGEST_WAIT_S))
    values = {
        "state": "dead" if dead else "waiting",
        "n_failed": OUTBOX.c.n_failed + int(is_sure),
        "due_utc": now + timedelta(seconds=wait),
        "done_utc": now if dead else None,
        "expires_utc": None,
        "error": error[:2000],
    }
    if connection.execute(update(OUTBOX).where(_still(claimed)).values(values)).rowcount == 0:
        return "fenced"
    return "dead" if dead else "waiting"


def backoff_s(key: str, attempt: int) -> float:
    """Seconds until the attempt after `attempt`: 5, 10, 20, … 3600, less up to half of it, by the message's key.

    So messages that failed together do not come back together, and it can be told beforehand when each one does.
    """
    wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempt - 1, 30))
    drawn = int.from_bytes(hashlib.sha256(f"{key}:{attempt}".encode()).digest()[:8]) / 2**64
    return wait * (0.5 + drawn / 2)


def waiting_rows(connection: Connection, *, states: tuple[str, ...] = ("waiting", "dead")) -> tuple[OutboxRow, ...]:
    """The messages in these states, oldest first."""
    columns = [OUTBOX.c[name] for name in OutboxRow._fields]
    query = select(*columns).where(OUTBOX.c.state.in_(states)).order_by(OUTBOX.c.id)
    return tuple(OutboxRow(*row) for row in connection.execute(query))


def revive(connection: Connection, now: datetime) -> int:
    """Let messages that were given up wait again, with all their attempts; returns how many."""
    values = {"state": "waiting", "n_failed": 0, "due_utc": now, "done_utc": None}
    # An attempt whose end nobody knows stays one: the receiver is told that the message may be a repeated one.
    values |= {"attempts": OUTBOX.c.attempts - OUTBOX.c.n_failed}
    return connection.execute(update(OUTBOX).where(OUTBOX.c.state == "dead").values(values)).rowcount


def prune(connection: Connection, now: datetime) -> int:
    """Remove messages that were sent or dropped 30 days ago; returns how many."""
    old = and_(OUTBOX.c.state.in_(("sent", "dropped")), OUTBOX.c.done_utc < now - KEPT)
    return connection.execute(delete(OUTBOX).where(old)).rowcount


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(OUTBOX.c.expires_utc.is_(None), OUTBOX.c.expires_utc <= now)


def _still(claimed: Claimed) -> ColumnElement[bool]:
    """The message, while no other deliverer has claimed it since."""
    return and_(OUTBOX.c.id == claimed.id, OUTBOX.c.token == claimed.token, OUTBOX.c.state == "waiting")

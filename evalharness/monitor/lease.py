"""Who may write for a monitor: a lease in the registry, and its token, which fences off whoever has lost it.

Clocks may be wrong and processes may sleep, so that a lease alone keeps nobody from writing late. Its token grows with
each new holder, and every transaction that writes begins with `confirm`, which changes the lease's row only where token
and holder are still the same: a writer with an old token changes nothing, and its transaction is rolled back.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, insert, select, update

from evalharness.core.errors import EvalHarnessError, RunError
from evalharness.record.database import writing
from evalharness.record.monitor_tables import LEASES

__all__ = ["Lease", "LeaseLostError", "acquire", "confirm", "holder_name", "kept", "release", "renew"]

LEASE_S = 60.0


class LeaseLostError(RunError):
    """Somebody else holds the lease now: what was computed is not written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write under `name`, for as long as nobody has got a later `token`."""

    name: str
    holder: str
    token: int
    seconds: float = LEASE_S


def holder_name() -> str:
    """A name that no other process has, on any machine."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def acquire(
    engine: Engine, name: str, holder: str, *, clock: Callable[[], datetime], seconds: float = LEASE_S
) -> Lease | None:
    """The lease, or None while somebody else holds it.

    A lease that would last longer than any is given stems from a clock that was wrong, and counts as ended.
    """
    with writing(engine) as connection:
        now = clock()
        lasts = timedelta(seconds=seconds)
        row = connection.execute(
            select(LEASES.c.holder, LEASES.c.token, LEASES.c.expires_utc).where(LEASES.c.name == name)
        ).first()
        if row is None:
            values = {"name": name, "holder": holder, "token": 1, "expires_utc": now + lasts}
            connection.execute(insert(LEASES).values(values))
            return Lease(name, holder, 1, seconds)
        if row.holder not in ("", holder) and now < row.expires_utc <= now + 2 * lasts:
            return None
        # Its own lease, too, gets a new token: what an earlier attempt of this process left running is fenced off.
        token = row.token + 1
        connection.execute(
            update(LEASES).where(LEASES.c.name == name).values(holder=holder, token=token, expires_utc=now + lasts)
        )
        return Lease(name, holder, token, seconds)


def confirm(connection: Connection, lease: Lease, now: datetime) -> None:
    """Hold on to the lease within a transaction that writes; the first thing that it does.

    Raises:
        LeaseLostError: somebody else has it; the transaction must be rolled back.
    """
    done = connection.execute(
        update(LEASES)
        .where(LEASES.c.name == lease.name, LEASES.c.token == lease.token, LEASES.c.holder == lease.holder)
        .values(expires_utc=now + timedelta(seconds=lease.seconds))
    )
    if done.rowcount != 1:
        raise LeaseLostError(
            f"the lease {lease.name!r} (token {lease.token}) has passed to another process, which does the work now; "
            f"nothing of this one was written"
        )


def renew(engine: Engine, lease: Lease, *, clock: Callable[[], datetime]) -> None:
    """Let the lease last again; errors as of `confirm`."""
    with writing(engine) as connection:
        confirm(connection, lease, clock())


def release(engine: Engine, lease: Lease) -> None:
    """Give the lease back, if it is still this one's."""
    with writing(engine) as connection:
        connection.execute(
            update(LEASES)
            .where(LEASES.c.name == lease.name, LEASES.c.token == lease.token, LEASES.c.holder == lease.holder)
            .values(holder="")
        )


@contextmanager
def kept(engine: Engine, lease: Lease, *, clock: Callable[[], datetime]) -> Iterator[None]:
    """Renew the lease from a thread while the block runs; whether it was lost is found by `confirm`, when it counts."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(lease.seconds / 4):
            try:
                renew(engine, lease, clock=clock)
            except LeaseLostError:
                return
            except EvalHarnessError:
                continue  # the database may be reached again before the lease has ended

    thread = threading.Thread(target=beat, name=f"lease {lease.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

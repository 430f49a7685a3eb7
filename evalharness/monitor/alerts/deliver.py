"""`deliver`: what waits in the outbox goes to its receivers."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from evalharness.core.errors import EvalHarnessError
from evalharness.monitor.outbox import Claimed, claim, mark_failed, mark_sent, prune
from evalharness.record.database import writing

from .heartbeat import tick

if TYPE_CHECKING:
    from evalharness.record import RunRegistry

__all__ = ["LEASE_S", "SEND_S", "Delivered", "DeliveryError", "Transport", "deliver"]

SEND_S: Final = 60.0
"""Longest that a transport may take to send a message."""
LEASE_S: Final = 180.0
"""How long a message is held by who sends it: long enough that nobody else sends it meanwhile."""


class DeliveryError(EvalHarnessError):
    """A message did not arrive, or nobody knows whether it did (`is_sure` False); it says so without any secret."""

    def __init__(
        self, message: str, *, permanent: bool = False, is_sure: bool = True, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.is_sure = is_sure
        self.retry_after_s = retry_after_s


class Transport(Protocol):
    """What sends a message; it returns when the receiver has it, and raises `DeliveryError` else."""

    def send(self, message: Claimed, now: datetime) -> None: ...


@dataclass(slots=True)
class Delivered:
    """How many messages were sent, failed and wait, were given up, and were taken over by another deliverer.

    `n_perhaps_repeated` of those sent may have arrived before: an earlier attempt ended without anybody knowing how.
    """

    n_sent: int = 0
    n_failed: int = 0
    n_dead: int = 0
    n_fenced: int = 0
    n_perhaps_repeated: int = 0


def deliver(
    registry: RunRegistry,
    clock: Callable[[], datetime],
    transport: Transport,
    *,
    holder: str | None = None,
    limit: int = 1000,
    lease_s: float = LEASE_S,
) -> Delivered:
    """Send what is due now, oldest first, at most `limit` messages; several deliverers may do so at once.

    It first puts into the outbox what time alone brings about: late intervals, messages said again, silences over.
    """
    holder = holder or f"{socket.gethostname()}-{secrets.token_hex(4)}"
    done = Delivered()
    with writing(registry.engine) as connection:
        tick(connection, clock())
        prune(connection, clock())
    for _ in range(limit):
        with writing(registry.engine) as connection:
            message = claim(connection, holder=holder, now=clock(), lease_s=lease_s)
        if message is None:
            break
        _send(registry, clock, transport, message, done)
    return done


def _send(
    registry: RunRegistry, clock: Callable[[], datetime], transport: Transport, message: Claimed, done: Delivered
) -> None:
    if clock() + timedelta(seconds=SEND_S) > message.expires_utc:
        done.n_fenced += 1  # held up since the claim: before it is sent, another one may hold it
        return
    try:
        transport.send(message, clock())
    except DeliveryError as error:
        with writing(registry.engine) as connection:
            outcome = mark_failed(
                connection,
                message,
                clock(),
                error=str(error),
                permanent=error.permanent,
                is_sure=error.is_sure,
                retry_after_s=error.retry_after_s,
            )
        done.n_failed += outcome == "waiting"
        done.n_dead += outcome == "dead"
        done.n_fenced += outcome == "fenced"
        return
    with writing(registry.engine) as connection:
        is_mine = mark_sent(connection, message, clock())
    done.n_sent += is_mine
    done.n_fenced += not is_mine
    done.n_perhaps_repeated += is_mine and message.may_be_repeated

"""When to ask again, and after how long: a pure policy; clock, sleep and dice are given to it.

Delays are exponential back-off with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
2015): uniform between 0 and min(longest, first · 2^tries). Where the server says `Retry-After`, in seconds or as a
date (RFC 9110, 10.2.3), that is waited for first, and jitter of up to `first_delay_s` is added, so that requests held
back together do not come back together.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .transport import Fault, HttpReply

__all__ = ["OUT_OF_CREDIT", "RetryPolicy", "Timing", "retry_after_s"]

_RETRIED_BELOW_500 = frozenset({408, 425, 429})
_RETRIED_FAULTS: frozenset[Fault] = frozenset({"timeout", "unreachable", "lost"})
# What OpenAI says, with status 429, to an account without credit: asking again cannot help.
OUT_OF_CREDIT = b"insufficient_quota"


def _now() -> float:
    return datetime.now(UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock (monotonic seconds), wall time (seconds since 1970), sleep and dice (uniform in [0, 1))."""

    clock: Callable[[], float] = time.perf_counter
    now: Callable[[], float] = _now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    dice: Callable[[], float] = field(default_factory=lambda: random.Random().random)


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """The seconds that `retry-after-ms` or `retry-after` ask for at time `now`; None where they say nothing usable."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    # RFC 9110 dates are in GMT; one without a zone is taken as that, not as local time.
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp() - now)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently to ask again; `max_retries` 0 never does."""

    max_retries: int = 5
    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    longest_retry_after_s: float = 120.0

    def retries_status(self, reply: HttpReply) -> bool:
        """Whether the same request may fare better later: 408, 425, 429 and 5xx, but not an account without credit."""
        if reply.status == 429 and OUT_OF_CREDIT in reply.body:
            return False
        return reply.status in _RETRIED_BELOW_500 or 500 <= reply.status <= 599

    def retries_fault(self, fault: Fault) -> bool:
        """Whether a request that got no reply may fare better later."""
        return fault in _RETRIED_FAULTS

    def delay_s(self, n_retries: int, *, asked_for_s: float | None, dice: Callable[[], float]) -> float | None:
        """The wait before retry number `n_retries` + 1; None to give up.

        `asked_for_s` is the server's Retry-After; one that is longer than `longest_retry_after_s` ends the tries,
        since a run should say so rather than stand still.
        """
        if n_retries >= self.max_retries:
            return None
        if asked_for_s is not None:
            return None if asked_for_s > self.longest_retry_after_s else asked_for_s + dice() * self.first_delay_s
        # 2.0 ** 1100 would overflow; 60 doublings exceed every bound there is.
        return dice() * min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(n_retries, 60))

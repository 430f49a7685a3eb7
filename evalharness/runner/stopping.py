"""Why a run must stop before all is asked: its deadline, or whatever else says so (a budget that is spent).

Before each request more is sent, the reason is looked at: once there is one, no further request is handed to a model,
what was handed over (in flight, or waiting for its turn under the model's limits) has `grace_s` to finish, and the run
ends with a `StopRun`. What is answered lies in the response store; the same command continues from there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from evalharness.core.errors import RunError
from evalharness.core.spool import Lazy

__all__ = ["StopRun", "Stopping", "kept"]

T = TypeVar("T")


class StopRun(RunError):
    """A run was stopped on purpose, and can be continued; the message says why, what is kept, and how."""


class Stopping:
    """Says why a run must stop, from the moment when it must: asked before more is sent, and told by who finds out."""

    def __init__(
        self,
        *,
        deadline_s: float | None = None,
        began: float | None = None,
        grace_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._deadline_s = deadline_s
        self._deadline_at = None if deadline_s is None else (clock() if began is None else began) + deadline_s
        self._grace_s = grace_s
        self._reason: str | None = None
        self._timeout: asyncio.Timeout | None = None
        self.left_running: dict[str, str] = {}
        """By model, what goes on elsewhere when the run stops, to be told with the reason."""

    @property
    def left_s(self) -> float:
        """The seconds until the deadline; infinite without one."""
        return math.inf if self._deadline_at is None else self._deadline_at - self._clock()

    @property
    def reason(self) -> str | None:
        """Why the run must stop, with a remedy; None while it may go on. The first reason holds."""
        if self._reason is None and self._deadline_at is not None and self._clock() >= self._deadline_at:
            self._reason = f"its deadline has passed (execution.deadline_s: {self._deadline_s:g})"
        return self._reason

    def stop(self, reason: str) -> None:
        """Stop the run because of `reason`; to be called in the event loop of the run."""
        if self.reason is None:
            self._reason = reason
            if self._timeout is not None:
                self._timeout.reschedule(asyncio.get_running_loop().time() + self._grace_s)

    def feed(self, items: Sequence[T]) -> Sequence[T]:
        """`items` for as long as there is no reason to stop: iterating over them ends when there is one."""
        return _Fed(items, self)

    @asynccontextmanager
    async def grace(self) -> AsyncIterator[None]:
        """Cancel what is done within once `grace_s` have passed since there was a reason to stop."""
        left_s = None
        if self.reason is not None:
            left_s = self._grace_s
        elif self._deadline_at is not None:
            left_s = self._deadline_at - self._clock() + self._grace_s
        try:
            async with asyncio.timeout(left_s) as self._timeout:
                yield
        except TimeoutError:
            # One that is not ours comes while there is no reason to stop.
            if self.reason is None:
                raise
        finally:
            self._timeout = None


class _Fed(Lazy[T]):
    def __init__(self, items: Sequence[T], stopping: Stopping) -> None:
        self._items = items
        self._stopping = stopping

    def __len__(self) -> int:
        return len(self._items)

    def item(self, place: int) -> T:
        return self._items[place]

    def __iter__(self) -> Iterator[T]:
        for item in self._items:
            if self._stopping.reason is not None:
                return
            yield item


def kept(n_answered: int, n_requests: int, *, stored: bool) -> str:
    """What is kept of a run that ends early, and how to go on."""
    if not stored:
        return f"{n_answered:,} of {n_requests:,} requests were answered; with cache: off none of it is kept"
    return (
        f"{n_answered:,} of {n_requests:,} requests are answered and kept; "
        "run the same command again to ask only the rest"
    )

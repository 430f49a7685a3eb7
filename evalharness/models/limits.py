"""What requests of one model learn from one another: how many may be sent, how fast, and whether anyone answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, Self

from .pace import Pace, estimated_tokens, used_tokens
from .ratelimit import exhausted_for_s
from .retry import Timing
from .transport import HttpReply, HttpRequest
from .window import Outcome, Window

__all__ = ["Flow", "FlowSpec", "Limits"]

_SPREAD_S = 0.5
_DOWN_AFTER = 10


class FlowSpec(Protocol):
    """The flow control of a model's suite entry."""

    @property
    def requests_per_minute(self) -> float | None:
        """Requests sent in a minute."""
        ...

    @property
    def tokens_per_minute(self) -> float | None:
        """Tokens taken in a minute."""
        ...

    @property
    def deadline_s(self) -> float | None:
        """Longest time for one request with all its tries."""
        ...


@dataclass(frozen=True, slots=True)
class Flow:
    """How a server is to be treated; what is not set has no limit."""

    concurrency: int = 10_000
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    deadline_s: float = math.inf

    @classmethod
    def of(cls, spec: FlowSpec, *, concurrency: int) -> Self:
        """The flow control of a suite entry."""
        return cls(concurrency, spec.requests_per_minute, spec.tokens_per_minute, spec.deadline_s or math.inf)


class Limits:
    """The shared state of the requests to one server.

    A `Retry-After`, or a rate limit of which nothing remains, holds back all requests, not only the one that was
    told: the other ninety-nine would be refused too. Once a request has spent its tries on a server that nobody has
    reached yet, the others do not spend theirs, so that a wrong address costs seconds. And when so many requests in a
    row have failed, through no fault of their own and with none answered in between, the server counts as down.
    """

    down_after = _DOWN_AFTER

    def __init__(self, timing: Timing, flow: Flow | None = None, *, longest_hold_s: float = math.inf) -> None:
        flow = Flow() if flow is None else flow
        self._timing = timing
        self._longest_hold_s = longest_hold_s
        self._window = Window(flow.concurrency)
        self._pace = Pace(
            timing, requests_per_minute=flow.requests_per_minute, tokens_per_minute=flow.tokens_per_minute
        )
        self._quiet_until = -math.inf
        self._reached = False
        self._n_failed_in_a_row = 0
        self.n_answered = 0
        """How many requests were answered so far."""

    def tokens_of(self, request: HttpRequest) -> int:
        """About how many tokens `request` takes; 0 where they are not counted."""
        return estimated_tokens(request) if self._pace.limits_tokens else 0

    async def enter(self, n_tokens: int = 0) -> int:
        """Return when a request may be sent, with a ticket for `leave`, which must follow."""
        await self._window.enter()
        try:
            await self.wait()
            await self._pace.wait(n_tokens)
            await self.wait()
        except BaseException:
            self._window.leave(self._window.round, "unknown")
            raise
        return self._window.round

    def leave(self, ticket: int, outcome: Outcome) -> None:
        """A request is back, and was taken by the server, or refused since there were too many."""
        self._window.leave(ticket, outcome)

    async def wait(self) -> None:
        """Return when the server may be asked; those that were held back do not all return at once."""
        while (left := self._quiet_until - self._timing.clock()) > 0:
            await self._timing.sleep(left + self._timing.dice() * _SPREAD_S)

    def quiet_for(self, seconds: float) -> None:
        """Hold all requests back for `seconds` from now."""
        self._quiet_until = max(self._quiet_until, self._timing.clock() + seconds)

    def read(self, reply: HttpReply, n_tokens: int) -> float | None:
        """Heed what `reply` says of limits and tokens; returns how long nothing remains, or None.

        More than `longest_hold_s` is not waited for: OpenAI gives the time until a limit is whole again, and that of a
        day is hours, though the next request may be sent within seconds.
        """
        self._reached = True
        if n_tokens and 200 <= reply.status <= 299:
            self._pace.correct(n_tokens, used_tokens(reply))
        hold_s = exhausted_for_s(reply.headers, now=self._timing.now())
        if hold_s is None or hold_s > self._longest_hold_s:
            return None
        self.quiet_for(hold_s)
        return hold_s

    def answered(self) -> None:
        """A request got an answer, or a refusal that concerns itself alone."""
        self._n_failed_in_a_row = 0
        self.n_answered += 1

    def failed(self) -> None:
        """A request has spent its tries through no fault of its own."""
        self._n_failed_in_a_row += 1

    @property
    def hopeless(self) -> bool:
        """Whether to spare further tries on connecting."""
        return self._n_failed_in_a_row > 0 and not self._reached

    @property
    def down(self) -> bool:
        """Whether to give the server up."""
        return self._n_failed_in_a_row >= self.down_after

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
_DOWN_AFTER_FAULTS = 100


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
    row have failed, through no fault of their own and with none answered in between, the server is in doubt. Whether it
    is down, one that has answered before shows by what it answered then (`known`). One that has answered nothing, but
    says to each request that it failed at it (500), may fail at these alone: it counts as down after many more.
    """

    down_after = _DOWN_AFTER
    down_after_faults = _DOWN_AFTER_FAULTS

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
        self._only_faults = True
        self._known: HttpRequest | None = None
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
        self._only_faults = True
        self.n_answered += 1

    def remember(self, request: HttpRequest) -> None:
        """Keep `request`, which was answered and may be asked again, if it is the smallest one so far."""
        if self._known is None or _size(request) < _size(self._known):
            self._known = request

    def failed(self, *, at_request: bool = False) -> None:
        """A request has spent its tries; `at_request` says that the server told of a fault in working on it."""
        self._n_failed_in_a_row += 1
        self._only_faults = self._only_faults and at_request

    @property
    def known(self) -> HttpRequest | None:
        """The smallest request that was answered so far: what a server that is not down answers again."""
        return self._known

    @property
    def hopeless(self) -> bool:
        """Whether to spare further tries: on connecting, or on a server that has failed at all that it was sent."""
        return (self._n_failed_in_a_row > 0 and not self._reached) or (self.in_doubt and self._known is None)

    @property
    def in_doubt(self) -> bool:
        """Whether so many requests in a row have failed that the server may be down."""
        return self._n_failed_in_a_row >= self.down_after

    @property
    def down(self) -> bool:
        """Whether to give up a server that has answered nothing yet."""
        return self._n_failed_in_a_row >= (self.down_after_faults if self._only_faults else self.down_after)

    @property
    def n_failed_in_a_row(self) -> int:
        """How many requests have failed since the last answer."""
        return self._n_failed_in_a_row


def _size(request: HttpRequest) -> int:
    return len(request.body or b"")

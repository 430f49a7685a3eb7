"""One HTTP endpoint: asks it with patience, and says what went wrong, with a remedy and without a secret."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from evalharness.core.allowance import may_try_again
from evalharness.core.errors import ModelDownError

from .concurrent import RequestFailed
from .limits import Flow, FlowSpec, Limits
from .retry import OUT_OF_CREDIT, RetryPolicy, Timing, retry_after_s
from .transport import Fault, HttpReply, HttpRequest, Transport, TransportError
from .values import Secrets
from .window import Outcome

__all__ = [
    "Endpoint",
    "EndpointSpec",
    "Exchange",
    "excerpt",
    "parsed",
]

_LONGEST_EXCERPT = 300
# With these a server says that it is asked too much.
_OVERRUN = frozenset({429, 503, 529})
# So many refusals for want of room do not count as tries: our own search for the server's limit must not cost answers.
_SPARED = 30
# The server is there, and failed in working on the request: it may do so with this one alone.
_FAILED_AT_REQUEST = 500
# These would befall any request, and not this one alone: a wrong key, no money, a wrong address.
_OF_THE_SERVER = frozenset({401, 402, 404, 405, 407, 408, 429})
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_FAULTS: dict[Fault, str] = {
    "timeout": "raise timeout_s, or lower the concurrency if the server is overloaded",
    "unreachable": "check the address, and that the server runs",
    "lost": "the connection broke; look into the server's log",
    "untrusted": "check the server's certificate, and the address",
    "unsendable": "check the address and the headers",
    "too large": "this is hardly the answer; check the address",
}


class EndpointSpec(FlowSpec, Protocol):
    """What the suite entry of any model behind HTTP says of how it is asked."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers."""
        ...

    @property
    def stream(self) -> bool:
        """Whether answers are sent as they are made."""
        ...

    @property
    def timeout_s(self) -> float:
        """Longest wait for one answer."""
        ...

    @property
    def max_retries(self) -> int:
        """Further tries."""
        ...

    @property
    def concurrency(self) -> int | None:
        """Requests in flight, if not the run's."""
        ...


class Exchange(NamedTuple):
    """A reply with status 2xx, after `n_retries` further tries; `latency_s` is the time of the last try alone."""

    reply: HttpReply
    n_retries: int
    latency_s: float


class _Failure(NamedTuple):
    """A try without an answer."""

    message: str
    may_pass: bool
    of_server: bool
    """Whether it says nothing of the request, but of the server, the address or the key."""
    asked_for_s: float | None = None
    overrun: bool = False
    """Whether it says that the server is asked too much."""
    status: int | None = None


def excerpt(reply: HttpReply, secrets: Secrets) -> str:
    """What the reply says, for a message: the error's own message where there is one, on one line, cut, redacted."""
    # Redacted before it is cut: half a secret would not be recognised.
    said = " ".join(secrets.hide(_said(reply)).split())
    return said if len(said) <= _LONGEST_EXCERPT else said[:_LONGEST_EXCERPT] + "…"


def _said(reply: HttpReply) -> str:
    text = reply.text()
    if text.lstrip()[:1] == "<":
        return _TAGS.sub(" ", text[:20_000])
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text
    match content:
        case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
            return message
        case {"detail": str(message)}:
            return message
    return text


class Endpoint:
    """Sends requests to one server, as often as `policy` and `flow` allow; raises `RequestFailed` with the remedy."""

    def __init__(
        self,
        transport: Transport,
        *,
        written: str,
        secrets: Secrets,
        key_names: Sequence[str],
        policy: RetryPolicy,
        timing: Timing,
        flow: Flow | None = None,
        hints: Mapping[bytes, str] | None = None,
    ) -> None:
        self._transport = transport
        self._written = written
        self._secrets = secrets
        self._key_names = tuple(key_names)
        # What to do about a refusal whose text has these bytes in it.
        self._hints = dict(hints or {})
        self._policy = policy
        self._timing = timing
        self._flow = Flow() if flow is None else flow
        self._most_spared = _SPARED if policy.max_retries else 0
        self._limits = self._fresh_limits()
        self._finding_out = asyncio.Lock()
        self._found_down = False

    def _fresh_limits(self) -> Limits:
        return Limits(self._timing, self._flow, longest_hold_s=self._policy.longest_retry_after_s)

    async def open(self) -> None:
        self._limits = self._fresh_limits()
        self._finding_out = asyncio.Lock()
        self._found_down = False
        await self._transport.open()

    async def close(self) -> None:
        await self._transport.close()

    async def ask(self, request: HttpRequest, *, once: bool = False, other: bool = False) -> Exchange:
        """The 2xx reply to `request`; with `once` there is a single try, for what must not be done twice unseen.

        `other` says that it asks for something else than an answer of the model, and so does not show that it answers.

        Raises:
            RequestFailed: there is none; the message gives status or fault, what the server said, and a remedy.
            ModelDownError: there is none, and there was none for many requests in a row: the server is down.
        """
        limits, clock = self._limits, self._timing.clock
        n_tokens = limits.tokens_of(request)
        n_retries, n_spared, n_answered, give_up_at = 0, 0, limits.n_answered, math.inf
        n_before = n_answered
        failure: _Failure | None = None
        while True:
            ticket = await limits.enter(n_tokens)
            started = clock()
            if failure is not None and started >= give_up_at:
                # The limits have held it back for too long.
                limits.leave(ticket, "unknown")
                raise await self._given_up(failure, n_retries - 1, n_before, late=True, latency_s=0.0)
            # The deadline counts from the first try: until then it is not the server that a request waits for.
            give_up_at = min(give_up_at, started + self._flow.deadline_s)
            found = await self._try(request, ticket, n_tokens, longest_s=give_up_at - started)
            ended = clock()
            if isinstance(found, HttpReply):
                if not other:
                    limits.remember(request)
                return Exchange(found, n_retries, ended - started)
            failure, delay_s = found, None
            if failure.may_pass and not once and not limits.hopeless:
                # While others are answered, a server that is asked too much refuses this request for want of room.
                n_spared += failure.overrun and n_answered < limits.n_answered and n_spared < self._most_spared
                n_answered = limits.n_answered
                delay_s = self._policy.delay_s(
                    n_retries - n_spared, asked_for_s=failure.asked_for_s, dice=self._timing.dice
                )
            if failure.asked_for_s is not None and failure.asked_for_s <= self._policy.longest_retry_after_s:
                limits.quiet_for(failure.asked_for_s)
            late = delay_s is not None and ended + delay_s >= give_up_at
            if delay_s is not None and not late and not may_try_again():
                why = f"{failure.message}; execution.max_requests leaves no further try"
                failure, delay_s = failure._replace(message=why), None
            if delay_s is None or late:
                raise await self._given_up(failure, n_retries, n_before, late=late, latency_s=ended - started)
            await self._timing.sleep(delay_s)
            n_retries += 1

    async def _try(self, request: HttpRequest, ticket: int, n_tokens: int, *, longest_s: float) -> HttpReply | _Failure:
        """The reply to one try, if its status is 2xx."""
        limits = self._limits
        outcome: Outcome = "unknown"
        if longest_s < request.timeout_s:
            request = replace(request, timeout_s=longest_s)
        try:
            reply = await self._transport.send(request)
            outcome = "refused" if reply.status in _OVERRUN else "taken"
        except TransportError as error:
            outcome = "refused" if error.fault == "timeout" else "unknown"
            return _Failure(
                f"no reply from {self._written}: {self._secrets.hide(str(error))}; {_FAULTS[error.fault]}",
                may_pass=self._policy.retries_fault(error.fault) and not limits.hopeless,
                of_server=error.fault != "too large",
            )
        finally:
            limits.leave(ticket, outcome)
        hold_s = limits.read(reply, n_tokens)
        if 200 <= reply.status <= 299:
            limits.answered()
            return reply
        may_pass = self._policy.retries_status(reply)
        asked_for_s = retry_after_s(reply.headers, now=self._timing.now()) if may_pass else None
        if asked_for_s is None and reply.status == 429 and may_pass:
            asked_for_s = hold_s
        of_server = reply.status in _OF_THE_SERVER or reply.status >= 500 or reply.status <= 399
        overrun = reply.status in _OVERRUN
        return _Failure(self._refused(reply, asked_for_s), may_pass, of_server, asked_for_s, overrun, reply.status)

    async def _given_up(
        self, failure: _Failure, n_retries: int, n_before: int, *, late: bool, latency_s: float
    ) -> RequestFailed | ModelDownError:
        limits = self._limits
        if not failure.of_server:
            limits.answered()
        elif limits.n_answered == n_before:
            # Where others were answered while it was tried, the server is there, and its fault is this request's: those
            # with many tries end last, and many of them in a row.
            limits.failed(at_request=failure.status == _FAILED_AT_REQUEST)
        n_failed = limits.n_failed_in_a_row
        is_down, n_asked = await self._is_down() if limits.in_doubt else (False, 0)
        if is_down:
            return ModelDownError(
                f"{self._written} is down: {n_failed} requests in a row got no answer; the last one: {failure.message}"
            )
        tries = f" (tried {n_retries + 1} times)" if n_retries else ""
        if late:
            tries += f"; deadline_s: {self._flow.deadline_s:g} leaves no time for another try"
        # What was sent to find out is part of what this request has cost.
        return RequestFailed(
            failure.message + tries,
            n_retries=n_retries + n_asked,
            latency_s=latency_s,
            may_pass=failure.may_pass,
            of_server=failure.of_server,
            status=failure.status,
        )

    async def _is_down(self) -> tuple[bool, int]:
        """Whether the server answers nothing any more, not even what it has answered before; how often it was asked.

        Many requests in a row may fail each by itself, such as those that are too long for it, and it would be wrong to
        end the run; all the more since the same command would then begin with them again. So it is asked once more.
        """
        limits = self._limits
        # One finds out for all: the others wait, and do not spend their tries meanwhile.
        async with self._finding_out:
            n_asked = 0
            while limits.in_doubt and not self._found_down:
                known = limits.known
                if known is None or not may_try_again():
                    return limits.down, n_asked
                n_tokens = limits.tokens_of(known)
                ticket = await limits.enter(n_tokens)
                found = await self._try(known, ticket, n_tokens, longest_s=known.timeout_s)
                n_asked += 1
                if isinstance(found, HttpReply):
                    break
                delay_s = self._policy.delay_s(n_asked - 1, asked_for_s=found.asked_for_s, dice=self._timing.dice)
                if delay_s is None or not found.may_pass:
                    self._found_down = limits.in_doubt
                    break
                await self._timing.sleep(delay_s)
            return self._found_down, n_asked

    def _refused(self, reply: HttpReply, asked_for_s: float | None) -> str:
        said = excerpt(reply, self._secrets)
        return (
            f"HTTP {reply.status} from {self._written}{f': {said}' if said else ''}; {self._remedy(reply, asked_for_s)}"
        )

    def _remedy(self, reply: HttpReply, asked_for_s: float | None) -> str:
        status = reply.status
        if status in (401, 403, 407):
            names = " and ".join(self._key_names)
            if not names:
                return "the server wants a key: give it one, as ${env:NAME}"
            return f"check the value of the environment variable {names}, and what that key may do"
        if 300 <= status <= 399:
            target = self._secrets.hide(reply.headers.get("location", "elsewhere"))
            return f"redirects are not followed, since a key would go along; write the address it points to: {target}"
        if status == 429 and OUT_OF_CREDIT not in reply.body:
            if asked_for_s is not None and asked_for_s > self._policy.longest_retry_after_s:
                return f"the server wants a wait of {asked_for_s:.0f} s, which is too long; run again after it"
            return "lower the concurrency, or raise max_retries"
        for mark, hint in self._hints.items():
            if mark in reply.body:
                return hint
        remedies = {
            404: "check the address and the name of the model",
            405: "check the address and the method",
            429: "the account has no credit left: add some",
            413: "the prompt is too long for the server",
        }
        return remedies.get(status) or (
            "the server failed; look into its log" if status >= 500 else "the server does not take this request"
        )


def parsed(reply: HttpReply, secrets: Secrets) -> Any:
    """The reply's JSON.

    Raises:
        RequestFailed: it is none; the message shows what came.
    """
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        kind = reply.headers.get("content-type", "no content type").split(";")[0]
        said = excerpt(reply, secrets)
        raise RequestFailed(
            f"the reply (HTTP {reply.status}, {kind}) is not JSON: {said or 'it is empty'}; check the address"
        ) from error

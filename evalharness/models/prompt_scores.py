"""Asks a completions server for the likelihoods of a request: each continuation with its prompt, one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from evalharness.core.types import Json, LogLikelihood, Request, Response

from .concurrent import RequestFailed
from .echoed import Way, fields_of, likelihood_of, parted
from .endpoint import Exchange
from .openai_body import text_of
from .replies import kept_of_reply, tokens_of

__all__ = ["PromptScorer"]

# How servers say that they do not take a request at all; other refusals are about its moment or its sender. At being
# asked to write nothing, `transformers serve` fails.
_NOT_TAKEN = ("HTTP 400 ", "HTTP 422 ", "HTTP 500 ")
Ask = Callable[[Mapping[str, Any]], Awaitable[tuple[Exchange, Any]]]
"""Sends the fields of a body; gives the exchange and the parsed reply."""


class PromptScorer:
    """Scores requests over `ask`; learns whether the server can be asked to write nothing."""

    def __init__(self, ask: Ask, *, way: Way, first_token: str | None) -> None:
        self._ask = ask
        self._way = way
        self._first = first_token
        # The least max_tokens that the server takes; known when it has taken one. vLLM's own field comes with
        # generated text, of at least one token.
        self._least: int | None = None if way == "echo" else 1

    async def answer(self, request: Request) -> Response:
        """The log-likelihood of each continuation of `request`, or of its whole prompt.

        Raises:
            RequestFailed: one of them has none.
        """
        prompt = text_of(request.prompt)
        if request.kind == "loglikelihood_rolling":
            parts = [(self._first or "", prompt)]
        else:
            parts = [parted(prompt, continuation, first=self._first) for continuation in request.continuations]
        tally = _Tally()
        try:
            found = [await self._likelihood(context, continuation, tally) for context, continuation in parts]
        except RequestFailed as failure:
            tally.add_tries(failure.n_retries, failure.latency_s)
            raise RequestFailed(str(failure), n_retries=tally.n_retries, latency_s=tally.latency_s) from failure
        return tally.response(request.key, tuple(found))

    async def _likelihood(self, context: str, continuation: str, tally: _Tally) -> LogLikelihood:
        if not continuation:
            return LogLikelihood(0.0, 0, is_greedy=True)
        least = self._least or 0
        try:
            exchange, reply = await self._ask(fields_of(context + continuation, way=self._way, max_tokens=least))
        except RequestFailed as failure:
            if self._least is not None or not str(failure).startswith(_NOT_TAKEN):
                raise
            # Not a few servers refuse to write nothing: one token more does no harm.
            tally.add_tries(failure.n_retries, failure.latency_s)
            least = 1
            exchange, reply = await self._ask(fields_of(context + continuation, way=self._way, max_tokens=least))
        self._least = least
        tally.add(exchange, reply)
        return likelihood_of(reply, context, continuation, way=self._way, max_tokens=least)


class _Tally:
    """What the requests for the continuations of one sample come to together."""

    def __init__(self) -> None:
        self.n_retries = 0
        self.latency_s = 0.0
        self._counts: dict[str, int | None] = {"prompt_tokens": 0, "completion_tokens": 0}
        self._kept: dict[str, Json] = {}

    def add_tries(self, n_retries: int, latency_s: float | None) -> None:
        self.n_retries += n_retries
        self.latency_s += latency_s or 0.0

    def add(self, exchange: Exchange, reply: Any) -> None:
        self.add_tries(exchange.n_retries, exchange.latency_s)
        usage = reply.get("usage") if isinstance(reply, Mapping) else None
        for field, so_far in self._counts.items():
            count = tokens_of(usage, field) if isinstance(usage, Mapping) else None
            self._counts[field] = None if count is None or so_far is None else so_far + count
        if isinstance(reply, Mapping):
            self._kept = kept_of_reply(reply, {})

    def response(self, key: str, found: tuple[LogLikelihood, ...]) -> Response:
        return Response(
            key=key,
            loglikelihoods=found,
            input_tokens=self._counts["prompt_tokens"],
            output_tokens=self._counts["completion_tokens"],
            latency_s=self.latency_s,
            n_retries=self.n_retries,
            meta=self._kept,
        )

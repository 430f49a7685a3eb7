"""The base of models that answer one request at a time: bounded concurrency, answers as they come, failures as states.

A backend writes `answer`; this module asks it for at most `concurrency` requests at once, from as many tasks, so that
100,000 requests cost no more memory than 100.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

from evalharness.core.errors import CapabilityError, EvalHarnessError, ModelError
from evalharness.core.types import Json, Kind, Request, Response

from .values import Secrets

__all__ = ["ConcurrentModel", "RequestFailed", "answered", "utc_now"]

# Answers that may wait for a slow consumer before the backend is held up, for each request in flight.
_WAITING_PER_WORKER = 4


class RequestFailed(Exception):
    """One request has no answer: the message becomes the error of its response.

    `n_retries` and `latency_s` are what the response is to say of the tries; `may_pass` whether the same request may
    fare better later, `of_server` whether it would befall any other request, too, and `status` that of HTTP.
    """

    def __init__(
        self,
        message: str,
        *,
        n_retries: int = 0,
        latency_s: float | None = None,
        may_pass: bool = False,
        of_server: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.n_retries = n_retries
        self.latency_s = latency_s
        self.may_pass = may_pass
        self.of_server = of_server
        self.status = status


def utc_now() -> str:
    """The time now, in UTC, as ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


async def answered(
    requests: Sequence[Request], answer: Callable[[Request], Awaitable[Response]], *, concurrency: int
) -> AsyncIterator[Response]:
    """The answer to each of `requests`, in the order in which they come, at most `concurrency` asked for at once.

    `answer` must not raise but for a failure of the whole, which is raised here. When the consumer goes away, or is
    cancelled, all that is in flight is cancelled and awaited: nothing is left running. Iterating over `requests` may
    end before their number is reached, when a run is stopped: what is in flight is then answered still.
    """
    if not requests:
        return
    n_workers = min(concurrency, len(requests))
    # None: a worker has found nothing more to do.
    done: asyncio.Queue[Response | BaseException | None] = asyncio.Queue(n_workers * _WAITING_PER_WORKER)
    # One iterator for all workers: each takes the next request when it is free. It needs no lock, since `next` on it
    # does not await.
    left: Iterator[Request] = iter(requests)

    async def work() -> None:
        try:
            for request in left:
                await done.put(await answer(request))
        except Exception as error:  # noqa: BLE001 - handed to the consumer, who raises it
            await done.put(error)
        else:
            await done.put(None)

    workers = [asyncio.create_task(work()) for _ in range(n_workers)]
    n_at_work = n_workers
    try:
        while n_at_work:
            item = await done.get()
            if item is None:
                n_at_work -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


class ConcurrentModel(ABC):
    """A model whose `answer` gives one response; verbs, failure boundary, clock and redaction are here.

    A verb that is not among `capabilities` raises a `CapabilityError`. An exception in `answer` becomes a response
    with status "error" (a `RequestFailed` its message as it stands); only a `ModelError` ends the stream.
    """

    name: str
    capabilities: frozenset[Kind]
    timed: ClassVar[bool] = True
    """Whether the time that `answer` takes is the model's latency."""

    def __init__(self, name: str, *, concurrency: int, secrets: Secrets | None = None) -> None:
        self.name = name
        self._concurrency = concurrency
        self._secrets = Secrets({}) if secrets is None else secrets

    @abstractmethod
    def identity(self) -> Mapping[str, Json]:
        """All that can change this model's responses."""

    @abstractmethod
    async def answer(self, request: Request) -> Response:
        """The response to one request; `latency_s` and `created_utc` are filled in where it leaves them empty."""

    async def open(self) -> None:  # noqa: B027 - most backends have nothing to open
        """Load or connect."""

    async def close(self) -> None:  # noqa: B027 - nor to close
        """Release what `open` took; safe to call twice."""

    def generate(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._stream("generate", requests)

    def loglikelihood(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._stream("loglikelihood", requests)

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._stream("loglikelihood_rolling", requests)

    def classify(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        return self._stream("classify", requests)

    def describe_failure(self, error: Exception) -> str:
        """What the response says of an exception that `answer` did not expect."""
        return str(error) if isinstance(error, EvalHarnessError) else f"{type(error).__name__}: {error}"

    def _stream(self, kind: Kind, requests: Sequence[Request]) -> AsyncIterator[Response]:
        if kind not in self.capabilities:
            can = ", ".join(sorted(self.capabilities))
            raise CapabilityError(f"model {self.name!r} cannot do {kind!r}; it can do: {can}")
        return answered(requests, self._bounded, concurrency=self._concurrency)

    async def _bounded(self, request: Request) -> Response:
        """The response to `request`, whatever happens: the failure boundary of one request."""
        started = time.perf_counter()
        try:
            response = await self.answer(request)
        except ModelError:
            raise
        except RequestFailed as failure:
            response = Response(
                key=request.key,
                status="error",
                error=str(failure),
                latency_s=failure.latency_s,
                n_retries=failure.n_retries,
            )
        except Exception as error:  # noqa: BLE001 - the per-sample boundary
            response = Response(key=request.key, status="error", error=self.describe_failure(error))
        else:
            if self.timed and response.latency_s is None:
                response = replace(response, latency_s=time.perf_counter() - started)
        return replace(self._without_secrets(response), created_utc=response.created_utc or utc_now())

    def _without_secrets(self, response: Response) -> Response:
        if not self._secrets.names:
            return response
        in_answer = self._secrets.hide_in_answer
        return replace(
            response,
            text=in_answer(response.text),
            answer=in_answer(response.answer),
            error=None if response.error is None else self._secrets.hide(response.error),
            finish_reason=in_answer(response.finish_reason),
            meta=in_answer(response.meta),
        )

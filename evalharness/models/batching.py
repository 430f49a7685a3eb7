"""The base of models that answer in batches on this machine: synchronous work behind the asynchronous protocol.

A backend writes `load`, `unload` and `answer`, plain synchronous code; this module runs all of it on one worker
thread of the model's own. One thread, and always the same one, for three reasons: the event loop stays free, two
verbs never compute at the same time, and libraries keep a pool of threads *for each* thread that calls them.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from evalharness.core.errors import CapabilityError, EvalHarnessError, ModelError
from evalharness.core.types import Json, Kind, Request, Response

from .concurrent import utc_now

__all__ = ["BatchModel"]

T = TypeVar("T")


class BatchModel(ABC):
    """A model whose `answer` gives the responses of many requests, a batch at a time.

    Requests may come from an iterator of any length: no more are taken than are worked on.

    A verb that is not among `capabilities` raises a `CapabilityError`. When the consumer goes away, or is cancelled,
    the batch that is being computed is the last one. A `ModelError` ends the stream, and so does every exception
    that `answer` lets through, as a `ModelError`: what belongs to one request is a response, not an exception.
    """

    name: str
    capabilities: frozenset[Kind]

    def __init__(self, name: str) -> None:
        self.name = name
        self._worker: ThreadPoolExecutor | None = None
        self._loaded = False

    @abstractmethod
    def identity(self) -> Mapping[str, Json]:
        """All that can change this model's responses."""

    @abstractmethod
    def load(self) -> None:
        """Load the weights; called once between `open` and `close`, on the worker thread."""

    @abstractmethod
    def unload(self) -> None:
        """Give back what `load` took."""

    @abstractmethod
    def answer(self, kind: Kind, requests: Iterable[Request]) -> Iterator[Sequence[Response]]:
        """The responses to `requests`, all of kind `kind`, exactly one each, in any order, a batch at a time."""

    async def open(self) -> None:
        """Load the weights, if that has not been done."""
        await self._on_worker(self._load_once)

    async def close(self) -> None:
        """Give the weights back; safe to call twice."""
        if self._worker is None:
            return
        worker = self._worker
        try:
            await self._on_worker(self._unload_once)
        finally:
            self._worker = None
            worker.shutdown(wait=False)

    def generate(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("generate", requests)

    def loglikelihood(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("loglikelihood", requests)

    def loglikelihood_rolling(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("loglikelihood_rolling", requests)

    def classify(self, requests: Iterable[Request]) -> AsyncIterator[Response]:
        return self._verb("classify", requests)

    def _verb(self, kind: Kind, requests: Iterable[Request]) -> AsyncIterator[Response]:
        if kind not in self.capabilities:
            can = ", ".join(sorted(self.capabilities))
            raise CapabilityError(f"model {self.name!r} cannot do {kind!r}; it can do: {can}")
        return self._stream(kind, requests)

    async def _stream(self, kind: Kind, requests: Iterable[Request]) -> AsyncIterator[Response]:
        if isinstance(requests, Sized) and not len(requests):
            return
        await self.open()
        batches = self.answer(kind, requests)
        try:
            while (responses := await self._on_worker(lambda: self._next(batches))) is not None:
                now = utc_now()
                for response in responses:
                    yield response if response.created_utc else replace(response, created_utc=now)
        finally:
            # Cancelled while a batch is computed: the generator is still running on the worker and cannot be closed
            # from here. The worker closes it when that batch is done, ahead of whatever is asked next.
            if self._worker is not None:
                with contextlib.suppress(RuntimeError):
                    self._worker.submit(batches.close)  # type: ignore[attr-defined]

    def _next(self, batches: Iterator[Sequence[Response]]) -> Sequence[Response] | None:
        try:
            return next(batches, None)
        except EvalHarnessError:
            raise
        except Exception as error:
            raise ModelError(f"model {self.name!r} failed: {type(error).__name__}: {error}") from error

    def _load_once(self) -> None:
        if not self._loaded:
            self.load()
            self._loaded = True

    def _unload_once(self) -> None:
        if self._loaded:
            self._loaded = False
            self.unload()

    async def on_worker(self, work: Callable[[], T]) -> T:
        """What `work` gives, computed on the worker thread with the weights loaded.

        Raises:
            ModelError: the weights cannot be loaded.
        """
        await self.open()
        return await self._on_worker(work)

    async def _on_worker(self, work: Callable[[], T]) -> T:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"evalharness-{self.name}")
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

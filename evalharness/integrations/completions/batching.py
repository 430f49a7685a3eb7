"""Requests that arrive together are computed together: a queue whose one worker takes all that is waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Batcher"]

T = TypeVar("T")
R = TypeVar("R")

# How long the first of a batch waits for others. While a batch is computed the next one gathers by itself; this is
# for requests that find the model idle, and is short beside the pass that they then share.
_WINDOW_S = 0.004
# Bounds how long an early answer waits for the last of its batch.
_MAX_ITEMS = 512


class Batcher(Generic[T, R]):
    """`await submit(items)` gives their results; `run` computes those of many callers in one call, in order."""

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        window_s: float = _WINDOW_S,
        most: int = _MAX_ITEMS,
    ) -> None:
        self._run = run
        self._window_s = window_s
        self._most = most
        self._waiting: asyncio.Queue[tuple[T, asyncio.Future[R]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, items: Sequence[T]) -> list[R]:
        """The results of `items`, in order.

        Raises:
            Exception: what `run` raised for the batch that one of them was in.
        """
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[R]] = [loop.create_future() for _ in items]
        for item, future in zip(items, futures, strict=True):
            self._waiting.put_nowait((item, future))
        try:
            return list(await asyncio.gather(*futures))
        finally:
            for future in futures:
                # Nobody waits for these any more: they are not computed if they have not begun.
                future.cancel()

    async def close(self) -> None:
        """End the worker; who still waits is cancelled."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].cancel()

    async def _work(self) -> None:
        while True:
            batch = await self._gather()
            if not batch:
                continue
            try:
                results = await self._run([item for item, _ in batch])
            except asyncio.CancelledError:
                for _, future in batch:
                    future.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - the per-batch boundary: each caller is told
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _gather(self) -> list[tuple[T, asyncio.Future[R]]]:
        """All that waits, once something does."""
        batch = [await self._waiting.get()]
        if self._waiting.qsize() < self._most - 1:
            await asyncio.sleep(self._window_s)
        while len(batch) < self._most and not self._waiting.empty():
            batch.append(self._waiting.get_nowait())
        return [(item, future) for item, future in batch if not future.done()]

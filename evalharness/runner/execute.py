"""Asks the models: each distinct request once, each answer durable before it counts as done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from evalharness.core.errors import EvalHarnessError
from evalharness.core.protocols import Model
from evalharness.core.types import FAILED_STATES, Json, Request, Response

from .progress import Progress

__all__ = ["Answers", "CacheMode", "Store", "execute"]

CacheMode = Literal["reuse", "refresh", "off"]


class Store(Protocol):
    """What `execute` needs of a response store."""

    def get_many(self, keys: Iterable[str]) -> dict[str, Response]:
        """The stored responses among `keys`."""
        ...

    def put(self, responses: Sequence[Response]) -> None:
        """Keep `responses`; durable when it returns."""
        ...


@dataclass(slots=True)
class Answers:
    """The responses by request key, and which of them came from the store."""

    responses: dict[str, Response] = field(default_factory=dict)
    from_store: frozenset[str] = frozenset()
    work: dict[str, Json] = field(default_factory=dict)
    """By model, what it reports of its own computing (`Model.report`, where it has one)."""

    @property
    def n_asked(self) -> int:
        """How many distinct requests were sent to a model."""
        return len(self.responses) - len(self.from_store)


async def execute(
    requests: Sequence[Request],
    models: Mapping[str, Model],
    *,
    store: Store | None,
    cache: CacheMode = "reuse",
    progress: Progress,
) -> Answers:
    """Answer all `requests`, from `store` where `cache` is "reuse", else by asking the models one after another.

    A model whose answers are all there is never opened. Identical requests are asked once. A cancelled run keeps
    every answer that came.

    Raises:
        ModelError: a backend failed as a whole; what came before is in the store.
    """
    distinct = {request.key: request for request in requests}
    answers = Answers()
    if store is not None and cache == "reuse":
        answers.responses = store.get_many(distinct)
        answers.from_store = frozenset(answers.responses)
    by_model: dict[str, list[Request]] = {}
    for request in distinct.values():
        by_model.setdefault(request.model, []).append(request)
    keep = store if cache != "off" else None
    for name, asked in by_model.items():
        missing = [request for request in asked if request.key not in answers.responses]
        progress.start(name, len(asked), done=len(asked) - len(missing))
        if missing and (work := await _ask(models[name], missing, answers.responses, keep, progress)):
            answers.work[name] = work
    return answers


async def _ask(
    model: Model, requests: Sequence[Request], into: dict[str, Response], store: Store | None, progress: Progress
) -> Json:
    by_kind: dict[str, list[Request]] = {}
    for request in requests:
        by_kind.setdefault(request.kind, []).append(request)
    try:
        await model.open()
        for kind, batch in by_kind.items():
            stream: AsyncIterator[Response] = getattr(model, kind)(batch)
            await _drain(stream, batch, into, store, progress)
        report: Callable[[], Json] = getattr(model, "report", dict)
        return report()
    finally:
        await model.close()


async def _drain(
    stream: AsyncIterator[Response],
    requests: Sequence[Request],
    into: dict[str, Response],
    store: Store | None,
    progress: Progress,
) -> None:
    """Take responses as they come; a second task makes them durable in groups, so that no fsync holds a model up."""
    queue: asyncio.Queue[Response | None] = asyncio.Queue()
    expected = {request.key for request in requests}

    async def keep() -> None:
        ended = False
        while not ended:
            group = [await queue.get()]
            while not queue.empty():
                group.append(queue.get_nowait())
            ended = group[-1] is None
            kept = [response for response in group if response is not None]
            if store is not None and kept:
                await asyncio.to_thread(store.put, kept)
            into.update((response.key, response) for response in kept)
            if kept:
                progress.advance(len(kept), failed=sum(response.status in FAILED_STATES for response in kept))

    keeper = asyncio.create_task(keep())
    fault = ""
    try:
        async for response in stream:
            if response.key not in expected:
                continue
            expected.discard(response.key)
            queue.put_nowait(response)
            if keeper.done():
                break
    except (EvalHarnessError, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - the per-sample boundary: a backend's fault is recorded, not raised
        fault = f"{type(error).__name__}: {error}"
    finally:
        closing = getattr(stream, "aclose", None)
        if closing is not None:
            with contextlib.suppress(RuntimeError):
                await closing()
        if not fault and expected and not keeper.done():
            fault = "the backend gave no answer to this request"
        queue.put_nowait(None)
        await asyncio.shield(keeper)
    lost = [Response(key=key, status="error", error=fault) for key in sorted(expected)]
    into.update((response.key, response) for response in lost)
    if lost:
        progress.advance(len(lost), failed=len(lost))

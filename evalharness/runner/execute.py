"""Asks the models: each distinct request once, each answer durable before it counts as done."""

from __future__ import annotations

import asyncio
import contextlib
import time
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from evalharness.core.errors import EvalHarnessError, ModelDownError, ModelError
from evalharness.core.protocols import Model
from evalharness.core.spool import Picked
from evalharness.core.types import FAILED_STATES, Json, Kind, Request, Response

from .accounts import Accounts
from .book import ResponseBook
from .progress import Progress
from .stopping import Stopping, StopRun, kept

__all__ = ["Answers", "CacheMode", "Store", "execute"]

CacheMode = Literal["reuse", "refresh", "off"]

_LOOKED_UP = 500  # keys that the store is asked for at once
_WAITING = 1_000  # answers that wait for the disk
_GROUP_S = 0.02  # from the start of one group commit to that of the next; an answer after a pause is kept at once


class Store(Protocol):
    """What `execute` needs of a response store."""

    def get_many(self, keys: Iterable[str]) -> dict[str, Response]:
        """The stored responses among `keys`."""
        ...

    def put(self, responses: Sequence[Response], *, model: str = "") -> None:
        """Keep `responses`, which the suite's `model` gave; durable when it returns."""
        ...


@dataclass(slots=True)
class Answers:
    """The responses by request key, and what the models say of their work."""

    responses: ResponseBook
    work: dict[str, Json] = field(default_factory=dict)
    """By model, what it reports of its own computing (`Model.report`, where it has one)."""
    accounts: Accounts = field(default_factory=Accounts)
    """What the responses cost, and what was used."""

    @property
    def n_asked(self) -> int:
        """How many distinct requests were sent to a model."""
        return len(self.responses) - self.responses.n_from_store


Places = dict[str, dict[Kind, "array[int]"]]
"""Which requests to ask: their places by model and kind."""


async def execute(
    requests: Sequence[Request],
    models: Mapping[str, Model],
    *,
    store: Store | None,
    cache: CacheMode = "reuse",
    progress: Progress,
    stopping: Stopping | None = None,
    accounts: Accounts | None = None,
) -> Answers:
    """Answer all `requests`, from `store` where `cache` is "reuse", else by asking the models one after another.

    A model whose answers are all there is never opened. Identical requests are asked once, also where they are of two
    models with the same identity. A cancelled run keeps every answer that came. Neither requests nor responses are
    held in memory where `requests` are not.

    Raises:
        ModelDownError: a server is down; the other models were asked all the same.
        ModelError: a backend failed as a whole; what came before is in the store.
        StopRun: `stopping` had a reason before all was answered; what came before is in the store.
        BudgetError: the budget of `accounts` cannot bear the next request; what came before is in the store.
    """
    stopping = Stopping() if stopping is None else stopping
    accounts = Accounts() if accounts is None else accounts
    book = ResponseBook(request.key for request in requests)
    answers = Answers(book, accounts=accounts)
    counts: dict[str, int] = {}
    places: Places = {}
    for group in _in_groups(book, requests):
        if store is not None and cache == "reuse":
            found = store.get_many(request.key for _, request in group)
            for name in dict.fromkeys(request.model for _, request in group):
                own = (found[request.key] for _, request in group if request.model == name and request.key in found)
                book.add(accounts.stored(name, own), from_store=True)
        for place, request in group:
            counts[request.model] = counts.get(request.model, 0) + 1
            missing = places.setdefault(request.model, {})
            if request.key not in book:
                missing.setdefault(request.kind, array("I")).append(place)
    keep = store if cache != "off" else None
    accounts.expect(sum(len(missing) for by_kind in places.values() for missing in by_kind.values()))
    down: list[str] = []
    if accounts.has_no_limits and len(places) > 1:
        await _hand_in_ahead(models, requests, places, stopping)
    # Batches are done elsewhere: meanwhile the others are asked.
    for name, by_kind in sorted(places.items(), key=lambda item: hasattr(models.get(item[0]), "submit_ahead")):
        n_missing = sum(map(len, by_kind.values()))
        progress.start(name, counts[name], done=counts[name] - n_missing)
        try:
            if by_kind and (
                work := await _ask(name, models[name], requests, by_kind, answers, keep, progress, stopping)
            ):
                answers.work[name] = work
        except ModelDownError as error:
            down.append(f"model {name!r}: {error}")
    n_answered = len(book) - book.states["error"]
    if down:
        left = kept(n_answered, len(book.index), stored=keep is not None)
        raise ModelDownError("\n".join([*down, "; ".join([*stopping.left_running.values(), left])]))
    if stopping.reason is not None and len(book) < len(book.index):
        left = "; ".join([*stopping.left_running.values(), kept(n_answered, len(book.index), stored=keep is not None)])
        raise StopRun(f"the run was stopped: {stopping.reason}; {left}")
    return answers


def _in_groups(book: ResponseBook, requests: Sequence[Request]) -> Iterator[list[tuple[int, Request]]]:
    """The first request with each key and its place, many at a time."""
    for start in range(0, len(book.index.first), _LOOKED_UP):
        places = book.index.first[start : start + _LOOKED_UP].tolist()
        yield [(place, requests[place]) for place in places]


async def _hand_in_ahead(
    models: Mapping[str, Model], requests: Sequence[Request], places: Places, stopping: Stopping
) -> None:
    """Let the models that are asked in batches hand in all there is, so that none waits for the batches of another."""
    for name, by_kind in places.items():
        hand_in = getattr(models.get(name), "submit_ahead", None)
        missing = by_kind.get("generate")
        if hand_in is None or not missing or stopping.reason is not None:
            continue
        with contextlib.suppress(ModelError):  # it is met again, and told, where the model is asked
            try:
                await models[name].open()
                await hand_in(Picked(requests, missing))
            finally:
                await models[name].close()


async def _ask(
    name: str,
    model: Model,
    requests: Sequence[Request],
    by_kind: Mapping[Kind, array[int]],
    answers: Answers,
    store: Store | None,
    progress: Progress,
    stopping: Stopping,
) -> Json:
    if stopping.reason is not None:
        return None
    try:
        await model.open()
        with answers.accounts.retries():
            for kind, missing in by_kind.items():
                for places in answers.accounts.rounds(name, requests, missing):
                    async with stopping.grace():
                        stream: AsyncIterator[Response] = getattr(model, kind)(stopping.feed(Picked(requests, places)))
                        await _drain(name, stream, requests, places, answers, store, progress, stopping)
                    if stopping.reason is not None:
                        break
                if stopping.reason is not None:
                    break
        report: Callable[[], Json] = getattr(model, "report", dict)
        return report()
    finally:
        await model.close()


async def _drain(
    name: str,
    stream: AsyncIterator[Response],
    requests: Sequence[Request],
    places: Sequence[int],
    answers: Answers,
    store: Store | None,
    progress: Progress,
    stopping: Stopping,
) -> None:
    """Take responses as they come; a second task makes them durable in groups, so that no fsync holds a model up.

    Of a model that answers faster than the disk takes it, no more than `_WAITING` answers wait: they would fill the
    memory, and a kill would lose them all.
    """
    import numpy as np

    book, accounts = answers.responses, answers.accounts
    queue: asyncio.Queue[Response | None] = asyncio.Queue()
    taken, hurry = asyncio.Event(), asyncio.Event()
    expected = np.zeros(len(book.index), dtype=bool)
    expected[book.index.number_of[places]] = True
    n_expected = len(places)
    asked_of = requests[places[0]].model

    async def keep() -> None:
        ended = False
        next_s = 0.0
        while not ended:
            group = [await queue.get()]
            # Where answers come by the thousand a second, waking the thread that writes them costs more than they do.
            if (early_s := next_s - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(hurry.wait(), early_s)
            next_s = time.monotonic() + _GROUP_S
            while not queue.empty():
                group.append(queue.get_nowait())
            hurry.clear()
            taken.set()
            ended = group[-1] is None
            kept = accounts.asked(name, (response for response in group if response is not None))
            if store is not None and kept:
                await asyncio.to_thread(store.put, kept, model=asked_of)
            book.add(kept)
            if kept:
                progress.advance(len(kept), failed=sum(response.status in FAILED_STATES for response in kept))

    keeper = asyncio.create_task(keep())
    keeper.add_done_callback(lambda _: taken.set())

    fault = ""
    try:
        async for response in stream:
            number = book.index.number(response.key)
            if number < 0 or not expected[number]:
                continue
            expected[number] = False
            n_expected -= 1
            queue.put_nowait(response)
            if queue.qsize() >= _WAITING and not keeper.done():
                taken.clear()
                hurry.set()
                await taken.wait()
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
        if not fault and n_expected and not keeper.done():
            fault = "the backend gave no answer to this request"
        queue.put_nowait(None)
        hurry.set()
        await asyncio.shield(keeper)
    if stopping.reason is not None:
        return  # What was not asked has no answer, not even an error.
    lost = (place for place in places if expected[book.index.number_of[place]])
    book.add(accounts.asked(name, (Response(requests[place].key, status="error", error=fault) for place in lost)))
    if n_expected:
        progress.advance(n_expected, failed=n_expected)

"""A model that is asked in batches: hands requests in, waits, and takes the answers, over as many runs as that needs.

What was handed in by a run that did not live to see the end stands in the ledger (`batch_ledger`): such requests are
not handed in again, but their batch is looked at. Answers become durable as those of any model do, in the response
store, and a batch that has ended is read again by the next run for those that were not. So the ledger need not know
which answers arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol

from evalharness.core.canonical import digest
from evalharness.core.errors import CapabilityError, ModelError
from evalharness.core.types import Json, Kind, Request, Response
from evalharness.models.batches import BatchService, BatchState, Rest
from evalharness.models.concurrent import RequestFailed
from evalharness.models.retry import Timing
from evalharness.models.service import ServiceModel

from .batch_asked import Asked
from .batch_ledger import KEPT_S, BatchLedger, OpenBatch
from .batch_submit import Submitter
from .batch_take import GONE, NotOursError, Taker
from .stopping import Stopping

__all__ = ["BatchOptions", "BatchedModel"]

_GROWTH = 1.5
_MOST_NAMED = 5
_MOST_BLIND = 10  # looks in a row


class BatchOptions(Protocol):
    """`execution.batch` of the suite."""

    @property
    def max_requests(self) -> int | None: ...
    @property
    def max_tries(self) -> int: ...
    @property
    def poll_s(self) -> float: ...
    @property
    def longest_poll_s(self) -> float: ...
    @property
    def wait_s(self) -> float | None: ...


@dataclass(slots=True)
class _Batches:
    """The batches that are waited for, by number, and what was last said of each."""

    open: dict[int, OpenBatch] = field(default_factory=dict)
    n_done: dict[int, int] = field(default_factory=dict)
    last: int = 0
    """The number of the newest batch that was seen in the ledger."""

    def add(self, batch: OpenBatch) -> None:
        self.open[batch.number] = batch


class BatchedModel:
    """`model`, asked through the batch interface of its service; in all else the model itself.

    `say` is told how it goes. What is left running when the run stops is written into `stopping.left_running`.
    """

    capabilities = frozenset[Kind]({"generate"})

    def __init__(
        self,
        model: ServiceModel,
        service: BatchService,
        ledger: BatchLedger,
        options: BatchOptions,
        *,
        stopping: Stopping,
        say: Callable[[str], None] = lambda message: None,
        timing: Timing | None = None,
    ) -> None:
        self.name = model.name
        self._model = model
        self._service = service
        self._ledger = ledger
        self._options = options
        self._stopping = stopping
        self._say = say
        self._timing = timing or Timing()
        self._identity = digest(model.identity())
        self._submitter = Submitter(
            model,
            service,
            ledger,
            identity=self._identity,
            most_requests=min(options.max_requests or service.most_requests, service.most_requests),
            say=say,
            timing=self._timing,
        )
        self._taker = Taker(model, service, ledger, max_tries=options.max_tries)
        self._handed_in: set[int] = set()
        self._n_blind = 0

    @property
    def notes(self) -> list[str]:
        """What a reader of the record should know."""
        return self._submitter.notes

    def identity(self) -> Mapping[str, Json]:
        return self._model.identity()

    def report(self) -> Json:
        """The batches whose answers were taken, for the record; {} for none."""
        taken: list[Json] = list(self._taker.taken.values())
        return {"batches": taken} if taken else {}

    async def open(self) -> None:
        await self._model.open()

    async def close(self) -> None:
        await self._model.close()

    def loglikelihood(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        raise self._unable("loglikelihood")

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        raise self._unable("loglikelihood_rolling")

    def classify(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        raise self._unable("classify")

    def _unable(self, kind: str) -> CapabilityError:
        return CapabilityError(
            f"model {self.name!r} cannot do {kind!r} in a batch (execution.mode: batch); it can do: generate"
        )

    async def submit_ahead(self, requests: Sequence[Request]) -> None:
        """Hand in those of `requests` that are in no batch yet, so that they are worked on while others are asked.

        What cannot be handed in is said when the answers are asked for.
        """
        asked = Asked(requests)
        async for _ in self._submitted(asked, _Batches()):
            pass

    async def generate(self, requests: Sequence[Request]) -> AsyncIterator[Response]:
        """The answers, as their batches end; it returns before all are there when the run is to stop."""
        asked = Asked(requests)
        if self._stopping.reason is not None or not len(asked.index):
            return
        batches = _Batches()
        try:
            async for response in self._submitted(asked, batches):
                yield response
            async for response in self._waited(asked, batches):
                yield response
        except asyncio.CancelledError:
            # Nobody else tells it where the user interrupts.
            if (text := self._stopping.left_running.get(self.name)) is not None:
                self._say(text)
            raise

    # ── handing in ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _submitted(self, asked: Asked, batches: _Batches) -> AsyncIterator[Response]:
        """Find the open batches of requests that are in one, and hand the others in; errors of those that cannot be."""
        refused: list[Response] = []
        async with self._ledger.turn(self._timing.sleep):
            refused += await self._hand_in(asked, batches)
        for response in refused:
            yield self._noted(asked, response)

    def _take_up(self, asked: Asked, batches: _Batches) -> None:
        """Find the requests that are in batches which were handed in by others since the last look into the ledger."""
        newer = [one for one in self._ledger.batches(self._identity) if one.number > batches.last]
        for batch in newer:
            batches.last = batch.number
            for keys in self._ledger.keys(batch.number):
                asked.put(batch, keys)
        wanted = set(asked.batch_of[~asked.is_done].tolist())
        for batch in newer:
            if batch.number in wanted:
                batches.add(batch)
                if batch.number not in self._handed_in:
                    self._say(f"batch {batch.batch_id}: {batch.n_requests:,} requests, handed in by another run")

    async def _hand_in(self, asked: Asked, batches: _Batches) -> list[Response]:
        """Hand in what is in no batch; to be called within a turn. The errors of what cannot be."""
        await self._submitter.recover()
        self._take_up(asked, batches)
        refused: list[Response] = []
        stream = self._submitter.submit(asked.unsent(), refused)
        async with aclosing(stream):
            async for batch, keys in stream:
                asked.put(batch, keys)
                batches.add(batch)
                batches.last = batch.number
                self._handed_in.add(batch.number)
                if self._stopping.reason is not None:
                    break
        self._left_running(batches)
        return refused

    def _noted(self, asked: Asked, response: Response) -> Response:
        number = asked.index.number(response.key)
        asked.is_done[number] = True
        return replace(response, n_retries=max(0, int(asked.n_tries[number]) - 1))

    # ── waiting and taking ────────────────────────────────────────────────────────────────────────────────────────

    async def _waited(self, asked: Asked, batches: _Batches) -> AsyncIterator[Response]:
        options, clock = self._options, self._timing.clock
        began, pause_s = clock(), options.poll_s
        while batches.open:
            for batch in list(batches.open.values()):
                state = await self._looked(batch)
                if state is None:
                    continue
                if self._told(batch, state, batches):
                    pause_s = options.poll_s
                if state.ended:
                    async for response in self._taken(asked, batch, state, batches):
                        yield response
            self._left_running(batches)
            if not batches.open:
                return
            left_s = self._left_s(began)
            if self._stopping.reason is None and left_s <= 0:
                self._stopping.stop(f"batches are waited for no longer (execution.batch.wait_s: {options.wait_s:g})")
            if self._stopping.reason is not None:
                return
            await self._timing.sleep(min(pause_s, left_s))
            pause_s = min(options.longest_poll_s, pause_s * _GROWTH)

    def _left_s(self, began: float) -> float:
        """How long may still be waited."""
        wait_s = self._options.wait_s
        left_s = float("inf") if wait_s is None else began + wait_s - self._timing.clock()
        return min(left_s, self._stopping.left_s)

    async def _looked(self, batch: OpenBatch) -> BatchState | None:
        """Where the batch stands; None where the service could not say it now, but may later.

        Raises:
            ModelError: it will not say it.
        """
        assert batch.batch_id is not None
        try:
            state = await self._service.look(batch.batch_id)
        except RequestFailed as failure:
            self._n_blind += 1
            # What has no status is a reply that makes no sense: that of a proxy, perhaps.
            if (failure.may_pass or failure.status is None) and self._n_blind < _MOST_BLIND:
                self._say(f"batch {batch.batch_id}: could not be looked at, and is again later: {failure}")
                return None
            if failure.status in GONE and self._ledger.clock() - batch.written_s > KEPT_S:
                return BatchState(
                    batch.batch_id, "gone", ended=True, rest=Rest("the service does not know the batch any more")
                )
            remedy = "it goes on at the service, and the same command takes its answers"
            if failure.status in GONE:
                remedy = (
                    "is the key of the same account? To give the batch up and hand its requests in again: evalharness "
                    f"cache batches --forget {batch.batch_id}"
                )
            raise ModelError(
                f"model {self.name!r}: batch {batch.batch_id}, of {batch.n_requests:,} requests, cannot be looked at: "
                f"{failure}; {remedy}"
            ) from failure
        self._n_blind = 0
        return state

    def _told(self, batch: OpenBatch, state: BatchState, batches: _Batches) -> bool:
        """Say where the batch stands, if that is news."""
        if batches.n_done.get(batch.number) == state.n_done and not state.ended:
            return False
        batches.n_done[batch.number] = state.n_done
        word = "" if state.said in ("in_progress", "completed", "ended") else f" ({self._model.hidden(state.said)})"
        self._say(f"batch {state.id}: {state.n_done:,} of {batch.n_requests:,} done{word}")
        return True

    async def _taken(
        self, asked: Asked, batch: OpenBatch, state: BatchState, batches: _Batches
    ) -> AsyncIterator[Response]:
        """The answers of a batch that has ended; what may fare better in another batch is handed in again."""
        try:
            async with aclosing(self._taker.answers(asked, batch, state)) as answers:
                async for response in answers:
                    yield response
        except RequestFailed as failure:
            self._say(f"batch {state.id}: its results could not be read, and are again later: {failure}")
            return
        except NotOursError:
            del batches.open[batch.number]
            async for response in self._looked_for_again(asked, batch, state, batches):
                yield response
            return
        del batches.open[batch.number]
        if asked.n_unsent and self._stopping.reason is None:
            self._say(f"batch {state.id}: {asked.n_unsent:,} requests without an answer are handed in again")
            async with self._ledger.turn(self._timing.sleep):
                refused = await self._hand_in(asked, batches)
            for response in refused:
                yield self._noted(asked, response)

    async def _looked_for_again(
        self, asked: Asked, batch: OpenBatch, state: BatchState, batches: _Batches
    ) -> AsyncIterator[Response]:
        """`state` is somebody else's batch: ours is another one, or was never handed in."""
        self._say(f"batch {state.id} is not ours; the one that it was taken for is looked for again")
        self._ledger.not_ours(batch.number, state.id)
        numbers = asked.left_in(batch)
        async with self._ledger.turn(self._timing.sleep):
            await self._submitter.recover()
            found = [one for one in self._ledger.batches(self._identity) if one.number == batch.number]
            if found:
                batches.add(found[0])
                return
            asked.batch_of[numbers] = 0
            asked.n_tries[numbers] -= 1
            refused = await self._hand_in(asked, batches)
        for response in refused:
            yield self._noted(asked, response)

    # ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _left_running(self, batches: _Batches) -> None:
        """Keep up to date what is told when the run stops."""
        ids = [str(batch.batch_id) for batch in batches.open.values()]
        if not ids:
            self._stopping.left_running.pop(self.name, None)
            return
        n_requests = sum(batch.n_requests for batch in batches.open.values())
        more = f" and {len(ids) - _MOST_NAMED:,} more" if len(ids) > _MOST_NAMED else ""
        what, of = "batch" if len(ids) == 1 else f"{len(ids):,} batches:", f"{n_requests:,} requests of model"
        verb = "goes" if len(ids) == 1 else "go"
        self._stopping.left_running[self.name] = (
            f"{what} {', '.join(ids[:_MOST_NAMED])}{more} ({of} {self.name!r}) {verb} on at the service, and the same "
            "command takes the answers"
        )

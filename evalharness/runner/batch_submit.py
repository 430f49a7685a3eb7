"""Hands requests in as batches, so that no request is handed in twice where that can be known."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from evalharness.core.errors import ModelError
from evalharness.core.types import Request, Response
from evalharness.models.batch_files import BatchFile
from evalharness.models.batches import BatchService, Found
from evalharness.models.concurrent import RequestFailed, utc_now
from evalharness.models.retry import RetryPolicy, Timing
from evalharness.models.service import ServiceModel

from .batch_ledger import BatchLedger, OpenBatch

__all__ = ["SETTLED_AFTER_S", "Submitter"]

SETTLED_AFTER_S: Final = 20.0
"""So long a batch may take to be seen in the service's list, after a request for it that nobody waited for."""

# Refusals after which there surely is no batch.
_NOT_TAKEN = frozenset(range(400, 500)) - {408, 409}
_NO_LIST = frozenset({404, 405, 501})


class Submitter:
    """Hands the requests of one model in; each call stands within a turn of the ledger."""

    def __init__(
        self,
        model: ServiceModel,
        service: BatchService,
        ledger: BatchLedger,
        *,
        identity: str,
        most_requests: int,
        say: Callable[[str], None],
        timing: Timing,
    ) -> None:
        self._model = model
        self._service = service
        self._ledger = ledger
        self._identity = identity
        self._most_requests = most_requests
        self._say = say
        self._timing = timing
        self._policy = RetryPolicy(max_retries=model.max_retries)
        self.notes: list[str] = []

    async def recover(self) -> None:
        """Find out of each batch that was about to be handed in whether it was: its id, or no batch.

        Raises:
            ModelError: the service cannot be asked.
        """
        for batch in self._ledger.batches(self._identity):
            if batch.batch_id is not None:
                continue
            if self._service.sends_file_first and batch.file_id is None:
                self._ledger.drop([batch.number])  # without its file there can be no batch
                continue
            try:
                found = await self._found(batch)
                if found is None and (young_s := batch.written_s + SETTLED_AFTER_S - self._ledger.clock()) > 0:
                    self._say(
                        f"a batch of {batch.n_requests:,} requests was being handed in when an earlier run ended; "
                        f"{young_s:.0f} s until it is sure whether it was"
                    )
                    await self._timing.sleep(young_s)
                    found = await self._found(batch)
            except RequestFailed as failure:
                if failure.status not in _NO_LIST:
                    raise self._unreachable(failure) from failure
                self._doubt(batch, failure)
                found = None
            if found is None:
                self._ledger.drop([batch.number])
            else:
                self._ledger.submitted(batch.number, found.state.id, sure=found.sure)
                if not found.sure:
                    self._say(
                        f"batch {found.state.id} may be the one that an earlier run was handing in; its results will "
                        "tell"
                    )

    async def submit(
        self, requests: Iterable[Request], refused: list[Response]
    ) -> AsyncGenerator[tuple[OpenBatch, Sequence[str]], None]:
        """Hand `requests` in, as few batches as the service's limits allow; each batch and the keys in it.

        The errors of those that cannot be handed in are added to `refused`.

        Raises:
            ModelError: the service does not take batches, or cannot be asked.
        """
        file: BatchFile | None = None
        try:
            for request in requests:
                entry = self._entry(request, refused)
                if entry is None:
                    continue
                if file is not None and not file.takes(entry):
                    async for handed_in in self._handed_in(file, refused):
                        yield handed_in
                    file.close()
                    file = None
                if file is None:
                    file = BatchFile(self._service, most_requests=self._most_requests)
                if not file.takes(entry):
                    most = self._service.most_bytes // 1_000_000
                    refused.append(self._error(request.key, f"the request is larger than a batch may be: {most} MB"))
                    continue
                file.add(request.key, entry)
            if file is not None and file.keys:
                async for handed_in in self._handed_in(file, refused):
                    yield handed_in
        finally:
            if file is not None:
                file.close()

    def _entry(self, request: Request, refused: list[Response]) -> bytes | None:
        try:
            return self._service.entry(request)
        except RequestFailed as failure:
            refused.append(self._error(request.key, str(failure)))
            return None

    def _error(self, key: str, message: str) -> Response:
        return self._model.redacted(Response(key=key, status="error", error=message, created_utc=utc_now()))

    async def _handed_in(
        self, file: BatchFile, refused: list[Response]
    ) -> AsyncGenerator[tuple[OpenBatch, Sequence[str]], None]:
        file.end()
        batch = self._ledger.intend(
            file.keys, identity=self._identity, model=self.name, address=self._model.written_address
        )
        try:
            found = await self._created(file, batch)
        except RequestFailed as failure:
            self._ledger.drop([batch.number])
            if failure.of_server or failure.may_pass:
                raise self._unreachable(failure) from failure
            refused += [self._error(key, f"the service did not take the batch: {failure}") for key in file.keys]
            return
        self._ledger.submitted(batch.number, found.state.id, sure=found.sure)
        self._say(f"batch {found.state.id}: handed in, {len(file.keys):,} requests of model {self.name!r}")
        yield replace(batch, batch_id=found.state.id, sure=found.sure), file.keys

    @property
    def name(self) -> str:
        """The model's name in the suite."""
        return self._model.name

    async def _created(self, file: BatchFile, batch: OpenBatch) -> Found:
        """The batch, made once, however often it takes.

        Raises:
            RequestFailed: there surely is none.
            ModelError: there may be one, and nobody says it.
        """
        file_id = await self._service.upload(file, batch.tag)
        if file_id is not None:
            self._ledger.sent(batch.number, file_id)
        n_retries = 0
        while True:
            try:
                return Found(await self._service.create(file, batch.tag, file_id), sure=True)
            except RequestFailed as failure:
                not_taken = failure.status in _NOT_TAKEN
                if not_taken and not failure.may_pass:
                    raise
                delay_s = self._policy.delay_s(n_retries, asked_for_s=None, dice=self._timing.dice)
                if delay_s is None and not_taken:
                    raise
                # It may have been taken, and the reply lost: only the service knows.
                await self._timing.sleep(0.0 if delay_s is None else delay_s)
                if not not_taken and (found := await self._perhaps(batch, file_id, failure)) is not None:
                    return found
                if delay_s is None:
                    raise ModelError(
                        f"model {self.name!r}: whether a batch of {batch.n_requests:,} requests was handed in is not "
                        f"known: {failure}; run the same command again: it looks for the batch first"
                    ) from failure
                n_retries += 1

    async def _perhaps(self, batch: OpenBatch, file_id: str | None, failure: RequestFailed) -> Found | None:
        """The batch, if it is there in spite of `failure`."""
        try:
            return await self._found(replace(batch, file_id=file_id))
        except RequestFailed as silence:
            if silence.status in _NO_LIST:
                self._doubt(batch, failure)
                return None
            raise ModelError(
                f"model {self.name!r}: whether a batch of {batch.n_requests:,} requests was handed in is not known: "
                f"{failure}; nor could the service be asked: {silence}; run the same command again: it looks for the "
                "batch first"
            ) from silence

    async def _found(self, batch: OpenBatch) -> Found | None:
        others = {str(one.batch_id) for one in self._ledger.batches() if one.batch_id is not None}
        return await self._service.find(
            batch.tag,
            file_id=batch.file_id,
            n_requests=batch.n_requests,
            since_s=batch.written_s,
            others=frozenset(others | set(batch.refused)),
            holds=lambda key: self._ledger.holds(batch.number, key),
        )

    def _doubt(self, batch: OpenBatch, failure: RequestFailed) -> None:
        note = (
            f"whether a batch of {batch.n_requests:,} requests of model {self.name!r} had been handed in before could "
            f"not be known ({failure}); they were handed in again, and the service may bill them twice"
        )
        self.notes.append(note)
        self._say(note)

    def _unreachable(self, failure: RequestFailed) -> ModelError:
        no_batches = failure.status in _NO_LIST
        remedy = "; has this server a batch interface? If not: execution.mode: online" if no_batches else ""
        return ModelError(f"model {self.name!r} cannot be asked in batches: {failure}{remedy}")

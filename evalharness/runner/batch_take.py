"""Takes the answers of a batch that has ended: each to its request, once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from evalharness.core.allowance import may_try_again
from evalharness.core.errors import ModelError
from evalharness.core.types import Json, Response
from evalharness.models.batches import BatchService, BatchState, Rest
from evalharness.models.concurrent import RequestFailed, utc_now
from evalharness.models.service import ServiceModel

from .batch_asked import Asked
from .batch_ledger import BatchLedger, OpenBatch

__all__ = ["GONE", "NotOursError", "Taker"]

GONE = (404, 410)
"""With these a service says that it has something no more."""


class NotOursError(Exception):
    """The batch is somebody else's, and not the one that it was taken for."""


class Taker:
    """Reads results; a request that failed is put in at most `max_tries` batches."""

    def __init__(self, model: ServiceModel, service: BatchService, ledger: BatchLedger, *, max_tries: int) -> None:
        self._model = model
        self._service = service
        self._ledger = ledger
        self._max_tries = max_tries
        self.taken: dict[str, dict[str, Json]] = {}
        """By id, what the record says of each batch."""

    async def answers(self, asked: Asked, batch: OpenBatch, state: BatchState) -> AsyncGenerator[Response, None]:
        """The answers to those of `asked` that are in the batch; those that are to be asked again are in none then.

        Raises:
            NotOursError: it is another batch.
            RequestFailed: the results cannot be read now; what came before is answered.
            ModelError: they cannot be read at all.
        """
        rest, known = state.rest, batch.sure
        n_answered = n_failed = 0
        try:
            async with aclosing(self._service.results(state)) as results:
                async for result in results:
                    key = self._service.key_of(result)
                    if not known:
                        if key is None or not self._ledger.holds(batch.number, key):
                            break
                        known = True
                        self._ledger.submitted(batch.number, state.id)
                    number = -1 if key is None else asked.index.number(key)
                    # An id that is not known, or comes again, says nothing.
                    if number < 0 or asked.is_done[number] or asked.batch_of[number] != batch.number:
                        continue
                    if (response := self._read(asked, number, state, result)) is not None:
                        n_failed += response.status == "error"
                        n_answered += response.status != "error"
                        yield response
        except RequestFailed as failure:
            if failure.may_pass:
                raise
            if failure.status not in GONE:
                raise ModelError(
                    f"model {self._model.name!r}: the results of batch {state.id} cannot be read: {failure}; they are "
                    "kept at the service for some weeks, and the same command takes them"
                ) from failure
            rest = Rest("the results of the batch are no longer kept at the service")
        if not known:
            raise NotOursError
        for number in asked.left_in(batch):
            unheard = RequestFailed(rest.said, may_pass=rest.may_pass)
            if (failed := self._failed(asked, number, state, unheard)) is not None:
                n_failed += 1
                yield failed
        self.taken[state.id] = {
            "id": state.id,
            "ended": self._model.hidden(state.said),
            "n_requests": batch.n_requests,
            "handed_in_s": round(batch.written_s, 3),
            "n_answered": n_answered,
            "n_failed": n_failed,
        }

    def _read(self, asked: Asked, number: int, state: BatchState, result: Mapping[str, Any]) -> Response | None:
        request = asked.request(number)
        try:
            found = self._service.read(request, result, n_retries=int(asked.n_tries[number]) - 1)
        except RequestFailed as failure:
            return self._failed(asked, number, state, failure)
        except Exception as error:  # noqa: BLE001 - the per-sample boundary
            return self._failed(asked, number, state, RequestFailed(self._model.describe_failure(error)))
        asked.is_done[number] = True
        kept = replace(found, meta={**found.meta, "batch_id": state.id}, created_utc=utc_now())
        return self._model.redacted(kept)

    def _failed(self, asked: Asked, number: int, state: BatchState, failure: RequestFailed) -> Response | None:
        """The error of a request, None for one that is asked again."""
        n_tries = int(asked.n_tries[number])
        if failure.may_pass and n_tries < self._max_tries and may_try_again():
            asked.batch_of[number] = 0
            return None
        asked.is_done[number] = True
        tries = f" (tried in {n_tries} batches)" if n_tries > 1 else ""
        response = Response(
            key=asked.request(number).key,
            status="error",
            error=f"batch {state.id}: {failure}{tries}",
            n_retries=n_tries - 1,
            created_utc=utc_now(),
            meta={"batch_id": state.id},
        )
        return self._model.redacted(response)

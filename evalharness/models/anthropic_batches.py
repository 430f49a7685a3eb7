"""Anthropic's message batches: the requests in one body, the results as lines under the batch's own address.

A batch carries nothing of ours that a list of batches would show. One whose id was lost is looked for among those that
were made since, with as many requests, and which we do not know otherwise; whether it is ours its results tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from evalharness.core.types import Request, Response

from .batch_files import BatchFile
from .batches import BatchService, BatchState, Found, Rest, count_in
from .concurrent import RequestFailed

__all__ = ["AnthropicBatches"]

_PATH = "/v1/messages/batches"
_DONE = ("succeeded", "errored", "canceled", "expired")
# Errors of the request itself: the same request would get the same again.
_LASTING = frozenset(
    {
        "authentication_error",
        "billing_error",
        "invalid_request_error",
        "not_found_error",
        "permission_error",
        "request_too_large",
    }
)
_ARCHIVED = Rest("the results of the batch are no longer kept at the service", may_pass=True)
# Clocks may differ by so much.
_SKEW_S = 600.0
_PAGE = 100
_MOST_PAGES = 100


class AnthropicBatches(BatchService):
    """The message batches of one model."""

    most_requests = 100_000
    most_bytes = 256_000_000
    head = b'{"requests":['
    between = b","
    tail = b"]}"

    def entry(self, request: Request) -> bytes:
        return json.dumps({"custom_id": request.key, "params": self.model.body_of(request)}).encode()

    async def create(self, file: BatchFile, tag: str, file_id: str | None) -> BatchState:
        return self._state(await self.send(_PATH, file, once=True))

    async def look(self, batch_id: str) -> BatchState:
        return self._state(await self.ask("GET", f"{_PATH}/{batch_id}"))

    async def find(
        self,
        tag: str,
        *,
        file_id: str | None,
        n_requests: int,
        since_s: float,
        others: frozenset[str],
        holds: Callable[[str], bool],
    ) -> Found | None:
        after, perhaps = "", None
        for _ in range(_MOST_PAGES):
            page = await self.ask("GET", _PATH, query=f"limit={_PAGE}{f'&after_id={after}' if after else ''}")
            listed = page.get("data")
            batches = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
            for batch in batches:
                made_s = _seconds(batch.get("created_at"))
                if made_s is not None and made_s < since_s - _SKEW_S:
                    continue
                n_found = count_in(batch.get("request_counts"), "processing", *_DONE)
                state = self._state(batch)
                if n_found != n_requests or state.id in others:
                    continue
                if not state.ended:
                    perhaps = perhaps or Found(state, sure=False)
                elif await self._is_ours(state, holds):
                    return Found(state, sure=True)
            oldest_s = _seconds(batches[-1].get("created_at")) if batches else None
            # The newest stand first.
            past = oldest_s is not None and oldest_s < since_s - _SKEW_S
            if not batches or not page.get("has_more") or past:
                break
            after = self.id_in(batches[-1])
        return perhaps

    async def _is_ours(self, state: BatchState, holds: Callable[[str], bool]) -> bool:
        """Whether the first of the results is one that we asked for."""
        async with aclosing(self.results(state)) as results:
            async for result in results:
                key = self.key_of(result)
                return key is not None and holds(key)
        return False

    def _state(self, batch: Mapping[str, Any]) -> BatchState:
        said = str(batch.get("processing_status"))[:40]
        found = self.id_in(batch)
        ended, archived = said == "ended", batch.get("archived_at") is not None
        return BatchState(
            found,
            "archived" if archived else said,
            ended=ended,
            n_done=count_in(batch.get("request_counts"), *_DONE),
            # Not `results_url`: a key goes only to the address that the suite names.
            results=(f"{_PATH}/{found}/results",) if ended and not archived else (),
            rest=_ARCHIVED if archived else Rest(),
        )

    def read(self, request: Request, result: Mapping[str, Any], *, n_retries: int) -> Response:
        found = result.get("result")
        outcome: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        match outcome.get("type"):
            case "succeeded":
                message = outcome.get("message")
                return self.model.response_in(request, message, n_retries=n_retries, latency_s=None)
            case "expired":
                raise RequestFailed("the batch expired before this request was done", may_pass=True)
            case "canceled":
                # Whoever cancels a batch does not want it handed in again.
                raise RequestFailed("the batch was cancelled at the service; run again to ask it anew")
        error = outcome.get("error")
        # {"type": "error", "error": {"type": …, "message": …}}, or the inner part alone.
        inner = error.get("error") if isinstance(error, Mapping) and isinstance(error.get("error"), Mapping) else error
        kind = str(inner.get("type")) if isinstance(inner, Mapping) else ""
        raise self.refusal(None, inner or outcome or result, may_pass=kind not in _LASTING)


def _seconds(text: object) -> float | None:
    """Seconds since 1970 of a moment in RFC 3339."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()

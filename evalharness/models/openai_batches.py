"""OpenAI's batch interface: a file of requests, a batch made of it, files of results.

`POST /files` takes the requests, one a line, and `POST /batches` makes a batch of the file's id. Results stand in two
files, of answers and of errors. A batch carries `metadata`, in which we put our own name for it, and the id of its
file: by either of them it is found again in `GET /batches`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from evalharness.core.types import Request, Response

from .batch_files import BatchFile
from .batches import BatchService, BatchState, Found, Rest, count_in, retried_status
from .concurrent import RequestFailed
from .openai_body import PATHS, Api
from .retry import OUT_OF_CREDIT

if TYPE_CHECKING:
    from .service import ServiceModel

__all__ = ["OpenAIBatches"]

_TAG = "evalharness"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
# A batch that was refused as a whole for one of these may be taken later.
_PASSING = frozenset({"token_limit_exceeded", "rate_limit_exceeded", "server_error", "internal_error"})
_REMEDIES = {
    "token_limit_exceeded": "; fewer tokens may wait at the service at once: lower execution.batch.max_requests, or "
    "wait until other batches are done",
}
_RESTS = {
    "expired": Rest("the batch expired before this request was done", may_pass=True),
    # Whoever cancels a batch does not want it handed in again.
    "cancelled": Rest("the batch was cancelled at the service; run again to ask it anew", may_pass=False),
}
_EXPIRED = "batch_expired"
# Azure reads a file before it takes a batch of it.
_BEING_READ = frozenset({"pending", "running"})
_READ_S = 2.0
_DAY_S = 86_400.0
_PAGE = 100
_MOST_PAGES = 100


class OpenAIBatches(BatchService):
    """The batches of one model; `api` is the endpoint that its requests go to."""

    most_requests = 50_000
    most_bytes = 200_000_000
    tail = b"\n"
    between = b"\n"
    sends_file_first = True

    def __init__(
        self, model: ServiceModel, *, api: Api, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        super().__init__(model)
        self.sleep = sleep
        # The path as the service names it, wherever a gateway puts it.
        self._endpoint = "/v1" + PATHS[api]

    def entry(self, request: Request) -> bytes:
        asked = {"custom_id": request.key, "method": "POST", "url": self._endpoint, "body": self.model.body_of(request)}
        return json.dumps(asked).encode()

    async def upload(self, file: BatchFile, tag: str) -> str:
        mark = f"evalharness-{tag}"
        fields = (
            f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{mark}.jsonl"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        )
        sent = await self.send(
            "/files",
            file,
            before=fields.encode(),
            after=f"\r\n--{mark}--\r\n".encode(),
            content_type=f"multipart/form-data; boundary={mark}",
        )
        file_id = self.id_in(sent)
        while sent.get("status") in _BEING_READ:
            await self.sleep(_READ_S)
            sent = await self.ask("GET", f"/files/{file_id}")
        return file_id

    async def create(self, file: BatchFile, tag: str, file_id: str | None) -> BatchState:
        asked = {
            "input_file_id": file_id,
            "endpoint": self._endpoint,
            "completion_window": "24h",
            "metadata": {_TAG: tag},
        }
        return self._state(await self.ask("POST", "/batches", content=asked, once=True))

    async def look(self, batch_id: str) -> BatchState:
        return self._state(await self.ask("GET", f"/batches/{batch_id}"))

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
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self.ask("GET", "/batches", query=f"limit={_PAGE}{f'&after={after}' if after else ''}")
            listed = page.get("data")
            batches = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
            for batch in batches:
                metadata = batch.get("metadata")
                tagged = isinstance(metadata, Mapping) and metadata.get(_TAG) == tag
                if tagged or (file_id is not None and batch.get("input_file_id") == file_id):
                    return Found(self._state(batch), sure=True)
            # The newest stand first; a day is more than clocks differ.
            oldest = count_in(batches[-1], "created_at") if batches else 0
            if not batches or not page.get("has_more") or oldest < since_s - _DAY_S:
                return None
            after = self.id_in(batches[-1])
        return None

    def _state(self, batch: Mapping[str, Any]) -> BatchState:
        said = str(batch.get("status"))[:40]
        files = [field for field in ("output_file_id", "error_file_id") if batch.get(field)]
        ended = said in _ENDED
        return BatchState(
            self.id_in(batch),
            said,
            ended=ended,
            n_done=count_in(batch.get("request_counts"), "completed", "failed"),
            results=tuple(f"/files/{self.id_in(batch, field)}/content" for field in files) if ended else (),
            rest=self._refused(batch) if said == "failed" else _RESTS.get(said, Rest()),
        )

    def _refused(self, batch: Mapping[str, Any]) -> Rest:
        """Why a batch as a whole was not taken."""
        errors = batch.get("errors")
        listed = errors.get("data") if isinstance(errors, Mapping) else None
        faults = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
        codes = [str(one.get("code")) for one in faults]
        said = "; ".join(
            f"{one.get('code')}: {one.get('message')}"
            + (f" (line {one.get('line')})" if one.get("line") is not None else "")
            for one in faults[:3]
        )
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        remedy = next((text for code, text in _REMEDIES.items() if code in codes), "")
        text = " ".join(self.model.hidden(said).split())[:500] or "it does not say why"
        return Rest(
            f"the service refused the batch: {text}{more}{remedy}",
            may_pass=bool(codes) and all(code in _PASSING for code in codes),
        )

    def read(self, request: Request, result: Mapping[str, Any], *, n_retries: int) -> Response:
        reply, error = result.get("response"), result.get("error")
        if isinstance(reply, Mapping):
            status, body = reply.get("status_code"), reply.get("body")
            if not isinstance(status, int) or 200 <= status <= 299:
                return self.model.response_in(request, body, n_retries=n_retries, latency_s=None)
            out_of_credit = OUT_OF_CREDIT.decode() in json.dumps(body)
            raise self.refusal(status, body, may_pass=retried_status(status) and not out_of_credit)
        if isinstance(error, Mapping):
            code = str(error.get("code"))
            if code == _EXPIRED:
                raise RequestFailed(_RESTS["expired"].said, may_pass=True)
            raise self.refusal(None, error, may_pass=code in _PASSING)
        raise RequestFailed("the result in the batch has neither a response nor an error", may_pass=True)

"""Batch interfaces of services: many requests handed in as one, answered within a day, at half the price.

A service takes a file of requests, each under an id of its own, gives the whole an id, and has the results when it is
done, in any order. The id of a request is its key, so that a result is found again whoever asks for it. What is large
lies on the disk: the file that is sent, and the results that come.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from evalharness.core.allowance import granted_by
from evalharness.core.types import Request, Response

from .batch_files import BatchFile, ResultsFile
from .concurrent import RequestFailed
from .outputs import shown

if TYPE_CHECKING:
    from .service import ServiceModel

__all__ = ["BatchService", "BatchState", "Found", "Rest", "count_in", "retried_status"]

_TRANSFER_S = 1_800.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=-]{0,199}")


def _always() -> bool:
    """What looks after batches asks no model: a budget of requests does not limit its tries."""
    return True


class Rest(NamedTuple):
    """What befell the requests of an ended batch that its results do not mention."""

    said: str = "the batch has ended without a result for this request"
    may_pass: bool = True


class BatchState(NamedTuple):
    """Where a batch stands. `results` are the paths of its results, once it has `ended`."""

    id: str
    said: str
    """The service's own word for it."""
    ended: bool = False
    n_done: int = 0
    results: tuple[str, ...] = ()
    rest: Rest = Rest()


class Found(NamedTuple):
    """A batch that was handed in without its id being known; `sure` unless it may be somebody else's."""

    state: BatchState
    sure: bool


class BatchService(ABC):
    """The batch interface of one service; a subclass says how it is spoken to."""

    most_requests: ClassVar[int]
    most_bytes: ClassVar[int]
    head: ClassVar[bytes] = b""
    between: ClassVar[bytes] = b""
    tail: ClassVar[bytes] = b""
    sends_file_first: ClassVar[bool] = False
    """Whether a batch is made of a file that was sent before: without the file's id there is no batch."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model

    @abstractmethod
    def entry(self, request: Request) -> bytes:
        """`request` as it stands in the file.

        Raises:
            RequestFailed: the interface cannot take it.
        """

    async def upload(self, file: BatchFile, tag: str) -> str | None:
        """Send the file; its id where it has one."""
        return None

    @abstractmethod
    async def create(self, file: BatchFile, tag: str, file_id: str | None) -> BatchState:
        """Hand a batch in, in a single try: after one that failed nobody knows whether there is a batch now.

        Raises:
            RequestFailed: it may have been refused, or there was no reply.
        """

    @abstractmethod
    async def look(self, batch_id: str) -> BatchState:
        """Where the batch stands now."""

    @abstractmethod
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
        """The batch that was handed in under `tag` at `since_s` (seconds since 1970) or later; None if there is none.

        `others` are batches that it is not, `holds` says of a key whether its request was in it.

        Raises:
            RequestFailed: the service does not say what batches there are.
        """

    @abstractmethod
    def read(self, request: Request, result: Mapping[str, Any], *, n_retries: int) -> Response:
        """The response in `result`, of which `key_of` is the request's key.

        Raises:
            RequestFailed: there is none; `may_pass` says whether asking again may help.
        """

    def key_of(self, result: Any) -> str | None:
        """The key of the request that `result` belongs to."""
        found = result.get("custom_id") if isinstance(result, Mapping) else None
        return found if isinstance(found, str) else None

    async def results(self, state: BatchState) -> AsyncGenerator[Mapping[str, Any], None]:
        """The results of a batch that has ended, read from the disk; lines that are none are left out.

        Raises:
            RequestFailed: they cannot be had.
        """
        for path in state.results:
            made: list[ResultsFile] = []

            def reader(made: list[ResultsFile] = made) -> ResultsFile:
                made.append(ResultsFile())
                return made[-1]

            try:
                with granted_by(_always):
                    await self.model.ask_about("GET", path, reader=reader, timeout_s=_TRANSFER_S)
                for line in made[-1].lines():
                    yield line
            finally:
                for one in made:
                    one.file.close()

    async def ask(self, method: str, path: str, *, query: str = "", content: Any = None, once: bool = False) -> Any:
        """The JSON object of a reply about batches.

        Raises:
            RequestFailed: there is none.
        """
        body = None if content is None else json.dumps(content).encode()
        with granted_by(_always):
            exchange = await self.model.ask_about(method, path, query=query, body=body, once=once)
        return self.object_in(self.model.json_in(exchange.reply))

    async def send(
        self,
        path: str,
        file: BatchFile,
        *,
        before: bytes = b"",
        after: bytes = b"",
        content_type: str = "application/json",
        once: bool = False,
    ) -> Any:
        """The JSON object of the reply to a POST of the file.

        Raises:
            RequestFailed: there is none.
        """

        async def upload() -> AsyncIterator[bytes]:
            yield before
            async for part in file.parts():
                yield part
            yield after

        length = len(before) + file.size + len(after)
        with granted_by(_always):
            exchange = await self.model.ask_about(
                "POST",
                path,
                upload=upload,
                headers={"Content-Type": content_type, "Content-Length": str(length)},
                timeout_s=_TRANSFER_S,
                once=once,
            )
        return self.object_in(self.model.json_in(exchange.reply))

    def object_in(self, content: Any) -> Mapping[str, Any]:
        """`content`, which must be a JSON object."""
        if not isinstance(content, Mapping):
            raise RequestFailed(
                f"the reply of the batch interface must be a JSON object; got {self.model.hidden(shown(content))}",
                of_server=True,
            )
        return content

    def id_in(self, content: Mapping[str, Any], field: str = "id") -> str:
        """The id in a reply; it goes into addresses and into a file of ours, so it must look like one."""
        found = content.get(field)
        if not isinstance(found, str) or not _ID.fullmatch(found) or self.model.hidden(found) != found:
            said = self.model.hidden(shown(found))
            raise RequestFailed(
                f"the reply of the batch interface has no usable {field!r} but {said}; does this server have one?",
                of_server=True,
            )
        return found

    def refusal(self, status: int | None, said: Any, *, may_pass: bool) -> RequestFailed:
        """The failure of one request in a batch, with the remedy that the backend has for it."""
        text = json.dumps(said).encode()
        hint = next((hint for mark, hint in self.model.hints.items() if mark in text), None)
        message = _message_in(said)
        head = "in the batch" if status is None else f"HTTP {status} in the batch"
        return RequestFailed(
            f"{head}: {' '.join(self.model.hidden(message).split())[:300]}{f'; {hint}' if hint else ''}",
            may_pass=may_pass,
            status=status,
        )


def retried_status(status: int) -> bool:
    """Whether a request that got this status of HTTP may fare better later."""
    return status in (408, 425, 429) or status >= 500


def count_in(counts: Any, *names: str) -> int:
    """The sum of the counts under `names`; what is no number counts as none."""
    found = [counts.get(name) for name in names] if isinstance(counts, Mapping) else []
    return sum(n for n in found if isinstance(n, int) and not isinstance(n, bool))


def _message_in(said: Any) -> str:
    match said:
        case {"error": {"message": str(message)}} | {"message": str(message)} | str(message):
            return message
        case _:
            return shown(said, most=300)

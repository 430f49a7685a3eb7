"""Replies that come in pieces, put together to what the server would have answered whole.

So whatever reads replies reads one shape, streamed or not. A stream is taken for whole only if it says so itself, by a
last event such as `[DONE]` or a reason why the text ended; else it was cut, and is a lost connection that is tried
again. An error in mid-stream is treated as it would be if it had come at once, by the status that stands for it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from evalharness.core.types import Response

from .sse import Event, EventDecoder, SseDecoder
from .transport import HttpReply, TransportError

__all__ = ["TTFT", "StreamedObject", "StreamedReply", "error_in", "with_ttft"]

TTFT = "ttft_s"
"""The key in a response's meta under which the time to the first token stands, in seconds."""

# Content types with which a server may send events; JSON and HTML are read whole.
_STREAMS = ("text/event-stream", "text/plain", "application/octet-stream", "")
_STATUS_OF_ERROR = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def with_ttft(response: Response, reply: HttpReply) -> Response:
    """`response` with the time to the first token in its meta, if `reply` was a stream."""
    return response if reply.ttft_s is None else replace(response, meta={**response.meta, TTFT: reply.ttft_s})


class StreamedReply(ABC):
    """The reader of one stream; `clock` gives monotonic seconds, from now on.

    A backend's own says what an event means (`take`), whether the answer has come to its end (`finished`) and what it
    is (`reply`). What it is given a server has sent, and it must not raise whatever that is.
    """

    last_data: str | None = "[DONE]"
    """The text of an event that ends a stream."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.ttft_s: float | None = None
        self.finished = False
        self._clock = clock
        self._started_s = clock()
        self.decoder: EventDecoder = SseDecoder()
        self._n_events = 0
        self.done = False
        self._instead: tuple[int, bytes] | None = None

    @abstractmethod
    def take(self, content: Any) -> None:
        """Read what an event stands for; call `piece_came` if it holds a piece of what the model made."""

    @abstractmethod
    def reply(self) -> Any:
        """The whole reply, as JSON."""

    def takes(self, headers: Mapping[str, str]) -> bool:
        return headers.get("content-type", "").partition(";")[0].strip().lower() in _STREAMS

    def feed(self, part: bytes) -> bool:
        for event in self.decoder.feed(part):
            self._read(event)
            if self.done:
                return True
        return False

    def end(self, *, framed: bool) -> tuple[int, bytes]:
        if not self.done:
            self._read_rest()
        if self._instead is not None:
            return self._instead
        if not (self.done or self.finished):
            raise TransportError("lost", f"the stream broke off after {self._n_events} events, before the answer ended")
        return 200, json.dumps(self.reply()).encode()

    def parse(self, data: str) -> Any:
        """What the text of an event stands for; a `ValueError` says that it is nothing whole."""
        return json.loads(data)

    def piece_came(self) -> None:
        """Note the time of the first piece."""
        if self.ttft_s is None:
            self.ttft_s = self._clock() - self._started_s

    def _read_rest(self) -> None:
        rest = self.decoder.rest()
        if rest is None or not rest.data:
            return
        try:
            if rest.data != self.last_data:
                self.parse(rest.data)
        except (ValueError, RecursionError):
            raise TransportError("lost", "the stream broke off within an event") from None
        self._read(rest)

    def _read(self, event: Event) -> None:
        if not event.data:
            return
        self._n_events += 1
        if event.data == self.last_data:
            self.done = True
            return
        try:
            content = self.parse(event.data)
        except (ValueError, RecursionError):
            self.answer_instead(200, event.data.encode("utf-8", "replace"))
        else:
            self.take(content)

    def complete(self) -> None:
        """Say that nothing more is needed: the last event was there."""
        self.finished = self.done = True

    def answer_instead(self, status: int, body: bytes) -> None:
        """End the stream, with `body` as its reply."""
        self.done = True
        self._instead = (status, body)

    def fail(self, error: object) -> None:
        """End the stream with an error that the server reports in it."""
        match error:
            case {"message": str(message), **rest}:
                told: Any = {**rest, "message": f"within the stream: {message}"}
            case _:
                told = f"within the stream: {error}"
        self.answer_instead(status_of_error(error), json.dumps({"error": told}).encode())


class StreamedObject(StreamedReply):
    """A stream whose events are JSON objects, or errors."""

    @abstractmethod
    def add(self, event: Mapping[str, Any]) -> bool:
        """Read one event; True if it holds a piece of what the model made, be it thought or said."""

    def take(self, content: Any) -> None:
        if not isinstance(content, Mapping):
            self.answer_instead(200, json.dumps(content).encode())
        elif (error := error_in(content)) is not None:
            self.fail(error)
        elif self.add(content):
            self.piece_came()


def error_in(event: Mapping[str, Any]) -> object | None:
    """The error that an event reports, as OpenAI, Anthropic or vLLM write it."""
    found: object = event.get("error")
    if found:
        return found
    return event if event.get("object") == "error" or event.get("type") == "error" else None


def status_of_error(error: object) -> int:
    """The HTTP status that stands for an error; 500, which is tried again, for one that does not say what it is."""
    if isinstance(error, Mapping):
        for name in (error.get("code"), error.get("type")):
            if isinstance(name, int) and 400 <= name <= 599:
                return int(name)
            if isinstance(name, str) and name in _STATUS_OF_ERROR:
                return _STATUS_OF_ERROR[name]
    return 500

"""Streams of any endpoint: server-sent events, JSON lines, or plain text as it comes."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from .concurrent import RequestFailed
from .jsonpath import WHOLE, find
from .outputs import shown
from .sse import Event, JsonLinesDecoder, SniffingDecoder, SseDecoder
from .streams import StreamedReply, error_in
from .transport import charset_of

__all__ = ["HttpStream"]

_ENDLESS = (
    "the stream has neither a length nor chunks, so that its end cannot be told from a cut; set `stream_end` to where "
    "the last event says that it is the last"
)


class _TextDecoder:
    """Plain text, of which each part is an event."""

    def __init__(self, charset: str) -> None:
        self._decoder = codecs.getincrementaldecoder(charset)("replace")

    def feed(self, part: bytes) -> list[Event]:
        return [Event(self._decoder.decode(part))]

    def rest(self) -> Event | None:
        return Event(self._decoder.decode(b"", final=True))


class HttpStream(StreamedReply):
    """The pieces at `path` of each event, joined; events that have nothing there are passed over.

    The answer is whole when an event has something true at `end`, or at `[DONE]`; where no `end` is given, also when
    HTTP itself says that this was all. The reply is {"text": …}, or {"problem": …} that no further try would mend.
    """

    def __init__(
        self, clock: Callable[[], float], *, path: tuple[str, ...], end: tuple[str, ...] | None, response: str
    ) -> None:
        super().__init__(clock)
        self._path = path
        self._end = end
        self._response = response
        self._plain = False
        self._framed = False
        self._pieces: list[str] = []
        self._last: Any = None
        self._problem: str | None = None

    def takes(self, headers: Mapping[str, str]) -> bool:
        kind = headers.get("content-type", "").lower()
        if "event-stream" in kind:
            self._plain = self._path == WHOLE
            self.decoder = SseDecoder()
        elif "json" in kind:
            self.decoder = JsonLinesDecoder()
        elif self._path == WHOLE:
            # A model may well say [DONE].
            self._plain, self.last_data = True, None
            self.decoder = _TextDecoder(charset_of(headers))
        elif "html" in kind:
            return False
        else:
            self.decoder = SniffingDecoder()
        return True

    def end(self, *, framed: bool) -> tuple[int, bytes]:
        self._framed = framed
        self.finished = self.finished or self._end is None
        return super().end(framed=framed)

    def parse(self, data: str) -> Any:
        return data if self._plain else super().parse(data)

    def take(self, content: Any) -> None:
        self._last = content
        piece = self._at(content, self._path)
        if piece is None:
            if isinstance(content, Mapping) and (error := error_in(content)) is not None:
                self.fail(error)
        elif not isinstance(piece, str):
            self._problem = f"the piece at {self._response!r} of an event must be text; got {shown(piece)}"
        elif piece:
            self._pieces.append(piece)
            self.piece_came()
        if self._end is not None and self._at(content, self._end):
            self.complete()

    def reply(self) -> Any:
        if self._problem is not None:
            return {"problem": self._problem}
        if not (self.done or self._framed or self._end):
            return {"problem": _ENDLESS}
        if not self._pieces and not self._plain:
            last = "it has no events" if self._last is None else f"the last one is {shown(self._last)}"
            return {"problem": f"no event of the stream has a text at {self._response!r}; {last}"}
        return {"text": "".join(self._pieces)}

    @staticmethod
    def _at(content: Any, path: tuple[str, ...]) -> Any:
        try:
            return find(content, path)
        except RequestFailed:
            return None

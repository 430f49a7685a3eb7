"""Streams of events as bytes, cut anywhere: server-sent events (WHATWG HTML Standard, 9.2) and JSON lines."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

__all__ = ["Event", "EventDecoder", "JsonLinesDecoder", "SniffingDecoder", "SseDecoder"]

_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIELD = re.compile(rb"(data|event|id|retry)?:")


class Event(NamedTuple):
    """One event: its text, and the name that the server gives it ("" where it gives none)."""

    data: str
    name: str = ""


class EventDecoder(Protocol):
    """Bytes in, events out."""

    def feed(self, part: bytes) -> list[Event]:
        """The events that end within `part`."""
        ...

    def rest(self) -> Event | None:
        """The event that was begun when the bytes ended, which may be cut."""
        ...


class _Lines:
    """Bytes in, whole lines out: they end with LF, CR or CRLF, and bytes may be cut within any of these or a letter."""

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._after_cr = False
        self._first = True

    def feed(self, part: bytes) -> list[str]:
        if part and self._after_cr:
            # A CR ends its line at once; an LF that follows belongs to it, even if it comes a second later.
            self._after_cr = False
            part = part.removeprefix(b"\n")
        if not part:
            return []
        self._after_cr = part.endswith(b"\r")
        pieces = _LINE_END.split(part)
        lines: list[str] = []
        for piece in pieces[:-1]:
            self._open.append(piece)
            lines.append(self.rest())
        self._open.append(pieces[-1])
        return lines

    def rest(self) -> str:
        """The line that has not ended, and a new beginning."""
        line = b"".join(self._open).decode("utf-8", "replace")
        self._open = []
        if self._first:
            self._first = False
            return line.removeprefix("\ufeff")
        return line


class SseDecoder:
    """Server-sent events; comments, `id` and `retry` are passed over: nothing is resumed in the middle."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._data: list[str] = []
        self._name = ""

    def feed(self, part: bytes) -> list[Event]:
        """The events that end within `part`."""
        found = [self._line(line) for line in self._lines.feed(part)]
        return [event for event in found if event is not None]

    def rest(self) -> Event | None:
        """The event that no blank line has ended; by the standard it is lost, but some servers end so."""
        if line := self._lines.rest():
            self._line(line)
        return self._line("")

    def _line(self, line: str) -> Event | None:
        if line:
            field, _, value = line.partition(":")
            if field == "data":
                self._data.append(value.removeprefix(" "))
            elif field == "event":
                self._name = value.removeprefix(" ")
            return None
        data, name = self._data, self._name
        self._data, self._name = [], ""
        return Event("\n".join(data), name) if data else None


class JsonLinesDecoder:
    """One event a line; blank lines, which keep a connection alive, are passed over."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def feed(self, part: bytes) -> list[Event]:
        """The lines that end within `part`."""
        return [Event(line) for line in self._lines.feed(part) if line.strip()]

    def rest(self) -> Event | None:
        """The last line, which often has no end."""
        line = self._lines.rest()
        return Event(line) if line.strip() else None


class SniffingDecoder:
    """Server-sent events or JSON lines, by how the stream begins: content types are often wrong."""

    # A byte order mark and the longest name of a field, with its colon.
    _ENOUGH = 9

    def __init__(self) -> None:
        self._start = b""
        self._chosen: EventDecoder | None = None

    def feed(self, part: bytes) -> list[Event]:
        """The events that end within `part`, once enough has come to tell what they are."""
        if self._chosen is None:
            part = self._start = (self._start + part).lstrip()
            if len(part) < self._ENOUGH:
                return []
            self._chosen = self._choose()
        return self._chosen.feed(part)

    def rest(self) -> Event | None:
        """The event that was begun when the bytes ended."""
        if self._chosen is None:
            self._chosen = self._choose()
            return next(iter(self._chosen.feed(self._start)), None) or self._chosen.rest()
        return self._chosen.rest()

    def _choose(self) -> EventDecoder:
        is_sse = _FIELD.match(self._start.removeprefix(b"\xef\xbb\xbf"))
        return SseDecoder() if is_sse else JsonLinesDecoder()

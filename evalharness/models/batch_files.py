"""What is large of a batch, on the disk: the file of requests that is sent, and the results that come."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import IO, Any, Protocol

from evalharness.core.errors import RunError

from .transport import TransportError

__all__ = ["BatchFile", "ResultsFile"]

_PART_BYTES = 256 * 1024


class Form(Protocol):
    """How a service wants its file: what stands before, between and behind the requests, and how large it may be."""

    @property
    def head(self) -> bytes: ...
    @property
    def between(self) -> bytes: ...
    @property
    def tail(self) -> bytes: ...
    @property
    def most_bytes(self) -> int: ...


class BatchFile:
    """Requests as a service takes them, in a file on the disk that has no name."""

    def __init__(self, form: Form, *, most_requests: int) -> None:
        self._form = form
        self._most_requests = most_requests
        self._file = _scratch()
        self.size = len(form.head) + len(form.tail)
        self.keys: list[str] = []
        self._write(form.head)

    def takes(self, entry: bytes) -> bool:
        """Whether there is room for `entry`."""
        fits = self.size + len(self._form.between) + len(entry) <= self._form.most_bytes
        return fits and len(self.keys) < self._most_requests

    def add(self, key: str, entry: bytes) -> None:
        """Write one more request.

        Raises:
            RunError: the disk is full.
        """
        between = self._form.between if self.keys else b""
        self._write(between + entry)
        self.size += len(between) + len(entry)
        self.keys.append(key)

    def end(self) -> None:
        """Nothing more is added."""
        self._write(self._form.tail)

    def _write(self, data: bytes) -> None:
        _put(self._file, data)

    async def parts(self) -> AsyncIterator[bytes]:
        """The file from its beginning."""
        self._file.seek(0)
        while part := self._file.read(_PART_BYTES):
            yield part

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


class ResultsFile:
    """Puts a reply on the disk as it comes."""

    most_bytes = 64 * 2**30
    ttft_s: float | None = None

    def __init__(self) -> None:
        self.file = _scratch()

    def takes(self, headers: Mapping[str, str]) -> bool:
        return True

    def feed(self, part: bytes) -> bool:
        _put(self.file, part)
        return False

    def end(self, *, framed: bool) -> tuple[int, bytes]:
        if not framed and not self._ends_whole():
            raise TransportError("lost", "the results ended within a line")
        return 200, b""

    def _ends_whole(self) -> bool:
        """Whether the last line is JSON: only this tells, where HTTP does not say how long a reply is."""
        last = b"{}"
        self.file.seek(0)
        for line in self.file:
            last = line
        return _parsed(last) is not None

    def lines(self) -> Iterator[Mapping[str, Any]]:
        self.file.seek(0)
        for line in self.file:
            found = _parsed(line)
            if isinstance(found, Mapping):
                yield found


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _scratch() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(prefix="evalharness-")
    except OSError as error:
        raise _no_room(error) from error


def _put(file: IO[bytes], data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> RunError:
    return RunError(
        f"the folder of temporary files {tempfile.gettempdir()} cannot be written: {error.strerror or error}; make "
        "room there, or set TMPDIR to another folder"
    )

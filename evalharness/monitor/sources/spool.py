"""Files into which the receiver writes: a line a response, on the disk before it is acknowledged."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from evalharness.core.errors import RunError

__all__ = ["SpoolWriter"]


class SpoolWriter:
    """Appends lines to a file in `folder`; begins another one when it is large or old enough.

    A file has one writer and is never opened again: what a crash cut off is the end of the last line of a file, and
    readers pass over a last line without its end.

    Args:
        folder: made if it is not there.
        clock: the time, in UTC.
        max_bytes: a file that has come to so many is closed.
        max_age_s: and so is one that was begun so long ago.

    Raises:
        RunError: the folder cannot be made.
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], datetime], max_bytes: int = 64 * 2**20, max_age_s: float = 3600.0
    ) -> None:
        self._folder, self._clock = folder, clock
        self._max_bytes, self._max_age_s = max_bytes, max_age_s
        self._handle: IO[bytes] | None = None
        self._begun = clock()
        self._size = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"the folder {folder} cannot be made: {error.strerror or error}") from error

    def append(self, lines: bytes) -> None:
        """Write whole lines; they are on the disk when this returns.

        Raises:
            OSError: they could not be written, and nothing of them stands in the file.
        """
        now = self._clock()
        if self._handle is not None and (
            self._size >= self._max_bytes or (now - self._begun).total_seconds() >= self._max_age_s
        ):
            self.close()
        if self._handle is None:
            self._open(now)
        handle = self._handle
        assert handle is not None
        try:
            handle.write(lines)
            handle.flush()
            os.fsync(handle.fileno())
        except OSError:
            self._undo(handle)
            raise
        self._size += len(lines)

    def _open(self, now: datetime) -> None:
        name = f"responses-{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.jsonl"
        # Unbuffered, so that a failed write leaves nothing behind that a later one would write after all.
        self._handle = (self._folder / name).open("xb", buffering=0)
        self._begun, self._size = now, 0
        if os.name == "posix":
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _undo(self, handle: IO[bytes]) -> None:
        try:
            handle.truncate(self._size)
            handle.seek(self._size)
        except OSError:
            # The file may end within a line: no other line may follow it there.
            self.close()

    def close(self) -> None:
        """End the file."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

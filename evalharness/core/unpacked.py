"""Files that may be packed by gzip, read as if they were not."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import IO, Any

__all__ = ["open_bytes"]


def open_bytes(file: Path) -> IO[bytes]:
    """The content of `file`, unpacked if it is packed by gzip, whatever its name."""
    handle = file.open("rb")
    packed = handle.read(2) == b"\x1f\x8b"
    handle.seek(0)
    if not packed:
        return handle
    # Closing the wrapper closes the file; it satisfies the reading half of IO[bytes], which is all that is used.
    return io.BufferedReader(_Owning(handle))


class _Owning(gzip.GzipFile):
    def __init__(self, handle: IO[bytes]) -> None:
        super().__init__(fileobj=handle, mode="rb")
        self._handle = handle

    def readinto(self, buffer: Any) -> int:
        # To fill the whole buffer is to lose what stands before the place where a file is cut.
        return super().readinto1(buffer)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._handle.close()

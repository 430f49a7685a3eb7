"""Memory of the host that is taken page by page as it is written, and given back in part."""

from __future__ import annotations

import contextlib
import math
import mmap
import sys
from collections.abc import Sequence

import torch

__all__ = ["Pages"]

_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of Linux 5.14; Python does not name it


class Pages:
    """A `tensor` of zeros on the CPU whose parts take no memory before they are written.

    Texts of very different lengths can so have equally long places without the short ones taking what the longest
    needs, and a place never moves while its text grows. Where the system has no such mapping (Windows), it is a plain
    tensor of zeros.
    """

    def __init__(self, shape: Sequence[int], dtype: torch.dtype) -> None:
        """Raises `MemoryError` where the system has no room."""
        self._map: mmap.mmap | None = None
        n = math.prod(shape)
        if not n or not hasattr(mmap, "MAP_PRIVATE"):
            self.tensor = torch.zeros(tuple(shape), dtype=dtype)
            return
        try:
            # Private: reading what was never written then shows the one page of zeros that the system has.
            self._map = mmap.mmap(-1, n * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"cannot allocate memory: {n * dtype.itemsize} bytes") from error
        self.tensor = torch.frombuffer(self._map, dtype=dtype, count=n).view(tuple(shape))

    def take(self, place: int, start: int, end: int) -> None:
        """Take the memory of `tensor[place, start:end]` now, in one go, because it is about to be written.

        Memory that is read before it is written is shown as one page of zeros, and each page of it that is written
        later costs an exchange that all cores wait for: ten times what taking several together costs a page. Where the
        system cannot do it, it takes the memory page by page, as ever.
        """
        if self._map is None or sys.platform != "linux":
            return
        size, row = (self.tensor.stride(axis) * self.tensor.element_size() for axis in (0, 1))
        first = (place * size + start * row) // mmap.PAGESIZE * mmap.PAGESIZE
        end = min(place * size + end * row, len(self._map))
        if first < end:
            with contextlib.suppress(OSError):
                self._map.madvise(_POPULATE_WRITE, first, end - first)

    def release(self, place: int) -> None:
        """Give back what `tensor[place]` takes, whose values are not needed any more.

        They are zero afterwards, but at the borders of pages and where the system cannot do it, what they were.
        """
        if self._map is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        size = self.tensor.stride(0) * self.tensor.element_size()
        first = -(-place * size // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (place + 1) * size // mmap.PAGESIZE * mmap.PAGESIZE
        if first < end:
            with contextlib.suppress(OSError):
                self._map.madvise(mmap.MADV_DONTNEED, first, end - first)

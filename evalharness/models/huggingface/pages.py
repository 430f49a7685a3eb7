"""Memory of the host that is taken page by page as it is written, and given back in part."""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Sequence

import torch

__all__ = ["Pages"]


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

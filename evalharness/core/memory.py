"""Memory that the C library keeps for later, handed back to the system."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable

__all__ = ["trim_memory"]


def trim_memory() -> None:
    """Hand memory that the C library keeps for later back to the system; nothing happens where it cannot.

    glibc keeps up to 64 MiB at the end of its heap, and all that lies below a piece in use there: after a pass over
    many tokens often 100 MB. Giving it back takes a few milliseconds, and so does getting it again.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None

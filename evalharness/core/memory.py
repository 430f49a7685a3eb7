"""Memory that the C library keeps for later, handed back to the system."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable

__all__ = ["map_large_pieces", "trim_memory"]

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 128 * 1024  # where glibc begins, before it has seen a large piece freed


def trim_memory() -> None:
    """Hand memory that the C library keeps for later back to the system; nothing happens where it cannot.

    glibc keeps up to 64 MiB at the end of its heap, and all that lies below a piece in use there: after a pass over
    many tokens often 100 MB. Giving it back takes a few milliseconds, and so does getting it again.
    """
    trim = _libc_function("malloc_trim")
    if trim is not None:
        trim(0)


def map_large_pieces() -> None:
    """Let the C library map large pieces one by one for good; nothing happens where it is not glibc.

    So they go back to the system when they are freed. By its own rules glibc takes pieces of up to 32 MiB from its heap
    once one of that size was freed, and what an array of all samples leaves behind there is seldom of use again.
    """
    set_option = _libc_function("mallopt")
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)


@functools.cache
def _libc_function(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None

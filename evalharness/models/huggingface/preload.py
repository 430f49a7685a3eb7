"""Loads torch's machine code on a thread, while the suite is read.

A fifth of the time of `import torch` goes by in the dynamic linker; Python holds its lock for all of it, a call from
`ctypes` does not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
from pathlib import Path

__all__ = ["preload_torch"]


def preload_torch() -> None:
    """Begin to load torch's library, where it is an ELF file and not loaded; `import torch` finds it there."""
    spec = importlib.util.find_spec("torch")
    if not sys.platform.startswith("linux") or "torch" in sys.modules or spec is None:
        return
    for folder in spec.submodule_search_locations or ():
        libraries = [Path(folder) / "lib" / name for name in ("libtorch_global_deps.so", "libtorch_cpu.so")]
        if all(path.is_file() for path in libraries):
            threading.Thread(target=_load, args=(*libraries,), name="evalharness-preload").start()


def _load(first: Path, library: Path) -> None:
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        # As torch does, and before its own library: what the two share is found there by all.
        ctypes.CDLL(str(first), mode=ctypes.RTLD_GLOBAL)
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
        # Where it fails, the import says so.
        dlopen(os.fsencode(library), os.RTLD_NOW)

"""Templates compiled once for an installation, as Python does with modules: beside them, in `__pycache__`."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path

import jinja2
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from ..core.files import write_atomic

__all__ = ["CompiledTemplates"]


class CompiledTemplates(BytecodeCache):
    """The compiled templates of `folder`, for an environment that the module at `made_by` sets up.

    Jinja looks whether a template is still the one that was compiled, and for which Python. Which Jinja and which
    environment it was for stands in the name of the file: code that is compiled may depend on both. Where nothing can
    be written, or where Python is told to write no bytecode, templates are compiled anew in each process.
    """

    def __init__(self, folder: Path, made_by: Path) -> None:
        self._folder = folder / "__pycache__"
        if sys.pycache_prefix is not None:
            self._folder = Path(sys.pycache_prefix, *folder.resolve().parts[1:])
        try:
            stat = made_by.stat()
            made = f"{jinja2.__version__} {stat.st_mtime_ns} {stat.st_size}"
        except OSError:  # a package that is no folder of files
            made = ""
        self._tag = made and f"{sys.implementation.cache_tag}-{hashlib.sha256(made.encode()).hexdigest()[:12]}"

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key[:16]}.{self._tag}.j2c"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read what was compiled, if it is there and of use; Jinja's own part of the protocol."""
        if self._tag:
            # A file that was cut off is none: it is compiled anew.
            with contextlib.suppress(OSError, EOFError, ValueError, TypeError):
                bucket.bytecode_from_string(self._path(bucket).read_bytes())

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled, where that can be done; Jinja's own part of the protocol."""
        if self._tag and not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                write_atomic(self._path(bucket), bucket.bytecode_to_string())

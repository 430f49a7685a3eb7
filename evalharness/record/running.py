"""Runs that are going on: a small file beside the records, which says how far each of them is.

Whoever runs a suite writes it now and then, and takes it away at the end; a dashboard reads it. Nothing rests on it: it
may be missing, late, or left behind by a process that was killed, which its age tells.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from ..core.files import write_atomic

__all__ = ["GONE_S", "Running", "RunningFile", "running"]

GONE_S: Final = 900.0
"""A file that nobody has written for so long is of a process that is gone."""
_LARGEST: Final = 16_384
_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """How far a run is. `done` of `total` requests of the stretch `label` are answered, `from_store` of them before.

    Times are in seconds since 1970. A run has several stretches: asking, judging.
    """

    key: str
    suite: str
    label: str
    total: int
    done: int
    from_store: int
    failed: int
    began_s: float
    updated_s: float


def running(reports: Path, *, now_s: float) -> tuple[Running, ...]:
    """The runs that are going on in `reports`, the oldest first."""
    found = []
    folder = reports / "running"
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, TypeError):
            if path.stat().st_size <= _LARGEST and not path.is_symlink():
                one = Running(**json.loads(path.read_text(encoding="utf-8")))
                if all(isinstance(getattr(one, f.name), _KINDS[str(f.type)]) for f in fields(Running)) and (
                    now_s - one.updated_s < GONE_S
                ):
                    found.append(one)
    return tuple(sorted(found, key=lambda one: (one.began_s, one.key)))


_KINDS: Final[dict[str, tuple[type, ...]]] = {"str": (str,), "int": (int,), "float": (int, float)}


class RunningFile:
    """The file of one run; it is written once a second at most, and a disk that is full stops no run."""

    def __init__(self, reports: Path, suite: str, *, clock: Callable[[], float] = time.time) -> None:
        self._key = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._path = reports / "running" / f"{self._key}.json"
        self._suite, self._clock = suite, clock
        self._began_s = clock()
        self._last_s = float("-inf")
        self._label, self._total, self._done, self._from_store, self._failed = "", 0, 0, 0, 0

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        """A stretch of `total` requests begins, of which `done` were answered from the store."""
        self._label, self._total, self._done, self._from_store, self._failed = label, total, done, done, 0
        self._write(self._clock())

    def advance(self, n: int, *, failed: int = 0) -> None:
        """`n` more answers are kept, `failed` of them without a usable answer."""
        self._done += n
        self._failed += failed
        now_s = self._clock()
        if now_s - self._last_s >= _EVERY_S:
            self._write(now_s)

    def remove(self) -> None:
        """The run has ended, one way or the other."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, now_s: float) -> None:
        self._last_s = now_s
        one = Running(
            self._key,
            self._suite,
            self._label,
            self._total,
            self._done,
            self._from_store,
            self._failed,
            self._began_s,
            now_s,
        )
        with contextlib.suppress(OSError):
            write_atomic(self._path, json.dumps(asdict(one), ensure_ascii=False))

"""Runs that are going on: a small file beside the records, which says how far each of them is.

Whoever runs a suite writes it, every ten seconds at least, and takes it away at the end; a dashboard reads it. Nothing
rests on it: it may be missing, late, or left behind by a process that was killed, which its age tells.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from ..core.files import write_atomic

__all__ = ["GONE_S", "SILENT_S", "Running", "RunningFile", "running"]

GONE_S: Final = 900.0
"""A file that nobody has written for so long is of a process that is gone."""
SILENT_S: Final = 30.0
"""A run that has written nothing for so long was most likely killed: no slow model keeps it from writing."""
_BEAT_S: Final = 10.0
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
    """The file of one run; it is written once a second at most, and a disk that is full stops no run.

    From its start on a thread writes it every `beat_s` seconds too: an answer may take long, and the last of many that
    came at once were not written.
    """

    def __init__(
        self, reports: Path, suite: str, *, clock: Callable[[], float] = time.time, beat_s: float = _BEAT_S
    ) -> None:
        self._key = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._path = reports / "running" / f"{self._key}.json"
        self._suite, self._clock = suite, clock
        self._began_s = clock()
        self._last_s = float("-inf")
        self._label, self._total, self._done, self._from_store, self._failed = "", 0, 0, 0, 0
        self._beat_s = beat_s
        self._has_ended = threading.Event()
        self._writing = threading.Lock()
        self._beats: threading.Thread | None = None

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        """A stretch of `total` requests begins, of which `done` were answered from the store."""
        self._label, self._total, self._done, self._from_store, self._failed = label, total, done, done, 0
        self._write(self._clock())
        if self._beats is None:
            self._beats = threading.Thread(target=self._beat, name="evalharness-running", daemon=True)
            self._beats.start()

    def advance(self, n: int, *, failed: int = 0) -> None:
        """`n` more answers are kept, `failed` of them without a usable answer."""
        self._done += n
        self._failed += failed
        now_s = self._clock()
        if now_s - self._last_s >= _EVERY_S:
            self._write(now_s)

    def remove(self) -> None:
        """The run has ended, one way or the other."""
        self._has_ended.set()
        with self._writing, contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._has_ended.wait(self._beat_s):
            self._write(self._clock())

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
        with self._writing, contextlib.suppress(OSError):
            if not self._has_ended.is_set():
                write_atomic(self._path, json.dumps(asdict(one), ensure_ascii=False))

"""Progress that others can look at: what a run says of itself goes on, and into a file beside the records."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from evalharness.record.running import RunningFile

from .progress import Progress

__all__ = ["ShownProgress"]


class ShownProgress:
    """Passes all on to `inner`, and keeps a file in `reports/running` that a dashboard reads."""

    def __init__(self, inner: Progress, reports: Path | str, suite: str) -> None:
        self._inner = inner
        self._file = RunningFile(Path(reports), suite)

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.remove()
        self._inner.__exit__(kind, error, trace)

    def say(self, message: str) -> None:
        self._inner.say(message)

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        self._inner.start(label, total, done=done)
        self._file.start(label, total, done=done)

    def advance(self, n: int, *, failed: int = 0) -> None:
        self._inner.advance(n, failed=failed)
        self._file.advance(n, failed=failed)

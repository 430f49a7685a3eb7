"""What a user sees while a run goes on: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

__all__ = ["BarProgress", "LineProgress", "OnFirstAnswer", "Progress", "SilentProgress", "progress_for"]


class Progress(Protocol):
    """Told of each stretch of work: `start`, then `advance` as answers are kept; used as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, message: str) -> None:
        """A line for the user."""
        ...

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        """A stretch of `total` requests begins, of which `done` were answered from the store."""
        ...

    def advance(self, n: int, *, failed: int = 0) -> None:
        """`n` more answers are kept, `failed` of them without a usable answer."""
        ...


class SilentProgress:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, message: str) -> None:
        pass

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        pass

    def advance(self, n: int, *, failed: int = 0) -> None:
        pass


class OnFirstAnswer:
    """Passes all on to `inner`, and calls `then` on a thread of its own when the first answer has come.

    From then on there are moments in which nobody computes.
    """

    def __init__(self, inner: Progress, then: Callable[[], None]) -> None:
        self._inner = inner
        self._then: Callable[[], None] | None = then

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)

    def say(self, message: str) -> None:
        self._inner.say(message)

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        self._inner.start(label, total, done=done)

    def advance(self, n: int, *, failed: int = 0) -> None:
        self._inner.advance(n, failed=failed)
        if self._then is not None:
            threading.Thread(target=self._then, name="evalharness-meanwhile", daemon=True).start()
            self._then = None


class LineProgress(SilentProgress):
    """A line at the start, about every ten seconds, and at the end: for logs and CI."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic, every_s: float = 10.0) -> None:
        self._stream, self._clock, self._every_s = stream, clock, every_s
        self._label, self._total, self._done, self._from_store, self._failed = "", 0, 0, 0, 0
        self._began = self._last = 0.0

    def say(self, message: str) -> None:
        print(message, file=self._stream, flush=True)

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        self._label, self._total, self._done, self._from_store, self._failed = label, total, done, done, 0
        self._began = self._last = self._clock()
        kept = f", {done} of them answered already" if done else ""
        self.say(f"{label}: {total} requests{kept}")

    def advance(self, n: int, *, failed: int = 0) -> None:
        self._done += n
        self._failed += failed
        now = self._clock()
        if now - self._last >= self._every_s or self._done == self._total:
            self._last = now
            rate = (self._done - self._from_store) / max(now - self._began, 1e-9)
            eta = f", {(self._total - self._done) / rate:.0f} s left" if rate and self._done < self._total else ""
            self.say(f"{self._label}: {self._done}/{self._total}, {rate:.1f}/s{eta}, {self._failed} failed")


class BarProgress(SilentProgress):
    """A bar with rate, time left and failures, drawn by rich."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        self._rich = Rich(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failures]}", style="red"),
            console=Console(file=stream),
        )
        self._task: Any = None
        self._failed = self._from_store = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._rich.stop()

    def say(self, message: str) -> None:
        self._rich.console.print(message, markup=False, highlight=False)

    def start(self, label: str, total: int, *, done: int = 0) -> None:
        self._failed, self._from_store, self._began = 0, done, time.monotonic()
        self._task = self._rich.add_task(label, total=total, completed=done, rate="", failures="")

    def advance(self, n: int, *, failed: int = 0) -> None:
        self._failed += failed
        self._rich.update(self._task, advance=n)
        done = self._rich.tasks[self._task].completed - self._from_store
        self._rich.update(
            self._task,
            rate=f"{done / max(time.monotonic() - self._began, 1e-9):.1f}/s",
            failures=f"{self._failed} failed" if self._failed else "",
        )


def progress_for(stream: TextIO | None = None, *, quiet: bool = False) -> Progress:
    """A bar where `stream` (default: standard error) is a terminal, else lines; nothing where `quiet`."""
    stream = sys.stderr if stream is None else stream
    if quiet:
        return SilentProgress()
    return BarProgress(stream) if stream.isatty() else LineProgress(stream)

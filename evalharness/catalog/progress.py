"""What a user sees while something is made: a bar in a terminal, plain lines elsewhere; all on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self, TextIO

__all__ = ["LineProgress", "Progress", "SilentProgress", "progress_for"]


class Progress(Protocol):
    """Told of each step, and of how far a step with a known end is."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, message: str) -> None:
        """A line that stays."""
        ...

    def step(self, label: str, total: int | None = None) -> None:
        """The next step begins; `total` is its length where that is known."""
        ...

    def advance(self, n: int = 1) -> None:
        """`n` more of the step are done."""
        ...


class SilentProgress:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, message: str) -> None:
        pass

    def step(self, label: str, total: int | None = None) -> None:
        pass

    def advance(self, n: int = 1) -> None:
        pass


class LineProgress(SilentProgress):
    """A line for each step, and one for each tenth of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._label, self._total, self._done = "", 0, 0

    def say(self, message: str) -> None:
        print(message, file=self._stream, flush=True)

    def step(self, label: str, total: int | None = None) -> None:
        self._label, self._total, self._done = label, total or 0, 0
        self.say(f"{label} …")

    def advance(self, n: int = 1) -> None:
        before, self._done = self._done, self._done + n
        if self._total and before * 10 // self._total != self._done * 10 // self._total:
            self.say(f"{self._label}: {self._done}/{self._total}")


class BarProgress(SilentProgress):
    """A bar that shows the step at hand, its share done and its time."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn()]
        columns += [MofNCompleteColumn(), TimeElapsedColumn()]
        self._bar = Bar(*columns, console=Console(file=stream), transient=True)
        self._task: Any = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        self._bar.console.print(message, markup=False, highlight=False)

    def step(self, label: str, total: int | None = None) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(label, total=total)

    def advance(self, n: int = 1) -> None:
        self._bar.advance(self._task, n)


def progress_for(stream: TextIO) -> Progress:
    """A bar if `stream` is a terminal, else plain lines."""
    return BarProgress(stream) if stream.isatty() else LineProgress(stream)

"""What everything that is printed shares: a console that folds nothing needlessly, text without markup, tables."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

from .text import single_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["Printer", "make_console", "table", "text"]

_PIPED_WIDTH = 120


def make_console(file: IO[str] | None = None, *, width: int | None = None) -> Console:
    """A console on `file` (default: stdout) that folds nothing needlessly in a pipe and keeps to NO_COLOR."""
    from rich.console import Console

    stream = sys.stdout if file is None else file
    if width is None and not stream.isatty() and not os.environ.get("COLUMNS"):
        width = _PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def text(value: object, style: str = "") -> Text:
    """`value` on one line; no markup in it is obeyed."""
    from rich.text import Text

    return Text(single_line(str(value)), style=style, overflow="fold")


def table(*columns: tuple[str, str]) -> Table:
    """A table with columns of these heads, set `left`, `right` or `center`."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name, justify in columns:
        fold = justify == "left"
        made.add_column(name, justify=justify, no_wrap=not fold, overflow="fold")  # type: ignore[arg-type]
    return made


class Printer:
    """Prints to a console whose encoding may be too small for our signs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        encoding = console.encoding or "utf-8"
        self._plain: str | None = None
        try:
            "↑↓✓✗→⏎·—≥≤∞−…␀".encode(encoding)
        except (UnicodeEncodeError, LookupError):
            self._plain = encoding

    def __call__(self, *parts: RenderableType) -> None:
        if self._plain is None:
            self.console.print(*parts)
            return
        with self.console.capture() as captured:
            self.console.print(*parts)
        self.console.file.write(captured.get().encode(self._plain, "replace").decode(self._plain))

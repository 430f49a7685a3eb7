"""What people read: console table, Markdown, single-file HTML, tidy frames."""

from __future__ import annotations

from .console import make_console, print_summary, print_verdicts
from .html import render_html
from .markdown import render_markdown
from .write import write_reports

__all__ = [
    "make_console",
    "print_summary",
    "print_verdicts",
    "render_html",
    "render_markdown",
    "write_reports",
]

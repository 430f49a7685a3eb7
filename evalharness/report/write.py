"""Writes a record's report files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import RunError
from ..core.files import write_atomic
from .gateview import GateOutcomeLike
from .html import iter_html
from .markdown import render_markdown

if TYPE_CHECKING:
    from ..record import Rating, Record
    from ..record.history import History

__all__ = ["HTML_FILE", "MARKDOWN_FILE", "write_reports"]

HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"


def write_reports(
    record: Record,
    gate_outcome: GateOutcomeLike | Mapping[str, Any] | None = None,
    *,
    ratings: Iterable[Rating] = (),
    history: History | None = None,
    baseline: Record | None = None,
    language: str = "en",
) -> dict[str, Path]:
    """Write report.html and report.md into the record's folder (they are no part of its seal); returns their paths.

    `ratings` are those that people gave to the run, `history` what earlier runs of its suite found, `baseline` the run
    that it is compared with. `language` is that of report.html: one of `core.language.LANGUAGES`.

    Raises:
        RunError: if they cannot be written.
        UsageError: there is no such language.
    """
    ratings = tuple(ratings)
    paths = {"html": record.folder / HTML_FILE, "md": record.folder / MARKDOWN_FILE}
    try:
        write_atomic(
            paths["html"],
            iter_html(record, gate_outcome, ratings=ratings, history=history, baseline=baseline, language=language),
        )
        write_atomic(paths["md"], render_markdown(record, gate_outcome, ratings=ratings))
    except OSError as error:
        raise RunError(
            f"the report cannot be written to {record.folder}: {error}; the record itself is safe"
        ) from error
    return paths

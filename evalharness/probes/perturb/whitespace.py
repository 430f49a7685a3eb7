"""Spaces too many, too few, or of another kind."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

import regex

from .base import chosen, require_rate
from .words import Span, is_protected, replace_spans

__all__ = ["Whitespace"]

_GAP = regex.compile(r"(?<=\S)[ \t\u00a0\u3000]+(?=\S)")


@dataclass(frozen=True, kw_only=True)
class Whitespace:
    """Spaces doubled, left out, turned to tabs or no-break spaces, or put round the text; no letter changes.

    Options:
        how: extra (two or three for one), missing (two words run together), tab, nbsp (no-break space), or edges (white
            space before and after the text).
        rate: share of the gaps between words (at least one); edges needs none.
    """

    how: Literal["extra", "missing", "tab", "nbsp", "edges"] = "extra"
    rate: float = 0.1

    name: ClassVar[str] = "whitespace"
    main: ClassVar[str] = "how"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_rate(self.rate)

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        if self.how == "edges":
            return f"  {text} \n" if text.strip() else None
        gaps = [found.span() for found in _GAP.finditer(text) if not is_protected(text, *found.span())]
        made = [Span(a, b, self._gap(text[a:b], rng)) for a, b in chosen(gaps, self.rate, rng)]
        found = replace_spans(text, made)
        return None if found == text else found

    def _gap(self, gap: str, rng: random.Random) -> str:
        if self.how == "extra":
            return gap + " " * rng.choice((1, 2))
        return {"missing": "", "tab": "\t", "nbsp": "\u00a0"}[self.how]

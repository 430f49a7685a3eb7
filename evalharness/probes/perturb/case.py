"""Letters in another case."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

from .base import chosen, require, require_rate
from .words import Span, replace_spans, words

__all__ = ["Case"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """The same words in upper, lower, title or chance's case; a text of a script without case is left alone.

    Options:
        to: upper, lower, title (each word's first letter), or random (the case of some letters is turned round).
        rate: random: the share of the letters that are turned round (at least one).
    """

    to: Literal["upper", "lower", "title", "random"] = "upper"
    rate: float | None = None

    name: ClassVar[str] = "case"
    main: ClassVar[str] = "to"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rate is not None:
            require(self.to == "random", "rate has no effect without `to: random`; remove it")
            require_rate(self.rate)

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        spans = words(text)
        if self.to == "random":
            # Only letters whose case comes back: "ß" has an upper case of two letters, which is another spelling.
            cased = [
                start + i
                for start, _, word in spans
                for i, letter in enumerate(word)
                if letter.swapcase() != letter and letter.swapcase().swapcase() == letter
            ]
            rate = 0.2 if self.rate is None else self.rate
            made = [Span(i, i + 1, text[i].swapcase()) for i in chosen(cased, rate, rng)]
        else:
            made = [Span(start, end, self._turned(word)) for start, end, word in spans]
        found = replace_spans(text, made)
        return None if found == text else found

    def _turned(self, word: str) -> str:
        if self.to == "title":
            return word[:1].upper() + word[1:].lower()  # str.title makes "Don'T"
        return word.upper() if self.to == "upper" else word.lower()

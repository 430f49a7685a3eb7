"""Letters of another script that look the same."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from .base import chosen, require_rate
from .words import Span, replace_spans, words

__all__ = ["LOOKALIKES", "Homoglyphs"]

# Latin → Cyrillic: the pairs that share a shape in most typefaces, and that Unicode's list of confusable characters
# (UTS 39, confusables.txt) gives the same skeleton.
_CYRILLIC = {
    "a": "а", "c": "с", "e": "е", "i": "і", "j": "ј", "o": "о", "p": "р", "s": "ѕ", "x": "х", "y": "у",
    "A": "А", "B": "В", "C": "С", "E": "Е", "H": "Н", "I": "І", "J": "Ј", "K": "К", "M": "М", "O": "О",
    "P": "Р", "S": "Ѕ", "T": "Т", "X": "Х",
}  # fmt: skip
LOOKALIKES = {**_CYRILLIC, **{cyrillic: latin for latin, cyrillic in _CYRILLIC.items()}}


@dataclass(frozen=True, kw_only=True)
class Homoglyphs:
    """Some letters in a look-alike of another script: Latin in Cyrillic, and Cyrillic in Latin.

    What a reader sees stays the same; what a tokenizer reads does not. Filters are evaded in this way.

    Options:
        rate: share of the letters that have a look-alike (at least one).
    """

    rate: float = 0.1

    name: ClassVar[str] = "homoglyphs"
    main: ClassVar[str] = "rate"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_rate(self.rate)

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        places = [start + i for start, _, word in words(text) for i, letter in enumerate(word) if letter in LOOKALIKES]
        made = [Span(i, i + 1, LOOKALIKES[text[i]]) for i in chosen(places, self.rate, rng)]
        return replace_spans(text, made) if made else None

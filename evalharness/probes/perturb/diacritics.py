"""Accents left out, as many people type, or put where there are none."""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass
from typing import ClassVar, Literal

import regex

from .base import chosen, require_rate
from .words import Span, replace_spans, words

__all__ = ["Diacritics"]

# A mark on a Latin or Greek letter, the two points of ё, the vowel signs of Arabic and Hebrew: what people leave out.
# Others are no ornaments: Japanese が without its mark is か, й without it и, and أ without its hamza another letter.
_SIGNS = r"\u064b-\u0652\u0670\u05b0-\u05bc\u05c1\u05c2\u05c7"
_MARKED = regex.compile(
    rf"[\p{{Latin}}\p{{Greek}}]\p{{M}}+|[еЕ]\u0308|[\p{{Arabic}}\p{{Hebrew}}]\p{{M}}*[{_SIGNS}]\p{{M}}*"
)
_SIGN = regex.compile(f"[{_SIGNS}]")
_SEMITIC = regex.compile(r"[\p{Arabic}\p{Hebrew}]")
_VOWEL = regex.compile(r"(?i)[aeiou](?!\p{M})")
_MARKS = ("\u0301", "\u0300", "\u0302", "\u0308")  # acute, grave, circumflex, diaeresis


@dataclass(frozen=True, kw_only=True)
class Diacritics:
    """Marks on letters left out, or put on plain Latin vowels; the text keeps its normal form (NFC or NFD).

    Left out are those of Latin and Greek letters, the points of Cyrillic ё and the vowel signs of Arabic and Hebrew.

    Options:
        how: remove, or add.
        rate: share of the letters with marks (of the plain vowels) that are changed (at least one); remove takes them
            all by default, add puts one on every tenth.
    """

    how: Literal["remove", "add"] = "remove"
    rate: float | None = None

    name: ClassVar[str] = "diacritics"
    main: ClassVar[str] = "how"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rate is not None:
            require_rate(self.rate)

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        form: Literal["NFC", "NFD"] = "NFC" if unicodedata.is_normalized("NFC", text) else "NFD"
        # Letter by letter, so that text in neither form keeps what is not changed.
        found = []
        pattern = _MARKED if self.how == "remove" else _VOWEL
        for start, _, word in words(text):
            for letter in regex.finditer(r"\X", word):
                if pattern.fullmatch(unicodedata.normalize("NFD", letter.group())):
                    found.append(Span(start + letter.start(), start + letter.end(), letter.group()))
        rate = self.rate if self.rate is not None else 1.0 if self.how == "remove" else 0.1
        made = []
        for start, end, letter in chosen(found, rate, rng):
            apart = unicodedata.normalize("NFD", letter)
            if self.how == "add":
                new = unicodedata.normalize(form, apart[0] + rng.choice(_MARKS))
            elif _SEMITIC.match(letter):
                new = unicodedata.normalize(form, _SIGN.sub("", apart))
            else:
                new = apart[0]
            made.append(Span(start, end, new))
        return replace_spans(text, made) if made else None

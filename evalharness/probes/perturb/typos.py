"""Slips of the fingers: a neighbouring key, two letters swapped, one left out, one struck twice."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import regex

from .base import chosen, require, require_rate
from .words import Span, graphemes, replace_spans, words

__all__ = ["Typos", "neighbours"]

Slip = Literal["neighbour", "swap", "drop", "double"]
# The rows of letters, each set off by about half a key from the one above.
_LAYOUTS = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("qwertzuiop", "asdfghjkl", "yxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
    "jcuken": ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
    "arabic": ("ضصثقفغعهخحجد", "شسيبلاتنمكط", "ئءؤر ىةوزظ"),
    "hebrew": ("/'קראטוןםפ", "שדגכעיחלךף", "זסבהנמצתץ"),
}
# Whoever writes another script than that of the layout has one for it.
_OTHER_LAYOUTS = ("jcuken", "arabic", "hebrew")
_OFFSETS = (0.0, 0.25, 0.75)
# Scripts written a letter at a time on such keyboards; Chinese, Japanese and Korean are typed in other ways.
_ALPHABETIC = regex.compile(r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{M}'’\-]+")
_PLACES = 12


@lru_cache
def neighbours(layout: str) -> Mapping[str, str]:
    """The letters on the keys that touch that of each letter."""
    keys = {
        letter: (column + _OFFSETS[number], number)
        for number, row in enumerate(_LAYOUTS[layout])
        for column, letter in enumerate(row)
        if letter.isalpha()
    }
    return {
        letter: "".join(
            other for other, (u, v) in keys.items() if other != letter and abs(v - y) <= 1 and abs(u - x) <= 1
        )
        for letter, (x, y) in keys.items()
    }


@dataclass(frozen=True, kw_only=True)
class Typos:
    """Slips of the fingers, at most one a word; the first letter, numbers and short words are left alone.

    Options:
        rate: share of the words that get one (at least one word does).
        slips: which slips are made: neighbour (the key beside), swap, drop, double.
        layout: whose keys lie beside one another; Cyrillic, Arabic and Hebrew letters have their own keys all the same,
            and letters of no layout are swapped, dropped or doubled.
        shortest: words of fewer letters are left alone.
    """

    rate: float = 0.1
    slips: tuple[Slip, ...] = ("neighbour", "swap", "drop", "double")
    layout: Literal["qwerty", "qwertz", "azerty", "jcuken", "arabic", "hebrew"] = "qwerty"
    shortest: int = 4

    name: ClassVar[str] = "typos"
    main: ClassVar[str] = "rate"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_rate(self.rate)
        require(len(self.slips) > 0, "slips must name at least one of neighbour, swap, drop and double")
        require(self.shortest >= 2, f"shortest must be at least 2; got {self.shortest}")

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        candidates = words(text, keep=self._can_slip)
        made = []
        for start, end, word in chosen(candidates, self.rate, rng):
            slipped = self._slip(graphemes(word), rng)
            if slipped is not None:
                made.append(Span(start, end, slipped))
        return replace_spans(text, made) if made else None

    def _can_slip(self, word: str) -> bool:
        letters = [letter for letter in graphemes(word) if letter[0].isalpha()]
        return len(letters) >= self.shortest and _ALPHABETIC.fullmatch(word) is not None

    def _slip(self, letters: list[str], rng: random.Random) -> str | None:
        """The word with one slip; None where chance found no place for any, which takes a word like "aaaa"."""
        for _ in range(_PLACES):
            place = rng.randrange(1, len(letters))
            for slip in rng.sample(self.slips, len(self.slips)):
                found = self._at(letters, place, slip, rng)
                if found is not None:
                    return found
        return None

    def _at(self, letters: list[str], place: int, slip: Slip, rng: random.Random) -> str | None:
        here, before, after = letters[place], letters[:place], letters[place + 1 :]
        if not here[0].isalpha():
            return None
        if slip == "drop":
            return "".join([*before, *after])
        if slip == "double":
            return "".join([*before, here, here, *after])
        if slip == "neighbour":
            layouts = (self.layout, *_OTHER_LAYOUTS)
            near = next((found for each in layouts if (found := neighbours(each).get(here.lower()))), None)
            if near is None:
                return None
            struck = rng.choice(near)
            return "".join([*before, struck.upper() if here.isupper() else struck, *after])
        if place + 1 < len(letters) and after[0] != here and after[0][0].isalpha():
            return "".join([*before, after[0], here, *after[1:]])
        return None

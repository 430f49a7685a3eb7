"""Words that say nothing, as people speak."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

import regex

from .base import chosen, require, require_rate
from .language import language_of
from .words import Span, is_protected, replace_spans

__all__ = ["Fillers"]

_WORDS: dict[str, tuple[str, ...]] = {
    "en": ("um", "uh", "er", "well", "you know", "I mean", "like", "so to speak"),
    "de": ("äh", "ähm", "also", "halt", "sozusagen"),
    "fr": ("euh", "ben", "enfin", "disons", "tu vois"),
    "es": ("eh", "pues", "bueno", "o sea", "digamos"),
    "zh": ("嗯", "那个", "就是说", "怎么说呢"),
    "ar": ("يعني", "آه", "طيب"),
}
_GAP = regex.compile(r"(?<=[\p{L}\p{M}\p{N}]) (?=\p{L})")
_HAN_GAP = regex.compile(r"(?<=[，、；：。！？])(?=\p{Han})")
_HAN = regex.compile(r"\p{Han}")
_ARABIC = regex.compile(r"\p{Arabic}")
_LETTER = regex.compile(r"\p{Latin}")


@dataclass(frozen=True, kw_only=True)
class Fillers:
    """Fillers ("um", "you know") put between words, set off by commas; take them out and the old text is back.

    Chinese ones are put before a clause. A text in another script than the fillers has nothing to rewrite, and neither
    has one in a language without fillers of ours.

    Options:
        rate: share of the places between words that get one (at least one place does).
        language: whose fillers: en, de, fr, es, zh, ar, or auto, those of the language that the text is evidently in
            (English where a text in Latin letters does not tell).
        words: your own fillers instead, in any language.
    """

    rate: float = 0.05
    language: Literal["auto", "en", "de", "fr", "es", "zh", "ar"] = "auto"
    words: tuple[str, ...] = ()

    name: ClassVar[str] = "fillers"
    main: ClassVar[str] = "rate"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_rate(self.rate)
        require(all(word.strip() for word in self.words), "words must not be blank")

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        language = self._language(text)
        fillers = self.words or _WORDS.get(language, ())
        if not fillers:
            return None
        if language == "zh":
            first = _HAN.search(text)
            if first is None:
                return None
            places = [first.start(), *(found.start() for found in _HAN_GAP.finditer(text))]
            made = [Span(i, i, f"{rng.choice(fillers)}，") for i in chosen(sorted(set(places)), self.rate, rng)]
            return replace_spans(text, made)
        if not self.words and not (_ARABIC if language == "ar" else _LETTER).search(text):
            return None
        comma = "،" if any(_ARABIC.search(filler) for filler in fillers) else ","
        gaps = [found.start() for found in _GAP.finditer(text) if not is_protected(text, *found.span())]
        made = [Span(i, i, f"{comma} {rng.choice(fillers)}{comma}") for i in chosen(gaps, self.rate, rng)]
        return replace_spans(text, made) if made else None

    def _language(self, text: str) -> str:
        if self.language != "auto":
            return self.language
        if self.words:
            return "zh" if any(_HAN.search(word) for word in self.words) else ""
        return language_of(text) or "en"

"""Whole numbers written in another way: 1,000, 1000, one thousand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import regex

from .base import chosen, require_rate
from .language import language_of
from .number_words import LARGEST, number_in_words, read_number
from .words import Span, is_protected, like, replace_spans, span_of

__all__ = ["Numbers"]

# Letters that stand beside a number without belonging to it: 有3000人, 3000명.
_LETTER = r"[\p{L}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]]"
_SPACE = r"[ \u00a0\u202f]"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\b"
)
# A number that stands for itself: no part of a date, a time, a decimal, a version, a name, an amount of money, a
# telephone number; 第3000 and 3000号 are numbers of something, 2021年 is a year.
_ALONE = rf"(?<!{_LETTER}|[\p{{N}}\p{{Sc}}.,:/\-+#%°_'’^第№]|[\p{{N}}\p{{Sc}}]{_SPACE})"
_ENDS = (
    rf"(?!{_LETTER}|[\p{{N}}\p{{Sc}}%％°_'’^年号號版房室路년호]|[.,:/\-+](?=\p{{N}})|[/\-+]|{_SPACE}?[%％°\p{{Sc}}\p{{N}}]|"
    rf" (?i:{_MONTH}))"
)
_PLAIN = regex.compile(rf"(?V1){_ALONE}(?:0|[1-9]\d*){_ENDS}")
# How a language parts thousands where it is not by a comma, as it is written and as it is read.
_SEPARATORS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("de", "es", "it", "nl", "pt"), (".", r"\.")),
    **dict.fromkeys(("fr", "ru"), ("\u202f", _SPACE)),
}
_NUMBER_WORD = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    r"seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|"
    r"billion)"
)
_IN_WORDS = regex.compile(
    rf"(?i)(?<![\p{{L}}\p{{N}}\-]){_NUMBER_WORD}(?:(?:-| | and ){_NUMBER_WORD})*"
    r"(?![\p{L}\p{N}\-'’]| half\b| and a\b)"
)
_LATIN = regex.compile(r"\p{Latin}")
_WORD_BEFORE = regex.compile(r"([\p{L}\p{M}'’]+)\s+\Z")
_GRAMMAR = frozenset({
    "a", "about", "after", "all", "almost", "and", "another", "are", "around", "at", "before", "between", "but", "by",
    "every", "exactly", "for", "from", "had", "has", "have", "he", "i", "in", "is", "it", "its", "just", "less", "more",
    "my", "nearly", "of", "on", "only", "or", "our", "over", "she", "some", "than", "that", "the", "their", "there",
    "these", "they", "those", "to", "under", "until", "was", "we", "were", "with", "within", "you", "your",
})  # fmt: skip
# What is numbered has no amount: "room 4021".
_NUMBERED = frozenset({
    "account", "apartment", "apt", "article", "build", "bus", "call", "case", "chapter", "channel", "code", "figure",
    "flight", "gate", "id", "invoice", "item", "line", "lot", "model", "no", "nr", "number", "order", "page", "part",
    "phone", "pin", "platform", "port", "question", "room", "route", "section", "seat", "serial", "step", "suite",
    "table", "ticket", "unit", "version", "year", "zip",
})  # fmt: skip
_NUMBERED_BEFORE = regex.compile(r"(\p{L}+)[.:#]?\s*#?\s*\Z")
# So many digits are a number of an account or a part, which nobody says.
_MOST_DIGITS = 9
_NEAR = 40
"""So many characters before a number are looked at for what it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Whole numbers written in another way, where that is safe.

    What may be a year (four digits from 1000 to 2100 without a separator), a date, a time, a decimal, a version, an
    amount of money, a percentage or a part of a name (after a capitalised word) is left as it is, and so is "one"
    alone, which is mostly no number. Thousands are parted as the language of the text does it: 1,000, German 1.000,
    French 1 000; words are English and stand in English texts.

    Options:
        how: plain (1,000 → 1000), grouped (1000000 → 1,000,000), words (1,000 → one thousand), digits (one thousand →
            1000), or either: the first of these, in this order, that finds something.
        rate: share of such numbers that are changed (at least one).
    """

    how: Literal["plain", "grouped", "words", "digits", "either"] = "either"
    rate: float = 1.0

    name: ClassVar[str] = "numbers"
    main: ClassVar[str] = "how"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_rate(self.rate)

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        language = language_of(text)
        for how in ("plain", "grouped", "words", "digits") if self.how == "either" else (self.how,):
            found = [span for span in _WAYS[how](text, language) if not is_protected(text, span.start, span.end)]
            if found:
                return replace_spans(text, chosen(found, self.rate, rng))
        return None


@cache
def _grouped_in(separator: str) -> regex.Pattern[str]:
    return regex.compile(rf"(?V1){_ALONE}[1-9]\d{{0,2}}(?:{separator}\d{{3}})+{_ENDS}")


def _separator(language: str) -> tuple[str, str]:
    return _SEPARATORS.get(language, (",", ","))


def _plain(text: str, language: str) -> Iterator[Span]:
    for found in _grouped_in(_separator(language)[1]).finditer(text):
        yield span_of(found, "".join(c for c in found.group() if c.isdecimal()))


def _grouped(text: str, language: str) -> Iterator[Span]:
    mark = _separator(language)[0]
    for found in _PLAIN.finditer(text):
        digits = found.group()
        if _in_name(text, found.start()):
            continue
        if 4 <= len(digits) <= _MOST_DIGITS and not _may_be_year(digits):
            yield span_of(found, f"{int(digits):,}".replace(",", mark))


def _worded(text: str, language: str) -> Iterator[Span]:
    if not _is_english(text, language):
        return
    in_groups = _grouped_in(",")
    for pattern in (in_groups, _PLAIN):
        for found in pattern.finditer(text):
            digits = found.group().replace(",", "")
            if _in_name(text, found.start()):
                continue
            if len(digits) <= _MOST_DIGITS and (pattern is in_groups or not _may_be_year(digits)):
                said = number_in_words(int(digits))
                yield span_of(found, said.capitalize() if _opens(text, found.start()) else said)


def _digits(text: str, language: str) -> Iterator[Span]:
    if not _is_english(text, language):
        return
    for found in _IN_WORDS.finditer(text):
        number = read_number(found.group())
        if number is not None and number <= LARGEST and number != 1:
            yield span_of(found, like("", str(number)))


def _is_english(text: str, language: str) -> bool:
    return language == "en" or (not language and _LATIN.search(text) is not None)


def _may_be_year(digits: str) -> bool:
    return len(digits) == 4 and 1000 <= int(digits) <= 2100


def _in_name(text: str, place: int) -> bool:
    """Whether the word before is a capitalised one, but for those of the grammar: "Formula 51", not "In 51 cases".

    Or the name of something that is numbered: "room 4021".
    """
    near = text[max(0, place - _NEAR) : place]
    numbered = _NUMBERED_BEFORE.search(near)
    if numbered is not None and numbered.group(1).lower() in _NUMBERED:
        return True
    before = _WORD_BEFORE.search(near)
    return before is not None and before.group(1)[0].isupper() and before.group(1).lower() not in _GRAMMAR


def _opens(text: str, place: int) -> bool:
    before = text[:place].rstrip()
    return not before or before[-1] in ".!?"


_WAYS: Mapping[str, Callable[[str, str], Iterator[Span]]] = {
    "plain": _plain,
    "grouped": _grouped,
    "words": _worded,
    "digits": _digits,
}

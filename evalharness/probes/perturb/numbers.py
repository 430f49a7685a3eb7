"""Whole numbers written in another way: 1,000, 1000, one thousand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import regex

from .base import chosen, require_rate
from .number_words import LARGEST, number_in_words, read_number
from .words import Span, is_protected, like, replace_spans, span_of

__all__ = ["Numbers"]

# A number that stands for itself: no part of a date, a time, a decimal, a version, a name, an amount of money.
_ALONE = r"(?<![\p{L}\p{N}\p{Sc}.,:/\-+#%°_'’^]|\p{Sc} )"
_ENDS = r"(?![\p{L}\p{N}\p{Sc}%°_'’^]|[.,:/\-+](?=\p{N})|[/\-+]| ?(?:%|°|\p{Sc}))"
_GROUPED = regex.compile(rf"{_ALONE}[1-9]\d{{0,2}}(?:,\d{{3}})+{_ENDS}")
_PLAIN = regex.compile(rf"{_ALONE}(?:0|[1-9]\d*){_ENDS}")
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
# So many digits are a number of an account or a part, which nobody says.
_MOST_DIGITS = 9


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Whole numbers written in another way, where that is safe.

    What may be a year (four digits from 1000 to 2100 without a separator), a date, a time, a decimal, a version, an
    amount of money, a percentage or a part of a name (after a capitalised word) is left as it is, and so is "one"
    alone, which is mostly no number.

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
        for how in ("plain", "grouped", "words", "digits") if self.how == "either" else (self.how,):
            found = [span for span in _WAYS[how](text) if not is_protected(text, span.start, span.end)]
            if found:
                return replace_spans(text, chosen(found, self.rate, rng))
        return None


def _plain(text: str) -> Iterator[Span]:
    for found in _GROUPED.finditer(text):
        yield span_of(found, found.group().replace(",", ""))


def _grouped(text: str) -> Iterator[Span]:
    for found in _PLAIN.finditer(text):
        digits = found.group()
        if _in_name(text, found.start()):
            continue
        if 4 <= len(digits) <= _MOST_DIGITS and not _may_be_year(digits):
            yield span_of(found, f"{int(digits):,}")


def _worded(text: str) -> Iterator[Span]:
    if not _LATIN.search(text):
        return  # English words in a text of another script
    for pattern in (_GROUPED, _PLAIN):
        for found in pattern.finditer(text):
            digits = found.group().replace(",", "")
            if _in_name(text, found.start()):
                continue
            if len(digits) <= _MOST_DIGITS and (pattern is _GROUPED or not _may_be_year(digits)):
                said = number_in_words(int(digits))
                yield span_of(found, said.capitalize() if _opens(text, found.start()) else said)


def _digits(text: str) -> Iterator[Span]:
    for found in _IN_WORDS.finditer(text):
        number = read_number(found.group())
        if number is not None and number <= LARGEST and number != 1:
            yield span_of(found, like("", str(number)))


def _may_be_year(digits: str) -> bool:
    return len(digits) == 4 and 1000 <= int(digits) <= 2100


def _in_name(text: str, place: int) -> bool:
    """Whether the word before is a capitalised one, but for those of the grammar: "Formula 51", not "In 51 cases"."""
    before = _WORD_BEFORE.search(text[:place])
    return before is not None and before.group(1)[0].isupper() and before.group(1).lower() not in _GRAMMAR


def _opens(text: str, place: int) -> bool:
    before = text[:place].rstrip()
    return not before or before[-1] in ".!?"


_WAYS = {"plain": _plain, "grouped": _grouped, "words": _worded, "digits": _digits}

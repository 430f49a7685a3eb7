"""Marks left out, put at the end, or set twice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

import regex

from .base import chosen, require_rate
from .words import Span, is_protected, replace_spans

__all__ = ["Punctuation"]

# Between words or after them: an apostrophe in a word, a hyphen, and the points of 3.14 and 1,000 are no punctuation.
_MARK = regex.compile(r"[.,;:!?…\"“”«»()\[\]。，、；：！？「」『』（）《》؟،؛۔।॥¿¡]")
_INSIDE = regex.compile(r"[\p{L}\p{N}\p{M}]")
_END_MARKS = r"[.!?…。！？؟۔।॥]+"
_END = regex.compile(_END_MARKS + r"[\"”’»)\]」』）]*\s*\Z")
_OWN_MARKS = {
    "。": regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]"),
    "।": regex.compile(r"\p{Devanagari}"),
    "": regex.compile(r"[\p{Thai}\p{Lao}]"),  # set none
}


@dataclass(frozen=True, kw_only=True)
class Punctuation:
    """Marks left out, doubled, or the one at the end taken away (or added where there is none).

    Options:
        how: drop leaves marks out, double sets them twice, end removes the sentence mark at the end or adds one.
        rate: drop, double: share of the marks (at least one).
    """

    how: Literal["drop", "double", "end"] = "drop"
    rate: float = 1.0

    name: ClassVar[str] = "punctuation"
    main: ClassVar[str] = "how"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_rate(self.rate)

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        if self.how == "end":
            return _other_end(text)
        places = [found.start() for found in _MARK.finditer(text) if _is_mark(text, found.start())]
        made = [
            Span(place, place + 1, "" if self.how == "drop" else text[place] * 2)
            for place in chosen(places, self.rate, rng)
        ]
        found = replace_spans(text, made)
        return None if not made or not found.strip() else found


def _is_mark(text: str, place: int) -> bool:
    if is_protected(text, place, place + 1):
        return False
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    within = bool(_INSIDE.match(before) and _INSIDE.match(after))
    # Chinese and Japanese set no space after a mark; theirs are marks all the same.
    return not within or text[place] not in ".,:"


def _other_end(text: str) -> str | None:
    found = _END.search(text)
    if found is not None and is_protected(text, *found.span()):
        return None
    if found is not None:
        kept = regex.sub(_END_MARKS, "", found.group())
        return text[: found.start()] + kept if text[: found.start()].strip() else None
    body = text.rstrip()
    if not body or not _INSIDE.match(body[-1]) or is_protected(text, len(body) - 1, len(body)):
        return None
    mark = next((mark for mark, script in _OWN_MARKS.items() if script.match(body[-1])), ".")
    return body + mark + text[len(body) :] if mark else None

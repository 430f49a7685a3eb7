"""The words of a text in any script, and which tokens of a model make up each: the players of an explanation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from .games import Token

__all__ = ["Player", "PlayerKind", "Players", "find_players", "is_unspaced", "pieces", "words"]

PlayerKind = Literal["words", "tokens"]

_BETWEEN_SPACES = re.compile(r"\S+")
# Scripts that put no space between words: each character with its marks is a word of its own.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"


@cache
def _patterns() -> tuple[Any, Any]:
    import regex

    letter = rf"[[\p{{L}}\p{{M}}\p{{N}}_]--[{_UNSPACED}]]"
    word = (
        rf"(?V1)[[\p{{L}}\p{{N}}]&&[{_UNSPACED}]]\p{{M}}*"
        # One word with what stands inside of it: don't, well-known, 3.14; at its ends they are punctuation.
        rf"|{letter}+(?:(?:['’\-]|(?<=\p{{N}})[.,](?=\p{{N}})){letter}+)*"
        # A run of one mark, an emoji with its modifiers.
        r"|(\p{P})\1*|(?!\s)\X"
    )
    return regex.compile(word), regex.compile(rf"(?V1)[\p{{L}}&&[{_UNSPACED}]]")


def words(text: str) -> list[tuple[int, int]]:
    """Where each word of `text` begins and ends; a character of an unspaced script and a mark are words too.

    Every character that is no white space is in exactly one of them.
    """
    return [match.span() for match in _patterns()[0].finditer(text)]


def is_unspaced(character: str) -> bool:
    """Whether `character` is a letter of a script that puts no space between words."""
    return not character.isascii() and _patterns()[1].match(character) is not None


def pieces(text: str) -> list[tuple[int, int]]:
    """What white space parts in `text`, with the marks at it; each character of an unspaced script is a piece."""
    if not any(map(is_unspaced, set(text))):
        return [found.span() for found in _BETWEEN_SPACES.finditer(text)]
    found: list[tuple[int, int]] = []
    for start, end in words(text):
        is_mark = not (text[start].isalnum() or text[start] == "_")
        own = is_unspaced(text[start])
        before = text[slice(*found[-1])] if found else ""
        # A mark goes with what it stands at; a word goes on where no character of an unspaced script is between.
        if found and found[-1][1] == start and (is_mark or not _is_word(before) or not (own or _has_unspaced(before))):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def _has_unspaced(text: str) -> bool:
    return any(map(is_unspaced, text))


@dataclass(frozen=True, slots=True)
class Player:
    """One word of the text, and the places of its tokens among all tokens that the model reads."""

    token: Token
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Players:
    """The players of a text; `n_shared` tokens hold characters of the text and of what stands around it.

    Those are never masked, and neither is what stands around.
    """

    players: tuple[Player, ...]
    n_shared: int = 0


def find_players(
    text: str, offsets: Sequence[tuple[int, int] | None], *, span: tuple[int, int], kind: PlayerKind
) -> Players:
    """The players in characters `span` of `text`, whose tokens stand at `offsets` (None: never masked).

    - `words`: the words that a token holds parts of are one player; white space goes with the word behind it.
    - `tokens`: a token each, but tokens that share a character (parts of its bytes) are one.

    Their places in the text count from the beginning of `span`.
    """
    low, high = span
    inside: list[tuple[int, int, int]] = []
    blank: list[tuple[int, int]] = []
    n_shared = 0
    for place, offset in enumerate(offsets):
        if offset is None:
            continue
        start, end = _trimmed(text, *offset)
        if start >= end:
            # White space alone, or nothing at all.
            if offset[0] < offset[1] and low <= offset[0] and offset[1] <= high:
                blank.append((place, offset[1]))
        elif end > low and start < high:
            if start < low or end > high:
                n_shared += 1
            else:
                inside.append((place, start, end))
    units = [(a + low, b + low) for a, b in words(text[low:high])] if kind == "words" else []
    groups = _grouped(inside, units or [(start, end) for _, start, end in inside])
    for place, end in blank:
        behind = next((group for group in groups if group.start >= end), groups[-1] if groups else None)
        if behind is not None:
            behind.places.append(place)
    return Players(
        tuple(
            Player(
                Token(text[group.start : group.end], group.start - low, group.end - low), tuple(sorted(group.places))
            )
            for group in groups
        ),
        n_shared,
    )


@dataclass(slots=True)
class _Group:
    start: int
    end: int
    places: list[int]


def _grouped(inside: Sequence[tuple[int, int, int]], units: Sequence[tuple[int, int]]) -> list[_Group]:
    """The units, those joined that a token holds parts of, each with its tokens; units without tokens are left out."""
    spans: list[_Group] = []
    for start, end in sorted({*units}):
        if spans and start < spans[-1].end:
            spans[-1].end = max(spans[-1].end, end)
        else:
            spans.append(_Group(start, end, []))
    for place, start, end in sorted(inside, key=lambda each: (each[1], each[2])):
        touched = [index for index, group in enumerate(spans) if group.start < end and start < group.end]
        if not touched:
            continue
        first, last = touched[0], touched[-1]
        whole = spans[first]
        for other in spans[first + 1 : last + 1]:
            whole.end = other.end
            whole.places += other.places
        del spans[first + 1 : last + 1]
        whole.places.append(place)
    return [group for group in spans if group.places]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the white space at its ends, which many tokens carry in front of their word."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end

"""Where words stand in a text, and what in it is never touched: addresses, placeholders, code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import regex

__all__ = ["Span", "graphemes", "is_protected", "like", "protected", "replace_spans", "sentences", "span_of", "words"]

# Letters with their marks (NFD), joined by apostrophes or hyphens within a word.
_WORD = regex.compile(r"[\p{L}\p{N}]\p{M}*+(?:['’\-]?[\p{L}\p{N}_]\p{M}*+)*+")
# Chinese writes on without a space, and marks behind an address are none of it.
_IN_ADDRESS = r"[^\s<>，。；：！？、（）《》「」『』“”…]"
_ADDRESS_END = r"[^\s<>，。；：！？、（）《》「」『』“”….,;:!?'\")\]]"
_DOMAIN = (
    r"(?:[A-Za-z0-9\-]+\.)+(?:com|org|net|edu|gov|info|io|ai|dev|eu|de|at|ch|fr|es|it|nl|uk|cn|jp|ru|br)(?![\w\-])"
)
_PROTECTED = regex.compile(
    rf"(?:https?://|www\.){_IN_ADDRESS}*{_ADDRESS_END}"
    r"|[\p{Latin}\p{N}._%+\-]+@[\p{Latin}\p{N}\-]+(?:\.[\p{Latin}\p{N}\-]+)+"
    rf"|(?<![\w@.\-]){_DOMAIN}(?:/(?:{_IN_ADDRESS}*{_ADDRESS_END})?)?"
    r"|(?<![\w/.])[~.]{0,2}(?:/[\w.\-]*\w){2,}/?|(?<!\w)[A-Za-z]:\\[^\s\"<>|]*[\w\\]"
    r"|\{\{.*?\}\}|\{%.*?%\}|\{[^{}\s]*\}|<[^<>\s]+>|<!--.*?-->|</?[A-Za-z][^<>\n]*>|```.*?```|`[^`\n]+`|[@#]\w+",
    regex.DOTALL,
)
# A point ends a sentence before white space alone: 1.500 and e.g are none.
_SENTENCE = regex.compile(r"(?:[^.!?…؟۔।。！？\n]|[.!?…؟](?![\s\"”’»)\].!?…؟]|\Z))+[.!?…؟۔।。！？]*")
_GRAPHEME = regex.compile(r"\X")


class Span(NamedTuple):
    """A piece of a text, and where it stands."""

    start: int
    end: int
    text: str


def span_of(found: regex.Match[str], text: str | None = None) -> Span:
    """Where a pattern was found, with `text` (default: what was found)."""
    return Span(found.start(), found.end(), found.group() if text is None else text)


@lru_cache(maxsize=64)
def protected(text: str) -> tuple[tuple[int, int], ...]:
    """Where addresses, placeholders, tags, code and @names stand, none of which any perturbation changes."""
    return tuple(found.span() for found in _PROTECTED.finditer(text))


def is_protected(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] touches something that is never changed."""
    return any(a < end and start < b for a, b in protected(text))


def words(text: str, *, keep: Callable[[str], bool] = lambda word: True) -> list[Span]:
    """The words of `text` that are not protected and that `keep` accepts, in their order."""
    return [
        span_of(found)
        for found in _WORD.finditer(text)
        if not is_protected(text, *found.span()) and keep(found.group())
    ]


def sentences(text: str) -> list[Span]:
    """The sentences of `text`, roughly: up to a mark that ends one, or the end of a line."""
    return [span_of(found) for found in _SENTENCE.finditer(text) if found.group().strip()]


def graphemes(word: str) -> list[str]:
    """What a reader calls characters: a letter with its marks is one, however it is encoded."""
    found: list[str] = _GRAPHEME.findall(word)
    return found


def replace_spans(text: str, changes: Sequence[Span]) -> str:
    """`text` with the text of each of `changes` put in the place of what stands there; they do not overlap."""
    parts: list[str] = []
    last = 0
    for start, end, new in sorted(changes):
        parts += [text[last:start], new]
        last = end
    return "".join([*parts, text[last:]])


def like(pattern: str, word: str) -> str:
    """`word` in the case of `pattern`: FULL, Capitalised, or as it is."""
    letters = [c for c in pattern if c.isalpha()]
    if len(letters) > 1 and all(c.isupper() for c in letters):
        return word.upper()
    if letters and letters[0].isupper():
        return word[:1].upper() + word[1:]
    return word

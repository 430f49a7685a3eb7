"""Two texts word by word: what one has and the other has not. Scripts without spaces are compared by the character."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

__all__ = ["Piece", "word_diff"]

# Chinese, Japanese, Thai, Lao, Khmer and Korean write words without spaces, or endings onto them.
_CHARACTERS = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"\s+|[{_CHARACTERS}]|(?:(?![{_CHARACTERS}])\w)+|[^\w\s]")
# The comparison takes the product of the lengths; longer texts are shown side by side, unmarked.
_MOST_TOKENS = 1_000
_LEAST_COMMON = 0.2


class Piece(NamedTuple):
    """A stretch of text that both have, or one alone."""

    kind: Literal["same", "gone", "new"]
    text: str


def word_diff(old: str, new: str) -> tuple[list[Piece], list[Piece]]:
    """The pieces of `old` (same and gone) and of `new` (same and new), each of which makes up its text.

    Texts that have next to nothing in common are not marked: every word would be.
    """
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    plain = ([Piece("same", old)] if old else []), ([Piece("same", new)] if new else [])
    if max(len(before), len(after)) > _MOST_TOKENS or not before or not after:
        return plain
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    words = sum(not token.isspace() for tag, i, j, *_ in blocks if tag == "equal" for token in before[i:j])
    if words < _LEAST_COMMON * max(sum(not token.isspace() for token in side) for side in (before, after)):
        return plain
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, i, j, k, m in blocks:
        # A blank between two words that differ is no word in common.
        same = tag == "equal" and not "".join(before[i:j]).isspace()
        _add(left, "same" if same else "gone", "".join(before[i:j]))
        _add(right, "same" if same else "new", "".join(after[k:m]))
    return left, right


def _add(pieces: list[Piece], kind: Literal["same", "gone", "new"], text: str) -> None:
    if pieces and pieces[-1].kind == kind:
        text = pieces.pop().text + text
    if text:
        pieces.append(Piece(kind, text))

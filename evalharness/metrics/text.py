"""Reading text: Unicode words, the script that a text is written in, SQuAD's normal form, sentences."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, Literal

from evalharness.stats.arrays import NDArray, np

__all__ = [
    "UNSPACED_SIGNS",
    "TextCache",
    "Vocabulary",
    "ascii_words",
    "code_points",
    "forget_texts",
    "multiset_overlap",
    "porter_stems",
    "sentences",
    "squad_normalize",
    "tokenize_13a",
    "unicode_words",
    "unspaced_script",
    "whole_words",
]

# Scripts that put no space between words: each grapheme is a word of its own.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
UNSPACED_SIGNS = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
"""The blocks of the same scripts, as the inside of a set of `re`, which knows no scripts."""
# Korean writes spaces, and particles right behind the word.
_HANGUL = "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_13A_SYMBOL = re.compile(r"([\{-\~\[-\`\!-\&\(-\+\:-\@\/])")
_13A_STOP_AFTER = re.compile(r"([^0-9])([\.,])")
_13A_STOP_BEFORE = re.compile(r"([\.,])([^0-9])")
_13A_DASH = re.compile(r"([0-9])(-)")
_SENTENCE_END = re.compile(r"([.!?…]+[\"'”’»)\]]*)\s+|([。！？｡]+[」』”’）]*)")


@cache
def _word_pattern() -> Any:
    import regex

    return regex.compile(rf"(?V1)[[\p{{L}}\p{{N}}]&&[{_UNSPACED}]]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+")


@cache
def _script_patterns() -> tuple[Any, Any, Any]:
    import regex

    return (
        regex.compile(rf"(?V1)[\p{{L}}&&[{_UNSPACED}]]"),
        regex.compile(r"\p{Han}"),
        regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}]--[{_UNSPACED}]]+"),
    )


def ascii_words(text: str) -> list[str]:
    """Runs of a-z and 0-9 in the lower-cased text, as rouge-score reads it."""
    return _ASCII_WORD.findall(text.lower())


def unicode_words(text: str) -> list[str]:
    """Runs of letters, marks and digits of any script, lower-cased; graphemes where a script writes no spaces.

    On ASCII text these are `ascii_words`. Other text is brought to the normal form NFC first, so that a letter with
    an accent is the same however it was typed.
    """
    if text.isascii():
        return ascii_words(text)
    found: list[str] = _word_pattern().findall(unicodedata.normalize("NFC", text.lower()))
    return found


def unspaced_script(texts: Iterable[str]) -> Literal["", "han", "other"]:
    """Whether texts are mostly in a script without spaces: "han" (Chinese), "other" (Japanese, Thai …), "" for no.

    They are where they hold more characters of such scripts than words of other ones.
    """
    joined = " ".join(texts)
    if joined.isascii():
        return ""
    unspaced, han, words = _script_patterns()
    n_unspaced = len(unspaced.findall(joined))
    if n_unspaced <= len(words.findall(joined)):
        return ""
    return "han" if len(han.findall(joined)) == n_unspaced else "other"


def whole_words(terms: Mapping[str, str]) -> str:
    """An expression for any of the `terms` as whole words, the longest first; each maps to what it is written as.

    12 is not found in 512. Scripts without spaces have no words that could be told by their ends: their terms are found
    wherever they stand, others also right beside such signs, and right before a particle of Korean.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for term in sorted(terms, key=len, reverse=True):
        left = "" if re.match(f"[{UNSPACED_SIGNS}]", term) else rf"(?<![^\W{UNSPACED_SIGNS}])"
        right = "" if re.search(rf"[{UNSPACED_SIGNS}]\Z", term) else rf"(?![^\W{UNSPACED_SIGNS}{_HANGUL}])"
        groups.setdefault((left, right), []).append(terms[term])
    return "|".join(f"{left}(?:{'|'.join(found)}){right}" for (left, right), found in groups.items())


def squad_normalize(text: str) -> str:
    """Lower case, without ASCII punctuation and the articles a, an, the; white space made single.

    Source: the official SQuAD scripts, v1.1 and v2.0, `normalize_answer`.
    """
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def tokenize_13a(text: str) -> list[str]:
    """The tokens of mteval-v13a, as sacrebleu has them.

    The same expressions in the same order as sacrebleu 2.6.0, but for the first: it does not replace each space by
    three, which changes no token and takes most of the time.
    """
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in text:
        text = text.replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    text = _apart(_13A_SYMBOL.split(f" {text} "), 1, 2)
    if "." in text or "," in text:
        text = _apart(_13A_STOP_AFTER.split(text), 2, 3)
        text = _apart(_13A_STOP_BEFORE.split(text), 1, 3)
    if "-" in text:
        text = _apart(_13A_DASH.split(text), 2, 3)
    return text.split()


def _apart(parts: list[Any], first: int, step: int) -> str:
    """The text of a split by a pattern, with blanks around the groups at `first`, `first + step` and so on.

    As `sub` with a template, which in Python 3.11 is filled in by Python code for each match.
    """
    if len(parts) > 1:
        parts[first::step] = [f" {part} " for part in parts[first::step]]
    return "".join(parts)


def sentences(text: str) -> list[str]:
    """The sentences of a text: split at line ends, and after . ! ? … (before white space) and 。！？."""
    marked = _SENTENCE_END.sub(lambda end: f"{end.group(1) or end.group(2)}\n", text)
    return [part for part in marked.split("\n") if part]


class _Stems(dict[str, str]):
    """Stems by word; a look-up costs a third of what a cached call does."""

    def __missing__(self, word: str) -> str:
        if len(self) >= 200_000:
            self.clear()
        stem = self[word] = str(_stemmer().stem(word)) if len(word) > 3 and word.isascii() else word
        return stem


_STEMS = _Stems()


def porter_stems(words: Iterable[str]) -> list[str]:
    """The Porter stems (nltk) of ASCII words of more than 3 letters; other words as they are, as rouge-score does."""
    return list(map(_STEMS.__getitem__, words))


@cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


def code_points(text: str) -> NDArray[np.uint32]:
    """The text's code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


class _Numbers(dict[Hashable, int]):
    def __missing__(self, token: Hashable) -> int:
        number = self[token] = len(self)
        return number


class Vocabulary:
    """Numbers tokens 0, 1, … in the order in which they are first seen."""

    def __init__(self) -> None:
        self._numbers = _Numbers()

    def __call__(self, tokens: Iterable[Hashable]) -> NDArray[np.int64]:
        return np.array(list(map(self._numbers.__getitem__, tokens)), dtype=np.int64)


class TextCache:
    """Remembers what `function(text, *options)` returned, so that several metrics read a batch once.

    It is emptied when the remembered texts pass `budget` characters, which bounds its memory, and by `forget_texts`.
    """

    everywhere: ClassVar[list[TextCache]] = []

    def __init__(self, function: Callable[..., Any], *, budget: int = 8_000_000) -> None:
        self.everywhere.append(self)
        self._function = function
        self._budget = budget
        self._held = 0
        self._results: dict[tuple[Hashable, ...], Any] = {}

    def __call__(self, text: str, *options: Hashable) -> Any:
        key = (text, *options)
        found = self._results.get(key)
        if found is None:
            found = self._function(text, *options)
            if self._held > self._budget:
                self.clear()
            self._results[key] = found
            self._held += len(text)
        return found

    def clear(self) -> None:
        """Forget every text."""
        self._results.clear()
        self._held = 0


def forget_texts() -> None:
    """Empty all caches of texts: for who scores batch after batch, and never sees a text again."""
    for texts in TextCache.everywhere:
        texts.clear()


def multiset_overlap(first: Counter[str], second: Counter[str]) -> int:
    """How many items two multisets share."""
    return sum((first & second).values())

"""English short forms: "do not" and "don't", both ways."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import regex

from .base import chosen, require_rate
from .words import Span, is_protected, like, replace_spans, span_of

__all__ = ["Contractions"]

_NEGATIVE = {
    "are not": "aren't", "cannot": "can't", "could not": "couldn't", "did not": "didn't", "does not": "doesn't",
    "do not": "don't", "had not": "hadn't", "has not": "hasn't", "have not": "haven't", "is not": "isn't",
    "must not": "mustn't", "should not": "shouldn't", "was not": "wasn't", "were not": "weren't", "will not": "won't",
    "would not": "wouldn't",
}  # fmt: skip
_PRONOUNS = ("i", "you", "we", "they", "he", "she", "it", "that", "there", "who", "what", "here", "where")
_PLURAL = ("you", "we", "they")
_SINGULAR = ("he", "she", "it", "that", "there", "who", "what", "here", "where")
_POSITIVE = {
    "i am": "i'm",
    **{f"{word} are": f"{word}'re" for word in _PLURAL},
    **{f"{word} is": f"{word}'s" for word in _SINGULAR},
    **{f"{word} have": f"{word}'ve" for word in ("i", *_PLURAL)},
    **{f"{word} will": f"{word}'ll" for word in ("i", *_PLURAL, "he", "she", "it", "that")},
    "let us": "let's",
}
_SHORT = {**_NEGATIVE, **_POSITIVE}
_LONG = {short: long for long, short in _SHORT.items()} | {"can't": "cannot"}
# 's is "has" before one of these, and so stays as it is: which of the two is meant needs a parser.
_UNSURE = regex.compile(r"(?i)\s+(?:been|got|had|done|gone|become|made|seen|taken|\p{L}+ed)\b")
# "I do not know who he is." has no short form at its end; nor has a question's "is it not".
_FOLLOWED = regex.compile(r"\s+[\p{L}\p{N}]")
_LONG_FORMS = regex.compile(
    r"(?i)(?<![\p{L}'’])(?:" + "|".join(map(regex.escape, sorted(_SHORT, key=len, reverse=True))) + r")(?![\p{L}'’])"
)
_SHORT_FORMS = regex.compile(
    r"(?i)(?<![\p{L}'’])(?:"
    + "|".join(regex.escape(form).replace("'", "['’]") for form in sorted(_LONG, key=len, reverse=True))
    + r")(?![\p{L}'’])"
)


@dataclass(frozen=True, kw_only=True)
class Contractions:
    """English short forms written out, or long forms shortened; other languages have nothing to rewrite.

    Forms that could stand for two ("he'd", "it's been", "John's") are left as they are.

    Options:
        how: expand (don't → do not), contract (do not → don't), or either, whichever the text has.
        rate: share of the forms that are changed (at least one).
    """

    how: Literal["expand", "contract", "either"] = "either"
    rate: float = 1.0

    name: ClassVar[str] = "contractions"
    main: ClassVar[str] = "how"
    keeps_meaning: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_rate(self.rate)

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        found: list[Span] = []
        if self.how in ("expand", "either"):
            found = list(_expanded(text))
        if self.how == "contract" or (self.how == "either" and not found):
            found = list(_contracted(text))
        made = chosen(found, self.rate, rng)
        return replace_spans(text, made) if made else None


def _expanded(text: str) -> Iterator[Span]:
    for found in _SHORT_FORMS.finditer(text):
        short = found.group().replace("’", "'").lower()
        if is_protected(text, *found.span()) or (short.endswith("'s") and _UNSURE.match(text, found.end())):
            continue
        if _asks(text, found.start(), found.end()) and short in _NEGATIVE.values():
            continue  # "Isn't it good?" is no "Is not it good?"
        yield span_of(found, _cased(found.group(), _LONG[short]))


def _contracted(text: str) -> Iterator[Span]:
    apostrophe = "’" if "’" in text else "'"
    for found in _LONG_FORMS.finditer(text):
        long = found.group().lower()
        if is_protected(text, *found.span()):
            continue
        # A pronoun and its verb are shortened only where something follows: "Yes, I am." stays, so does "what it is".
        if long in _POSITIVE and not _FOLLOWED.match(text, found.end()):
            continue
        yield span_of(found, _cased(found.group(), _SHORT[long]).replace("'", apostrophe))


def _cased(pattern: str, form: str) -> str:
    # "I" alone is a capital in any case: "I am" is no FULL text.
    letters = [c for c in pattern if c.isalpha()]
    if form.split("'")[0].split(" ")[0] == "i":
        rest = form[1:]
        return "I" + (rest.upper() if all(c.isupper() for c in letters) else rest)
    return like(pattern, form)


def _asks(text: str, start: int, end: int) -> bool:
    """Whether a verb at `start` opens a question, its subject following."""
    before = text[:start].rstrip()
    opens = (
        not before or before[-1] in '.!?…\n"“”,;:' or regex.search(r"(?i)\b(?:why|how|who|what|when|where)$", before)
    )
    return bool(opens and regex.match(r"\s+(?:I|you|we|they|he|she|it|this|that|there|the|a|an)\b", text, pos=end))

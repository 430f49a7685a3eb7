"""Which words set two windows of texts apart, and which texts are typical of each."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.words import words
from ..stats.log_odds import log_odds

__all__ = ["MovedTerm", "TextDiagnosis", "diagnose_texts"]

_LEAST_Z = 3.0
_MOST = 20_000
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class MovedTerm:
    """A word that texts hold more (z above 0) or less often than before; shares are of the texts that hold it."""

    term: str
    z: float
    share_reference: float
    share_current: float


@dataclass(frozen=True, slots=True)
class TextDiagnosis:
    """The words that moved most, more often ones first, and typical texts of each side with the words that say so."""

    terms: tuple[MovedTerm, ...]
    reference_examples: tuple[tuple[str, str], ...]
    current_examples: tuple[tuple[str, str], ...]
    n_read: tuple[int, int]


def diagnose_texts(
    reference: Sequence[str | None], current: Sequence[str | None], *, n_terms: int = 12, n_examples: int = 3
) -> TextDiagnosis:
    """What sets the texts of `current` apart from those of `reference`.

    A text counts once for each word that it holds, so that one long text weighs no more than others. Of long windows
    20,000 evenly spaced texts a side are read, and of each text its first 4,000 characters.
    """
    sides = [_terms_of(texts) for texts in (reference, current)]
    counts = [Counter(term for _, terms in side for term in terms) for side in sides]
    both = sorted(term for term in counts[0].keys() | counts[1].keys() if counts[0][term] + counts[1][term] > 1)
    sizes = len(sides[0]), len(sides[1])
    if not both or not all(sizes):
        return TextDiagnosis((), (), (), sizes)
    first, second = (np.array([count[term] for term in both], dtype=np.float64) for count in counts)
    z = log_odds(first, second)
    order = np.argsort(-z, kind="stable")
    more = [int(i) for i in order[:n_terms] if z[i] >= _LEAST_Z]
    less = [int(i) for i in order[::-1][:n_terms] if z[i] <= -_LEAST_Z]
    told = tuple(
        MovedTerm(both[i], float(z[i]), float(first[i]) / sizes[0], float(second[i]) / sizes[1]) for i in more + less
    )
    weights = {both[i]: float(z[i]) for i in np.flatnonzero(np.abs(z) >= _LEAST_Z)}
    examples = [_typical(side, weights, sign, n_examples) for side, sign in zip(sides, (-1.0, 1.0), strict=True)]
    return TextDiagnosis(told, examples[0], examples[1], sizes)


def _terms_of(texts: Sequence[str | None]) -> list[tuple[str, frozenset[str]]]:
    step = max(1, -(-len(texts) // _MOST))
    found = []
    for text in texts[::step]:
        if text:
            head = text[:_LONGEST]
            spans = (head[start:end].casefold() for start, end in words(head))
            found.append((text, frozenset(term for term in spans if any(map(str.isalnum, term)))))
    return found


def _typical(
    side: Sequence[tuple[str, frozenset[str]]], weights: dict[str, float], sign: float, n: int
) -> tuple[tuple[str, str], ...]:
    """The texts whose words speak most for their side, a word's weight shared by all words of the text."""
    scored = []
    for place, (text, terms) in enumerate(side):
        score = sign * sum(weights.get(term, 0.0) for term in terms) / (len(terms) + 5) ** 0.5
        if score > 0:
            scored.append((score, -place, text, terms))
    found: list[tuple[str, str]] = []
    seen: set[str] = set()
    for _, _, text, terms in heapq.nlargest(4 * n, scored, key=lambda one: one[:2]):
        if text not in seen and len(found) < n:
            seen.add(text)
            spoken = sorted((t for t in terms if sign * weights.get(t, 0.0) > 0), key=lambda t: -sign * weights[t])
            found.append((text, ", ".join(spoken[:5])))
    return tuple(found)

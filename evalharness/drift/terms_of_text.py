"""The terms of a text, as states and pictures count them: each word once a text."""

from __future__ import annotations

from ..core.words import words

__all__ = ["document_terms"]

_LONGEST = 4_000


def document_terms(text: str) -> frozenset[str]:
    """The words of the first 4,000 characters in small letters, without marks and emoji."""
    head = text[:_LONGEST]
    found = (head[start:end].casefold() for start, end in words(head))
    return frozenset(term for term in found if any(map(str.isalnum, term)))

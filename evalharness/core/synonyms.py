"""Words that may stand for one another, from a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .errors import DataError, Place, Problem, UsageError

__all__ = ["read_synonym_file", "substitutes_in"]

# Letters, with accents that stand on their own; the second kind joins what apostrophes and hyphens hold together.
_WORDS = (re.compile(r"[\w\u0300-\u036f]+"), re.compile(r"[\w\u0300-\u036f'’\-]+"))


def read_synonym_file(path: Path) -> dict[str, tuple[str, ...]]:
    """The substitutes of each word that a UTF-8 text file gives, in lower case.

    A line lists words that may stand for one another, by commas. A word may be in several lines; what follows # is a
    comment.

    Raises:
        UsageError: the file cannot be read.
        DataError: a line has one word only.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"the file of synonyms {path} cannot be read: {reason}") from error
    groups: dict[str, dict[str, None]] = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        listed = [word.strip().lower() for word in line.partition("#")[0].split(",")]
        listed = [word for word in listed if word]
        if len(listed) == 1:
            message = f"{listed[0]!r} stands alone; a line lists two or more words, by commas: film, movie, picture"
            problems.append(Problem(Place(str(path), number), "synonyms", message))
        for word in listed:
            groups.setdefault(word, {}).update(dict.fromkeys(other for other in listed if other != word))
    if problems:
        raise DataError(problems)
    return {word: tuple(others) for word, others in groups.items()}


def substitutes_in(text: str, groups: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Those of `groups` that are about words of `text`, by the word."""
    low = text.lower()
    found = {word.strip("'’-") for pattern in _WORDS for word in pattern.findall(low)}
    return {word: groups[word] for word in sorted(found) if word in groups}

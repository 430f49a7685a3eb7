"""Where substitutes of words come from: a file of synonyms, or the nearest words by an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from evalharness.core.synonyms import read_synonym_file
from evalharness.stats.arrays import Floats, np

from .search import Candidates

__all__ = ["embedding_neighbours", "read_synonyms"]


def read_synonyms(path: Path) -> Candidates:
    """The substitutes that a UTF-8 text file gives: a line lists words that may stand for one another, by commas.

    A word may be in several lines; what follows # is a comment.

    Raises:
        UsageError: the file cannot be read.
        DataError: a line has one word only.
    """
    groups = read_synonym_file(path)
    return lambda word: groups.get(word, ())


def embedding_neighbours(
    vocabulary: Iterable[str],
    embed: Callable[[Sequence[str]], Floats],
    *,
    n: int = 20,
    least: float = 0.6,
) -> Candidates:
    """The `n` words of `vocabulary` nearest to a word by the cosine of their embeddings, those of at least `least`.

    `embed` gives (m, d) vectors. Neighbours by an encoder are used in like places, which antonyms are, too: give the
    attack a constraint of similarity, or read what it found.
    """
    known = list(dict.fromkeys(word.lower() for word in vocabulary if word.strip()))
    vectors = _unit(embed(known)) if known else np.zeros((0, 1))
    found: dict[str, tuple[str, ...]] = {}

    def nearest(word: str) -> tuple[str, ...]:
        if word not in found:
            cosine = vectors @ _unit(embed([word]))[0] if known else np.zeros(0)
            order = np.argsort(-cosine, kind="stable")[: n + 1].tolist()
            found[word] = tuple(known[i] for i in order if known[i] != word and cosine[i] >= least)[:n]
        return found[word]

    return nearest


def _unit(vectors: Floats) -> Floats:
    vectors = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit

"""The encoder beside an attack: how near in meaning changed texts are, and which words are nearest to one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.core.canonical import canonical_json
from evalharness.core.errors import UsageError
from evalharness.probes.attack.search import Candidates
from evalharness.probes.attack.synonyms import embedding_neighbours
from evalharness.stats.arrays import Floats, np
from evalharness.suite.attacked import bound_encoder, encoder_identity
from evalharness.suite.schema import AttackTask, Suite

__all__ = ["AttackEncoder", "encoder_name", "encoders_of", "words_of_vocabulary"]

_SHORTEST = 3
_LEAST_NEAR = 0.6


def encoder_name(identity: Mapping[str, Any]) -> str:
    """What an encoder goes by in a run: its digest and how it is read, as its requests have them."""
    return canonical_json(dict(identity))


def encoders_of(suite: Suite, base: Path) -> dict[str, AttackEncoder]:
    """The encoders of the suite's attacks by `encoder_name`; their weights are loaded with the first texts.

    Raises:
        UsageError: an encoder is not on this machine.
        MissingExtraError: torch or transformers is not installed.
    """
    found: dict[str, AttackEncoder] = {}
    for task in suite.tasks:
        if isinstance(task, AttackTask) and task.encoder is not None:
            bound = bound_encoder(task, base)
            found.setdefault(encoder_name(encoder_identity(bound)), AttackEncoder(bound))
    return found


class AttackEncoder:
    """An encoder that attacks ask; several at a time, from threads of their own.

    `metric` is a `semantic_similarity` that has been bound to its checkpoint.
    """

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        # Fast tokenizers refuse two threads at once.
        self._lock = threading.Lock()
        self._neighbours: dict[int, Candidates] = {}

    def similarity(self, text: str, others: Sequence[str]) -> Floats:
        """(m,) the cosine of each of `others` with `text`."""
        vectors = self._vectors([text, *others])
        found: Floats = np.clip(vectors[1:] @ vectors[0], -1.0, 1.0)
        return found

    def neighbours(self, n: int) -> Candidates:
        """The `n` words of the encoder's own vocabulary nearest to a word, those with a cosine of at least 0.6.

        Raises:
            UsageError: the vocabulary has no words, but only letters, bytes or parts of words.
        """
        with self._lock:
            if n not in self._neighbours:
                network = self._metric.network()
                words = words_of_vocabulary(network.tokenizer.get_vocab())
                if not words:
                    raise UsageError(
                        f"the encoder {network.shown!r} has no whole words in its vocabulary, so it has no nearest "
                        "ones; leave `neighbours` out and give a file of `synonyms`"
                    )
                near = embedding_neighbours(words, self._metric.vectors, n=n, least=_LEAST_NEAR)
                self._neighbours[n] = near
            found = self._neighbours[n]

        def nearest(word: str) -> Sequence[str]:
            with self._lock:
                return found(word)

        return nearest

    def _vectors(self, texts: Sequence[str]) -> Floats:
        with self._lock:
            found: Floats = self._metric.vectors(texts)
        return found


def words_of_vocabulary(tokens: Iterable[str]) -> list[str]:
    """The whole words of three letters or more, in lower case, among the tokens of a tokenizer, sorted.

    WordPiece marks what is not the beginning of a word (`##ing`), byte-level BPE and SentencePiece mark what is
    (`Ġthe`, `▁the`). None marks the end of a word, so that beginnings that are no words of their own are among them.
    """
    tokens = list(tokens)
    for mark in ("Ġ", "▁"):
        begun = [token[1:] for token in tokens if token.startswith(mark)]
        if begun:
            tokens = begun
            break
    return sorted({t for t in tokens if len(t) >= _SHORTEST and t.isalpha() and t == t.lower()})

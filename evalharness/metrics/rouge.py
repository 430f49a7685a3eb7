"""ROUGE-1, -2, -3, -N, -L and -Lsum as the package rouge-score computes them, for any script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal

from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import NDArray, np
from evalharness.stats.lcs import lcs_length, lcs_union
from evalharness.stats.ngrams import matched_ngrams

from .base import MeanMetric, answer_text, golds, require
from .bleu import ngram_totals
from .text import TextCache, Vocabulary, ascii_words, porter_stems, sentences, unicode_words

__all__ = ["Rouge1", "Rouge2", "Rouge3", "RougeL", "RougeLsum", "RougeN"]

Pairs = Sequence[tuple[str, str]]
Counts = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def _tokenize(text: str, tokenizer: str, stemmer: bool) -> tuple[str, ...]:
    words = ascii_words(text) if tokenizer == "ascii" else unicode_words(text)
    return tuple(porter_stems(words) if stemmer else words)


_tokens = TextCache(_tokenize)


class _Rouge(MeanMetric):
    """Mean over samples of the F1, precision or recall of a reference, the one with the best F1 counting."""

    __slots__ = ()

    measure: str
    stemmer: bool
    tokenizer: str

    agrees_with = "rouge-score"

    def counts(self, pairs: Pairs) -> Counts:
        """(shared units, units of the answer, units of the reference), each (pairs,)."""
        raise NotImplementedError

    def tokens(self, text: str) -> tuple[str, ...]:
        """The words of a text."""
        found: tuple[str, ...] = _tokens(text, self.tokenizer, self.stemmer)
        return found

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        owners = [i for i, sample in enumerate(samples) for _ in golds(sample)]
        pairs = [(answer_text(responses[i]), gold) for i, s in enumerate(samples) for gold in golds(s)]
        result: list[float | None] = [None] * len(samples)
        if not pairs:
            return result
        shared, in_answer, in_reference = self.counts(pairs)
        precision = shared / np.maximum(in_answer, 1)
        recall = shared / np.maximum(in_reference, 1)
        found = precision + recall > 0
        f1 = np.where(found, 2 * precision * recall / np.where(found, precision + recall, 1.0), 0.0)
        chosen = {"f1": f1, "precision": precision, "recall": recall}[self.measure]
        best: dict[int, float] = {}
        for owner, score, value in zip(owners, f1.tolist(), chosen.tolist(), strict=True):
            # The first of equally good references, as rouge-score's argmax has it.
            if owner not in best or score > best[owner]:
                best[owner] = score
                result[owner] = value
        return result


class _RougeN(_Rouge):
    __slots__ = ()

    order: ClassVar[int] = 1

    def counts(self, pairs: Pairs) -> Counts:
        number = Vocabulary()
        answers = [number(self.tokens(answer)) for answer, _ in pairs]
        references = [number(self.tokens(gold)) for _, gold in pairs]
        shared = matched_ngrams(answers, [[r] for r in references], min_order=self.order, max_order=self.order)
        totals = [ngram_totals([len(t) for t in texts], self.order)[:, -1] for texts in (answers, references)]
        return shared[:, 0], totals[0], totals[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rouge1(_RougeN):
    """Mean ROUGE-1, 0–1: the words that answer and reference share.

        P = shared/|answer|,  R = shared/|reference|,  F1 = 2PR/(P+R)

    over multisets of words; the reference with the best F1 counts.

    Options:
        measure: f1, precision or recall.
        stemmer: compare Porter stems of English words longer than 3 letters.
        tokenizer: ascii reads only a-z and 0-9 and gives 0 to Chinese, Russian, Arabic …; unicode reads the words of
            any script, and single characters where a script writes no spaces; auto is ascii for ASCII text, on which
            the two agree, and unicode for all other.

    Source: Lin 2004 (W04-1013); on ASCII text equal, to the last bit, to rouge-score `RougeScorer.score_multi`.
    """

    measure: Literal["f1", "precision", "recall"] = "f1"
    stemmer: bool = False
    tokenizer: Literal["auto", "ascii", "unicode"] = "auto"

    name = "rouge1"
    order: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rouge2(_RougeN):
    """Mean ROUGE-2, 0–1: the pairs of neighbouring words that answer and reference share.

        P = shared/|answer pairs|,  R = shared/|reference pairs|,  F1 = 2PR/(P+R)

    over multisets of pairs; the reference with the best F1 counts. A text of one word has no pairs and scores 0.

    Options:
        measure: f1, precision or recall.
        stemmer: compare Porter stems of English words longer than 3 letters.
        tokenizer: ascii, unicode or auto, as for rouge1.

    Source: Lin 2004 (W04-1013); on ASCII text equal, to the last bit, to rouge-score `RougeScorer.score_multi`.
    """

    measure: Literal["f1", "precision", "recall"] = "f1"
    stemmer: bool = False
    tokenizer: Literal["auto", "ascii", "unicode"] = "auto"

    name = "rouge2"
    order: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rouge3(_RougeN):
    """Mean ROUGE-3, 0–1: the runs of three words that answer and reference share.

        P = shared/|answer triples|,  R = shared/|reference triples|,  F1 = 2PR/(P+R)

    over multisets of triples; the reference with the best F1 counts. A text of two words has no triples and scores 0.

    Options:
        measure: f1, precision or recall.
        stemmer: compare Porter stems of English words longer than 3 letters.
        tokenizer: ascii, unicode or auto, as for rouge1.

    Source: Lin 2004 (W04-1013); on ASCII text equal, to the last bit, to rouge-score `RougeScorer.score_multi`.
    """

    measure: Literal["f1", "precision", "recall"] = "f1"
    stemmer: bool = False
    tokenizer: Literal["auto", "ascii", "unicode"] = "auto"

    name = "rouge3"
    order: ClassVar[int] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RougeN(_RougeN):
    """Mean ROUGE-N, 0–1: the runs of n words that answer and reference share.

        P = shared/|answer runs|,  R = shared/|reference runs|,  F1 = 2PR/(P+R)

    over multisets of runs; the reference with the best F1 counts. A text shorter than n words has no runs and scores
    0. Name the figure for what it is: `{rougeN: {n: 4, as: rouge4}}`.

    Options:
        n: how many words a run has.
        measure: f1, precision or recall.
        stemmer: compare Porter stems of English words longer than 3 letters.
        tokenizer: ascii, unicode or auto, as for rouge1.

    Source: Lin 2004 (W04-1013); on ASCII text equal, to the last bit, to rouge-score `RougeScorer.score_multi`.
    """

    n: int = 4
    measure: Literal["f1", "precision", "recall"] = "f1"
    stemmer: bool = False
    tokenizer: Literal["auto", "ascii", "unicode"] = "auto"

    name = "rougeN"

    def __post_init__(self) -> None:
        require(1 <= self.n <= 9, f"n must be 1 to 9; got {self.n}")

    @property
    def order(self) -> int:  # type: ignore[override]
        """How many words a run has."""
        return self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class RougeL(_Rouge):
    """Mean ROUGE-L, 0–1: the longest common subsequence of words of answer and reference.

        P = LCS/|answer|,  R = LCS/|reference|,  F1 = 2PR/(P+R)

    Line ends mean nothing here; the reference with the best F1 counts.

    Options:
        measure: f1, precision or recall.
        stemmer: compare Porter stems of English words longer than 3 letters.
        tokenizer: ascii, unicode or auto, as for rouge1.

    Source: Lin 2004 (W04-1013); on ASCII text equal, to the last bit, to rouge-score `RougeScorer.score_multi`.
    """

    measure: Literal["f1", "precision", "recall"] = "f1"
    stemmer: bool = False
    tokenizer: Literal["auto", "ascii", "unicode"] = "auto"

    name = "rougeL"

    def counts(self, pairs: Pairs) -> Counts:
        texts = [(self.tokens(answer), self.tokens(gold)) for answer, gold in pairs]
        shared = np.array([lcs_length(gold, answer) for answer, gold in texts], dtype=np.int64)
        return shared, np.array([len(a) for a, _ in texts]), np.array([len(g) for _, g in texts])


@dataclass(frozen=True, slots=True, kw_only=True)
class RougeLsum(_Rouge):
    """Mean ROUGE-Lsum, 0–1: for each reference sentence, the union of its LCS with every sentence of the answer.

        P = hits/|answer|,  R = hits/|reference|,  F1 = 2PR/(P+R)

    where a word counts as a hit no more often than it stands in either text. The reference with the best F1 counts.

    Options:
        measure: f1, precision or recall.
        stemmer: compare Porter stems of English words longer than 3 letters.
        tokenizer: ascii, unicode or auto, as for rouge1.
        split: lines takes each line for a sentence, as rouge-score does; sentences also splits after . ! ? … and 。.

    Source: Lin 2004 (W04-1013), section 3.2; on ASCII text and with split: lines equal, to the last bit, to
    rouge-score `RougeScorer.score_multi`.
    """

    measure: Literal["f1", "precision", "recall"] = "f1"
    stemmer: bool = False
    tokenizer: Literal["auto", "ascii", "unicode"] = "auto"
    split: Literal["lines", "sentences"] = "lines"

    name = "rougeLsum"

    def counts(self, pairs: Pairs) -> Counts:
        rows = [self._hits(self._sentences(answer), self._sentences(gold)) for answer, gold in pairs]
        shared, in_answer, in_reference = np.array(rows, dtype=np.int64).T
        return shared, in_answer, in_reference

    def _sentences(self, text: str) -> list[tuple[str, ...]]:
        parts = text.split("\n") if self.split == "lines" else sentences(text)
        return [self.tokens(part) for part in parts if part]

    def _hits(self, answer: list[tuple[str, ...]], reference: list[tuple[str, ...]]) -> tuple[int, int, int]:
        # Of the reference no word can count too often: its hits are places in it.
        left = Counter(chain.from_iterable(answer))
        totals = left.total(), sum(map(len, reference))
        hits = 0
        for sentence in reference:
            for word in [sentence[i] for i in lcs_union(sentence, answer)]:
                if left[word] > 0:
                    hits += 1
                    left[word] -= 1
        return hits, *totals

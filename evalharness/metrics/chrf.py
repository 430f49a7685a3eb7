"""Character n-gram F-score, chrF and chrF++, as sacrebleu computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import NDArray, np
from evalharness.stats.ngrams import matched_ngrams

from .base import BOOTSTRAP, BaseMetric, answer_as_it_came, answer_text, check_batch, golds, package_version, require
from .bleu import ngram_totals
from .text import Vocabulary, code_points

__all__ = ["Chrf", "ChrfPlusPlus"]

_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_EPSILON = 1e-16
Ids = NDArray[Any]


def _split_punctuation(text: str) -> list[str]:
    """Words with one punctuation mark cut off, the last one first, as chrF++ does."""
    words: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Chrf(BaseMetric):
    """Corpus chrF, 0–100: the F-score of character n-grams, with recall weighing beta times as much as precision.

        chrF_β = 100 · (1 + β²)·P·R / (β²·P + R)

    with P and R the means over the n-gram orders that both sides have. Of several references the one with the best
    score of its own counts.

    Options:
        char_order: the longest character n-gram.
        word_order: the longest word n-gram; 0 is chrF, 2 is chrF++ (the metric chrf++).
        beta: the weight of recall.
        lowercase: ignore case.
        whitespace: count white space as characters.
        eps_smoothing: average the F-scores of all orders, as chrF++.py, nltk and Moses do.

    Source: Popović 2015 (W15-3049) and 2017 (W17-4770); equal to sacrebleu `corpus_chrf` to 1e-8.
    """

    char_order: int = 6
    word_order: int = 0
    beta: int = 2
    lowercase: bool = False
    whitespace: bool = False
    eps_smoothing: bool = False

    name = "chrf"
    bounds = (0.0, 100.0)
    interval = BOOTSTRAP
    agrees_with = "sacrebleu"

    def __post_init__(self) -> None:
        require(1 <= self.char_order <= 20, f"char_order must be 1 to 20; got {self.char_order}")
        require(0 <= self.word_order <= 9, f"word_order must be 0 to 9; got {self.word_order}")
        require(1 <= self.beta <= 100, f"beta must be 1 to 100; got {self.beta}")

    @property
    def signature(self) -> str:
        """In sacrebleu's form."""
        parts = [
            f"chrF{self.beta}{'+' * self.word_order}",
            "nrefs:var",
            f"case:{'lc' if self.lowercase else 'mixed'}",
            f"eff:{'no' if self.eps_smoothing else 'yes'}",
            f"nc:{self.char_order}",
            f"nw:{self.word_order}",
            f"space:{'yes' if self.whitespace else 'no'}",
            f"version:{package_version('sacrebleu')}",
        ]
        return "|".join(parts)

    @property
    def columns(self) -> tuple[str, ...]:
        orders = [f"char_{n + 1}" for n in range(self.char_order)] + [f"word_{n + 1}" for n in range(self.word_order)]
        return ("n", *(f"{part}_{order}" for order in orders for part in ("answer", "reference", "matches")))

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), len(self.columns)))
        pairs = [(i, gold) for i, sample in enumerate(samples) for gold in golds(sample)]
        if not pairs:
            return stats
        owners = np.array([i for i, _ in pairs])
        read = answer_as_it_came if self.whitespace else answer_text
        per_pair = self._pair_stats([read(responses[i]) for i, _ in pairs], [gold for _, gold in pairs])
        scores = self._f_score(per_pair)
        # The first of the best references of each sample: a stable sort by sample, then by falling score.
        order = np.lexsort((-scores, owners))
        best = order[np.unique(owners[order], return_index=True)[1]]
        stats[owners[best], 0] = 1.0
        stats[owners[best], 1:] = per_pair[best]
        return stats

    def _pair_stats(self, answers: list[str], references: list[str]) -> Array:
        """(pairs, 3·orders): n-grams of the answer, of the reference, and matches, order by order."""
        if self.lowercase:
            answers, references = [t.lower() for t in answers], [t.lower() for t in references]
        parts = [self._counts([self._chars(t) for t in answers], [self._chars(t) for t in references], self.char_order)]
        if self.word_order:
            number = Vocabulary()
            words = [[number(_split_punctuation(t)) for t in texts] for texts in (answers, references)]
            parts.append(self._counts(words[0], words[1], self.word_order))
        return np.concatenate(parts, axis=1)

    def _chars(self, text: str) -> NDArray[np.uint32]:
        return code_points(text if self.whitespace else "".join(text.split()))

    def _counts(self, answers: Sequence[Ids], references: Sequence[Ids], max_order: int) -> Array:
        matches = matched_ngrams(answers, [[r] for r in references], max_order=max_order)
        in_answer = ngram_totals([len(a) for a in answers], max_order)
        in_reference = ngram_totals([len(r) for r in references], max_order)
        # An order that the reference is too short for is not held against the answer.
        in_answer = np.where(in_reference > 0, in_answer, 0.0)
        return np.stack([in_answer, in_reference, matches], axis=2).reshape(len(answers), 3 * max_order)

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        return np.where(totals[..., 0] > 0, self._f_score(totals[..., 1:]), np.nan)

    def _f_score(self, counts: Array) -> Array:
        """The score (...) of counts (..., 3·orders): sacrebleu's operations in its order, so that ties fall alike."""
        factor = float(self.beta**2)
        shape = counts.shape[:-1]
        score, precisions, recalls, used = (np.zeros(shape) for _ in range(4))
        for i in range(self.char_order + self.word_order):
            answer, reference, matches = (counts[..., 3 * i + j] for j in range(3))
            precision = np.where(answer > 0, matches / np.where(answer > 0, answer, 1.0), _EPSILON)
            recall = np.where(reference > 0, matches / np.where(reference > 0, reference, 1.0), _EPSILON)
            below = factor * precision + recall
            safe = np.where(below > 0, below, 1.0)
            score += np.where(below > 0, (1 + factor) * precision * recall / safe, _EPSILON)
            both = (answer > 0) & (reference > 0)
            precisions += np.where(both, precision, 0.0)
            recalls += np.where(both, recall, 0.0)
            used += both
        if self.eps_smoothing:
            return np.minimum(100 * score / (self.char_order + self.word_order), 100.0)
        some = np.where(used > 0, used, 1.0)
        precision, recall = precisions / some, recalls / some
        found = precision + recall > 0
        below = np.where(found, factor * precision + recall, 1.0)
        return np.where(found, np.minimum(100 * ((1 + factor) * precision * recall / below), 100.0), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChrfPlusPlus(Chrf):
    """Corpus chrF++, 0–100: chrF with single words and pairs of words counted beside the characters.

        chrF++_β = 100 · (1 + β²)·P·R / (β²·P + R)

    with P and R the means over 6 character and 2 word orders, of those that both sides have. It is chrf with
    `word_order: 2`, and the two figures differ: say which one you report.

    Options:
        char_order: the longest character n-gram.
        word_order: the longest word n-gram.
        beta: the weight of recall.
        lowercase: ignore case.
        whitespace: count white space as characters.
        eps_smoothing: average the F-scores of all orders, as chrF++.py, nltk and Moses do.

    Source: Popović 2017 (W17-4770); equal to sacrebleu `corpus_chrf(word_order=2)` to 1e-8.
    """

    word_order: int = 2

    name = "chrf++"

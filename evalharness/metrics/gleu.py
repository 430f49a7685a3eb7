"""Google's BLEU for single sentences, as nltk computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import Ints, np
from evalharness.stats.ngrams import matched_ngrams

from .base import BOOTSTRAP, BaseMetric, answer_text, check_batch, golds, require
from .bleu import ngram_totals
from .text import Vocabulary, tokenize_13a, unicode_words

__all__ = ["Gleu"]

_WORDS: dict[str, Callable[[str], list[str]]] = {"whitespace": str.split, "unicode": unicode_words, "13a": tokenize_13a}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gleu(BaseMetric):
    """Corpus GLEU, 0–1: matching n-grams of all orders over those of the longer text.

        GLEU = Σ_i matches_i / Σ_i max(n-grams of answer_i, n-grams of reference_i)

    which for one sample is the lower of precision and recall. Of several references the one with the best figure of
    its own counts. It is made for single sentences, where BLEU is 0 without a matching 4-gram. "GLEU" is also the name
    of another metric, for grammar correction (Napoles et al. 2015): this is not that one.

    Options:
        min_order: the shortest n-gram.
        max_order: the longest n-gram.
        words: whitespace splits at white space; unicode takes runs of letters and digits in lower case, and single
            characters of scripts without spaces; 13a are sacrebleu's tokens.

    Source: Wu et al. 2016 (arXiv:1609.08144), section 5.2; equal to nltk `corpus_gleu` of the same tokens to 1e-12.
    """

    min_order: int = 1
    max_order: int = 4
    words: Literal["whitespace", "unicode", "13a"] = "whitespace"

    name = "gleu"
    interval = BOOTSTRAP
    agrees_with = "nltk"

    def __post_init__(self) -> None:
        require(
            1 <= self.min_order <= self.max_order <= 9,
            f"orders must be 1 <= min_order <= max_order <= 9; got {self.min_order} and {self.max_order}",
        )

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "matches", "ngrams")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), 3))
        number = Vocabulary()
        words = _WORDS[self.words]
        owners = [i for i, sample in enumerate(samples) for _ in golds(sample)]
        if not owners:
            return stats
        answers = [number(words(answer_text(responses[i]))) for i in owners]
        references = [number(words(gold)) for sample in samples for gold in golds(sample)]
        matches = matched_ngrams(
            answers, [[gold] for gold in references], min_order=self.min_order, max_order=self.max_order
        ).sum(axis=1)
        longer = np.maximum(self._ngrams(answers), self._ngrams(references))
        best: dict[int, float] = {}
        for owner, shared, ngrams in zip(owners, matches.tolist(), longer.tolist(), strict=True):
            value = shared / ngrams if ngrams else -1.0
            # The first of equally good references, as nltk's max has it.
            if owner not in best or value > best[owner]:
                best[owner] = value
                stats[owner] = (1.0, shared, ngrams)
        return stats

    def _ngrams(self, texts: Sequence[Ints]) -> Array:
        counts: Array = ngram_totals([len(text) for text in texts], self.max_order)[:, self.min_order - 1 :].sum(axis=1)
        return counts

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        n, matches, ngrams = (totals[..., i] for i in range(3))
        return np.where(n > 0, matches / np.where(ngrams > 0, ngrams, 1.0), np.nan)

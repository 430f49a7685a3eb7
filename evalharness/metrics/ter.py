"""Translation edit rate as sacrebleu computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np
from evalharness.stats.ter import translation_edits

from .base import BOOTSTRAP, BaseMetric, answer_text, check_batch, golds, nothing_read, package_version

__all__ = ["Ter"]


@cache
def _tokenizer(*options: bool) -> Callable[[str], str]:
    from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

    normalized, no_punct, asian_support, case_sensitive = options
    made: Any = TercomTokenizer(
        normalized=normalized, no_punct=no_punct, asian_support=asian_support, case_sensitive=case_sensitive
    )
    tokenize: Callable[[str], str] = made
    return tokenize


@dataclass(frozen=True, slots=True, kw_only=True)
class Ter(BaseMetric):
    """Corpus TER, 0–∞: word edits and shifts of blocks that turn the answers into references, per 100 reference words.

        TER = 100 · Σ_i min_r edits(answer_i, reference_ir) / Σ_i mean_r |reference_ir|

    where inserting, deleting or replacing a word and moving a block of words each count one edit. Lower is better, and
    a long answer may have more than 100. The edits are those to the nearest reference, the length is the mean of all.

    Words are what stands between white space, in lower case: a Chinese or Japanese sentence is one word, and TER then
    says little more than whether it is equal. Give `normalized` and `asian_support` for those.

    Options:
        normalized: tokenise punctuation, and characters as Tercom does, before counting.
        no_punct: leave punctuation out.
        asian_support: with normalized, Chinese and Japanese characters are words; with no_punct, their marks go, too.
        case_sensitive: tell upper from lower case.

    Source: Snover et al. 2006 (2006.amta-papers.25); equal to sacrebleu `corpus_ter` with the same options to 1e-9. A
    failed call that counts as wrong, and an answer that could not be read, lacks all words of its longest reference,
    one at least.
    """

    normalized: bool = False
    no_punct: bool = False
    asian_support: bool = False
    case_sensitive: bool = False

    name = "ter"
    higher_is_better = False
    bounds = (0.0, math.inf)
    interval = BOOTSTRAP
    agrees_with = "sacrebleu"

    @property
    def signature(self) -> str:
        """In sacrebleu's form."""
        words = {True: "yes", False: "no"}
        parts = [
            "ter",
            "nrefs:var",
            f"case:{'mixed' if self.case_sensitive else 'lc'}",
            "tok:tercom",
            f"norm:{words[self.normalized]}",
            f"punct:{words[not self.no_punct]}",
            f"asian:{words[self.asian_support]}",
            f"version:{package_version('sacrebleu')}",
        ]
        return "|".join(parts)

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "edits", "reference_length")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), 3))
        for row, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            references = [self._words(gold) for gold in golds(sample)]
            if not references:
                continue
            lengths = [len(words) for words in references]
            if nothing_read(response):
                edits = max(1, max(lengths))
            else:
                answer = self._words(answer_text(response))
                edits = min(translation_edits(answer, words) for words in references)
            stats[row] = (1.0, edits, sum(lengths) / len(lengths))
        return stats

    def _words(self, text: str) -> list[str]:
        if not (self.normalized or self.no_punct):  # all that the tokenizer would do then
            return (text if self.case_sensitive else text.lower()).split()
        options = (self.normalized, self.no_punct, self.asian_support, self.case_sensitive)
        return _tokenizer(*options)(text.rstrip()).split()

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        n, edits, length = (totals[..., i] for i in range(3))
        rate = np.where(length > 0, edits / np.where(length > 0, length, 1.0), (edits > 0) * 1.0)
        return np.where(n > 0, 100.0 * rate, np.nan)

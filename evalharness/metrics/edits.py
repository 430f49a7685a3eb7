"""Edit distances: word and character error rates, and how alike two texts are letter by letter."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np

from .base import (
    BOOTSTRAP,
    LABELLED_KINDS,
    BaseMetric,
    MeanMetric,
    answer_as_it_came,
    answer_text,
    check_batch,
    golds,
    nothing_read,
)
from .text import unicode_words

__all__ = ["Cer", "EditSimilarity", "Wer"]


@cache
def _distance() -> Callable[[Sequence[Hashable], Sequence[Hashable]], int]:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance


class _ErrorRate(BaseMetric):
    """Σ edits / Σ length of the references, of several references the one with the lowest rate of its own."""

    __slots__ = ()

    unit: ClassVar[str] = "units"
    higher_is_better = False
    bounds = (0.0, math.inf)
    interval = BOOTSTRAP

    def units(self, text: str) -> Sequence[Hashable]:
        """The words or characters of a text."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "edits", f"reference_{self.unit}")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), 3))
        for row, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            references = [self.units(gold) for gold in golds(sample)]
            if not references:
                continue
            if nothing_read(response):
                # Nothing of it is there; and nothing is not what an empty reference asked for.
                pairs = [(max(1, len(gold)), len(gold)) for gold in references]
            else:
                answer = self.units(answer_text(response))
                distance = _distance()
                pairs = [(distance(answer, gold), len(gold)) for gold in references]
            edits, length = min(pairs, key=lambda pair: pair[0] / max(pair[1], 1))
            stats[row] = (1.0, edits, length)
        return stats

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        n, edits, length = (totals[..., i] for i in range(3))
        # Where references hold nothing at all, jiwer gives the number of edits.
        return np.where(n > 0, edits / np.where(length > 0, length, 1.0), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wer(_ErrorRate):
    """Word error rate, 0–∞: word edits that turn the references into the answers, per reference word.

        WER = Σ_i (substitutions + deletions + insertions)_i / Σ_i |words of reference_i|

    over the corpus: long references count more, which a mean of the samples' rates would not do. An answer longer than
    its reference may have more than 1. Of several references the one with the lowest rate counts. Upper case and
    punctuation are part of a word, so "Mat." for "mat" is an error: transcripts are mostly compared with
    `words: unicode`.

    Options:
        words: whitespace splits at white space, as jiwer does (at spaces); unicode takes runs of letters and digits in
            lower case, without punctuation, and single characters of scripts without spaces, where whitespace would
            make one word of a sentence.
        lowercase: ignore case.

    Source: the Levenshtein distance of words; equal to jiwer `wer` of the same words to 1e-12. A failed call that
    counts as wrong, and an answer that could not be read, lacks all words of its reference, one at least.
    """

    words: Literal["whitespace", "unicode"] = "whitespace"
    lowercase: bool = False

    name = "wer"
    unit: ClassVar[str] = "words"

    def units(self, text: str) -> list[str]:
        text = text.lower() if self.lowercase else text
        return text.split() if self.words == "whitespace" else unicode_words(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cer(_ErrorRate):
    """Character error rate, 0–∞: character edits that turn the references into the answers, per reference character.

        CER = Σ_i (substitutions + deletions + insertions)_i / Σ_i |characters of reference_i|

    over the corpus, as for wer; the rate to take for Chinese, Japanese and Thai. Characters are Unicode code points,
    those of a word and the blanks between words; white space at both ends of a text is left out.

    Options:
        lowercase: ignore case.
        whitespace: count blanks between words, as jiwer does.

    Source: the Levenshtein distance of characters; equal to jiwer `cer` to 1e-12. A failed call that counts as wrong,
    and an answer that could not be read, lacks all characters of its reference, one at least.
    """

    lowercase: bool = False
    whitespace: bool = True

    name = "cer"
    unit: ClassVar[str] = "characters"

    def units(self, text: str) -> str:
        text = text.lower() if self.lowercase else text
        return text.strip() if self.whitespace else "".join(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class EditSimilarity(MeanMetric):
    """Mean likeness of answer and reference, 0–1: one less the share of characters that must be edited.

        s_i = max_r (1 − Levenshtein(answer_i, reference_ir) / max(|answer_i|, |reference_ir|))

    over samples, the best reference counting. Two empty texts are alike (1). Unrelated texts in one language still get
    0.2 to 0.3, for they share letters: it is no measure of meaning.

    Options:
        unit: characters (Unicode code points), or words between white space.
        lowercase: ignore case.
        strip: leave out white space at both ends.

    Source: Levenshtein 1966; equal to rapidfuzz `Levenshtein.normalized_similarity`, which computes it.
    """

    unit: Literal["characters", "words"] = "characters"
    lowercase: bool = False
    strip: bool = True

    name = "edit_similarity"
    kinds = LABELLED_KINDS

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        distance = _distance()
        found: list[float | None] = []
        for sample, response in zip(samples, responses, strict=True):
            references = [self._units(gold) for gold in golds(sample)]
            if not references:
                found.append(None)
            elif nothing_read(response):
                found.append(0.0)
            else:
                answer = self._units(answer_as_it_came(response))
                longest = [max(len(answer), len(gold), 1) for gold in references]
                found.append(max(1 - distance(answer, gold) / n for gold, n in zip(references, longest, strict=True)))
        return found

    def _units(self, text: str) -> Sequence[Hashable]:
        text = text.lower() if self.lowercase else text
        text = text.strip() if self.strip else text
        return text if self.unit == "characters" else text.split()

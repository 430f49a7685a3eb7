"""Readability of English text, from counts of words, sentences and syllables."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from evalharness.core.protocols import Array
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import np

from .base import BOOTSTRAP, NEEDS_NOTHING, BaseMetric, answer_text, check_batch

__all__ = ["FleschKincaidGrade", "FleschReadingEase", "sentence_count", "syllables", "words_of"]

# As textstat 0.7.13 has them.
_QUOTE = re.compile(r"\'(?![tsd]|ve|ll|re)")
_PUNCTUATION = re.compile(r"[^\w\s\']")
_SENTENCE = re.compile(r"\b[^.!?]+[.!?]*")
_SHORT_SENTENCE = 2
_LATIN = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]")

_VOWELS = re.compile(r"[aeiouyáàâäéèêëíîïóôöúûü]+")
# Vowels that are written and not spoken: at the end, and before the endings of adverbs and nouns.
_SILENT = re.compile(
    r"(?:[^laeiouy]e|[aeiouy]le|[^aeiouydt]ed|[^aeiouysxzcg]es|[^aeiouycgsxz]hes)(?:'s)?$"
    r"|[^aeiouy]e(?=(?:ly|ment|ful|less|ness|some)s?$)"
)
# Neighbours that are spoken apart, and endings that have a vowel no letter stands for.
_SPLIT = re.compile(
    r"[^aeiouqgctsx]i[aou](?!n$|ns$|us|l)|[ct]ia(?=t)|eo(?!n|u)|creat|[aeiou]ing$|ism$|uou|iet|ua[lt]"
    r"|(?:[sxz]|[cs]h)'s$|[^aeiouyl]le(?:d|s)$"
)


def _may_be_english(text: str) -> bool:
    """Whether no more letters are of other scripts than of Latin; numbers alone may be English too."""
    letters = "".join(filter(str.isalpha, text))
    return letters.isascii() or 2 * len(_LATIN.findall(letters)) >= len(letters)


def words_of(text: str) -> list[str]:
    """The words of a text: what white space parts once punctuation is gone, contractions and "well-known" being one."""
    return _PUNCTUATION.sub("", _QUOTE.sub("", text)).split()


def sentence_count(text: str) -> int:
    """The sentences that . ! ? end, those of one or two words not counted; at least 1 where there is any text."""
    if not text:
        return 0
    found: list[str] = _SENTENCE.findall(text)
    return max(1, sum(len(words_of(sentence)) > _SHORT_SENTENCE for sentence in found))


@lru_cache(maxsize=100_000)
def syllables(word: str) -> int:
    """How many syllables an English word has, by rule: groups of vowels, without silent endings; at least 1."""
    word = word.lower().strip("'")
    found = len(_VOWELS.findall(word))
    silent = len(_SILENT.findall(word))
    return max(1, found - silent + len(_SPLIT.findall(word)))


class _Readability(BaseMetric):
    """A formula of words per sentence and syllables per word, over all answers as one text."""

    __slots__ = ()

    kinds = frozenset({"generate"})
    needs = NEEDS_NOTHING
    interval = BOOTSTRAP
    scores_blank = False

    def formula(self, sentence_length: Array, word_length: Array) -> Array:
        """The figure of words per sentence and syllables per word."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "sentences", "words", "syllables")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(responses), 4))
        for row, response in enumerate(responses):
            text = "" if response.status in FAILED_STATES else answer_text(response)
            words = words_of(text)
            if words and _may_be_english(text):
                stats[row] = (1.0, sentence_count(text), len(words), sum(map(syllables, words)))
        return stats

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        n, sentences, words, parts = (totals[..., i] for i in range(4))
        known = (n > 0) & (words > 0)
        one = np.where(known, words, 1.0)
        found = self.formula(one / np.where(sentences > 0, sentences, 1.0), parts / one)
        return np.where(known, found, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleschReadingEase(_Readability):
    """Flesch reading ease of the answers: about 100 is very easy, 60 plain English, below 30 very hard.

        206.835 − 1.015 · words/sentences − 84.6 · syllables/words

    over all answers as one text: long answers count more, and a list of words without a full stop is one sentence.
    It knows nothing of sense: word salad may be easy to read. For English only; other languages have other constants.
    Answers that are mostly in another script than Latin are left out.

    Words and sentences are counted as textstat does: contractions and hyphenated words are one, sentences of one or
    two words are not counted (but one always is). Syllables are counted by rule: groups of vowels, without silent
    endings; that agrees with CMU's dictionary for 9 of 10 of its 125,000 words and gives 2 % fewer in all. textstat
    looks words up there, where it could download it.

    Source: Flesch 1948; equal to textstat 0.7.13 `flesch_reading_ease` where the syllables agree.
    """

    name = "flesch_reading_ease"
    bounds = (-math.inf, math.inf)

    def formula(self, sentence_length: Array, word_length: Array) -> Array:
        return 206.835 - 1.015 * sentence_length - 84.6 * word_length


@dataclass(frozen=True, slots=True, kw_only=True)
class FleschKincaidGrade(_Readability):
    """Flesch-Kincaid grade of the answers: the years of US school that reading them takes; lower is easier.

        0.39 · words/sentences + 11.8 · syllables/words − 15.59

    over all answers as one text, counted as for flesch_reading_ease. For English only; answers that are mostly in
    another script than Latin are left out.

    Source: Kincaid et al. 1975; equal to textstat 0.7.13 `flesch_kincaid_grade` where the syllables agree.
    """

    name = "flesch_kincaid_grade"
    higher_is_better = False
    bounds = (-math.inf, math.inf)

    def formula(self, sentence_length: Array, word_length: Array) -> Array:
        return 0.39 * sentence_length + 11.8 * word_length - 15.59

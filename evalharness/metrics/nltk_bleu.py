"""BLEU as nltk computes it on tokens, from additive statistics, with its smoothing methods 0 to 7."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import NDArray, np
from evalharness.stats.ngrams import matched_ngrams

from .base import BOOTSTRAP, BaseMetric, answer_text, check_batch, golds, require
from .bleu import closest_length, ngram_totals
from .text import Vocabulary, unicode_words

__all__ = ["NltkBleu"]

_EPSILON, _ALPHA, _K = 0.1, 5.0, 5.0  # the constants of nltk's SmoothingFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class NltkBleu(BaseMetric):
    """Corpus BLEU, 0–1, as nltk computes it on tokens.

        BLEU = BP · exp(Σ_n w_n ln p_n),  BP = exp(1 − r/c) where c <= r, else 1

    A text too short for an order counts one n-gram of it (nltk's choice), and precisions of 0 are left out of the sum
    unless the smoothing changes them. Without smoothing such a score is practically 0 (below 1e-70).

    Options:
        smooth: none, or method1 … method7 of Chen and Cherry 2014 as nltk has them. Over a corpus nltk reads part of
            method5, 6 and 7 from the last sentence only; here the whole corpus is read, so that order does not matter.
        weights: one weight an order; as many orders as weights.
        auto_reweigh: where a corpus has fewer than 4 words, spread default weights over as many orders.
        words: whitespace splits at white space; unicode takes runs of letters and digits in lower case, and single
            characters of scripts without spaces.

    Source: Papineni et al. 2002; Chen and Cherry 2014 (W14-3346); equal to nltk `corpus_bleu` to 1e-12, for method5,
    6 and 7 on single sentences. Where nltk refuses method6 (no matching trigram) the value is NaN.
    """

    smooth: Literal["none", "method1", "method2", "method3", "method4", "method5", "method6", "method7"] = "none"
    weights: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    auto_reweigh: bool = False
    words: Literal["whitespace", "unicode"] = "whitespace"

    name = "nltk_bleu"
    interval = BOOTSTRAP
    agrees_with = "nltk"

    def __post_init__(self) -> None:
        require(
            1 <= len(self.weights) <= 9 and all(math.isfinite(w) and w >= 0 for w in self.weights),
            f"weights must be 1 to 9 numbers of 0 or more; got {self.weights}",
        )
        require(
            self.smooth != "method6" or len(self.weights) >= 3,
            f"method6 needs 3 orders or more; weights has {len(self.weights)}",
        )

    @property
    def max_order(self) -> int:
        """The longest n-gram."""
        return len(self.weights)

    @property
    def columns(self) -> tuple[str, ...]:
        orders = range(1, self.max_order + 1)
        return (
            "n",
            "answer_length",
            "reference_length",
            *(f"matches_{n}" for n in orders),
            *(f"denominator_{n}" for n in orders),
            *(f"ngrams_{n}" for n in orders),
            # Method 5 looks one order further, which nltk has fixed at 5.
            "matches_next",
            "denominator_next",
        )

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        rows = [i for i, sample in enumerate(samples) if golds(sample)]
        stats = np.zeros((len(samples), len(self.columns)))
        if rows:
            stats[rows] = self.token_stats(
                [[self._words(gold) for gold in golds(samples[i])] for i in rows],
                [self._words(answer_text(responses[i])) for i in rows],
            )
        return stats

    def _words(self, text: str) -> list[str]:
        return text.split() if self.words == "whitespace" else unicode_words(text)

    def token_stats(
        self, list_of_references: Sequence[Sequence[Sequence[str]]], hypotheses: Sequence[Sequence[str]]
    ) -> Array:
        """(n, k) statistics of token lists, in the layout of nltk's `corpus_bleu`.

        Raises:
            TypeError: where a text stands in place of its tokens: each character would be taken for a token.
            ValueError: where the two differ in length, or a hypothesis has no reference.
        """
        _check_tokens(list_of_references, hypotheses)
        number = Vocabulary()
        answers = [number(tokens) for tokens in hypotheses]
        references = [[number(tokens) for tokens in refs] for refs in list_of_references]
        if not answers:
            return np.zeros((0, len(self.columns)))
        lengths = [len(answer) for answer in answers]
        nearest = [closest_length(n, [len(r) for r in refs]) for n, refs in zip(lengths, references, strict=True)]
        orders = max(self.max_order, 5)
        matches = matched_ngrams(answers, references, max_order=orders).astype(np.float64)
        ngrams = ngram_totals(lengths, orders)
        denominators = np.maximum(ngrams, 1.0)
        k = self.max_order
        head = np.stack([np.ones(len(answers)), np.asarray(lengths), np.asarray(nearest)], axis=1)
        return np.concatenate(
            [head, matches[:, :k], denominators[:, :k], ngrams[:, :k], matches[:, 4:5], denominators[:, 4:5]], axis=1
        )

    def finalize(self, totals: Array) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        k = self.max_order
        n, answer_length, reference_length = (totals[..., i] for i in range(3))
        matches, denominators, ngrams = (totals[..., 3 + i * k : 3 + (i + 1) * k] for i in range(3))
        denominators = np.where(denominators > 0, denominators, 1.0)
        following = totals[..., -2] / np.where(totals[..., -1] > 0, totals[..., -1], 1.0)
        precision = self._smoothed(matches, denominators, ngrams, following, answer_length)
        weights = np.broadcast_to(np.asarray(self.weights), precision.shape)
        if self.auto_reweigh and self.weights == (0.25, 0.25, 0.25, 0.25):
            few = (answer_length > 0) & (answer_length < 4)
            spread = np.arange(k) < answer_length[..., None]
            weights = np.where(few[..., None], spread / np.where(few, answer_length, 1.0)[..., None], weights)
        # A comparison with NaN is false: undefined precisions are carried on by hand.
        positive = precision > 0
        logs = np.log(np.where(positive, precision, 1.0))
        logs = np.where(np.isnan(precision), np.nan, logs)
        some = np.where(answer_length > 0, answer_length, 1.0)
        penalty = np.where(answer_length > reference_length, 1.0, np.exp(1 - reference_length / some))
        score = penalty * np.exp((weights * logs).sum(axis=-1))
        score = np.where(matches[..., 0] > 0, score, 0.0)
        return np.where(n > 0, score, np.nan)

    def _smoothed(self, matches: Array, denominators: Array, ngrams: Array, following: Array, length: Array) -> Array:
        precision = matches / denominators
        none: NDArray[np.bool_] = matches == 0
        match self.smooth:
            case "none":
                return np.where(none, sys.float_info.min, precision)
            case "method1":
                return np.where(none, _EPSILON / denominators, precision)
            case "method2":
                longer = (np.arange(self.max_order) > 0).astype(np.float64)
                smoothed: Array = (matches + longer) / (denominators + longer)
                return smoothed
            case "method3":
                return np.where(none, 0.5 ** np.cumsum(none, axis=-1) / denominators, precision)
            case "method4":
                return self._method4(precision, none, denominators, length)
            case "method5":
                return self._method5(precision, following)
            case "method6":
                return self._method6(precision, matches, ngrams)
            case "method7":
                return self._method5(self._method4(precision, none, denominators, length), following)

    def _method4(self, precision: Array, none: NDArray[np.bool_], denominators: Array, length: Array) -> Array:
        log_length = np.log(np.maximum(length, 1.0))[..., None]
        smoothed = 0.5 ** np.cumsum(none, axis=-1) * log_length / _K / denominators
        return np.where(none & (length[..., None] > 1), smoothed, precision)

    def _method5(self, precision: Array, following: Array) -> Array:
        nexts = np.concatenate([precision[..., 1:], following[..., None]], axis=-1)
        result = np.empty_like(precision)
        before = precision[..., 0] + 1
        for i in range(self.max_order):
            before = result[..., i] = (before + precision[..., i] + nexts[..., i]) / 3
        return result

    def _method6(self, precision: Array, matches: Array, ngrams: Array) -> Array:
        result = precision.copy()
        for i in range(2, self.max_order):
            first, second = result[..., i - 2], result[..., i - 1]
            prior = np.where(first == 0, 0.0, second**2 / np.where(first == 0, 1.0, first))
            result[..., i] = (matches[..., i] + _ALPHA * prior) / (ngrams[..., i] + _ALPHA)
        return np.where((matches[..., 2] > 0)[..., None], result, np.nan)


def _check_tokens(references: Sequence[Sequence[Sequence[str]]], hypotheses: Sequence[Sequence[str]]) -> None:
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise TypeError("hypotheses and references must be lists, not one text")
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses but references for {len(references)}")
    for i, (tokens, refs) in enumerate(zip(hypotheses, references, strict=True)):
        if isinstance(tokens, str):
            raise TypeError(f"hypotheses[{i}] is a text; give its tokens: {tokens[:20]!r}.split()")
        if isinstance(refs, str) or any(isinstance(r, str) for r in refs):
            raise TypeError(f"references[{i}] must be a list of token lists: [[…tokens of one reference…], …]")
        if not refs:
            raise ValueError(f"references[{i}] is empty; BLEU needs at least one reference")

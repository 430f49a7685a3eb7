"""Answers against references: equal, sharing words, containing, matching a pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Need
from evalharness.core.types import Response, Sample

from .base import (
    LABELLED_KINDS,
    NEEDS_NOTHING,
    NEEDS_REFERENCES,
    PROPORTION,
    MeanMetric,
    MetricOptionError,
    answer_as_it_came,
    answer_text,
    golds,
    nothing_read,
)
from .text import multiset_overlap, squad_normalize, unicode_words

__all__ = ["Contains", "ExactMatch", "Regex", "TokenF1"]


_NORMALIZERS: dict[str, Callable[[str], str]] = {"squad": squad_normalize, "strip": str.strip, "none": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch(MeanMetric):
    """Share of answers that equal one of their references after normalisation.

        EM = Σ_i max_r [norm(answer_i) = norm(reference_ir)] / n

    The best reference counts. What could not be read equals no reference, not even an empty one.

    Options:
        normalize: squad lowers the case, drops ASCII punctuation and the articles a, an, the, and makes white space
            single; strip only strips white space at both ends; none compares the texts as they came, white space at
            their ends included (but not of what `extract` read).

    Source: Rajpurkar et al. 2016 (SQuAD); equals the official SQuAD v1.1 script divided by 100.
    """

    normalize: Literal["squad", "strip", "none"] = "squad"

    name = "exact_match"
    kinds = LABELLED_KINDS
    interval = PROPORTION
    total = "correct"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        norm = _NORMALIZERS[self.normalize]

        def value(answer: str, references: Sequence[str]) -> float:
            answer = norm(answer)
            return float(any(norm(gold) == answer for gold in references))

        read = answer_as_it_came if self.normalize == "none" else answer_text
        return _values(samples, responses, value, read)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenF1(MeanMetric):
    """Mean F1 of the words that answer and reference share, the best reference counting.

        P = shared/|answer|,  R = shared/|reference|,  F1 = 2PR/(P+R)

    over multisets of words after SQuAD normalisation (lower case, no ASCII punctuation, no a, an, the).

    Options:
        squad: where either side has no words left, v1.1 gives 0 and v2.0 gives 1 if both have none, else 0.
        words: whitespace splits at white space, as SQuAD does; unicode also splits Chinese, Japanese, Thai … into
            characters.

    Source: Rajpurkar et al. 2016 and 2018; equals the official SQuAD v1.1 and v2.0 scripts divided by 100.
    """

    squad: Literal["v1.1", "v2.0"] = "v1.1"
    words: Literal["whitespace", "unicode"] = "whitespace"

    name = "token_f1"
    kinds = LABELLED_KINDS

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        @cache
        def bag(text: str) -> Counter[str]:
            normal = squad_normalize(text)
            return Counter(normal.split() if self.words == "whitespace" else unicode_words(normal))

        def value(answer: str, references: Sequence[str]) -> float:
            return max(self._f1(bag(answer), bag(gold)) for gold in references)

        return _values(samples, responses, value)

    def _f1(self, answer: Counter[str], gold: Counter[str]) -> float:
        if not answer or not gold:
            return float(self.squad == "v2.0" and not answer and not gold)
        shared = multiset_overlap(answer, gold)
        if shared == 0:
            return 0.0
        precision, recall = shared / answer.total(), shared / gold.total()
        return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains(MeanMetric):
    """Share of answers that contain a reference as a piece of their text.

        value = Σ_i [some (or every) reference_ir stands in answer_i] / n

    Nothing is normalised but, on request, case. An empty reference is contained in every answer.

    Options:
        ignore_case: compare case-folded texts.
        which: any reference is enough, or all of them must be there.

    Source: plain substring search; promptfoo's `contains`, `icontains`, `contains-any` and `contains-all`.
    """

    ignore_case: bool = False
    which: Literal["any", "all"] = "any"

    name = "contains"
    kinds = LABELLED_KINDS
    interval = PROPORTION
    total = "correct"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        fold = str.casefold if self.ignore_case else str
        enough = any if self.which == "any" else all

        def value(answer: str, references: Sequence[str]) -> float:
            answer = fold(answer)
            return float(enough(fold(gold) in answer for gold in references))

        return _values(samples, responses, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex(MeanMetric):
    """Share of answers in which a regular expression matches.

        value = Σ_i [pattern matches in answer_i] / n

    Without `pattern` each reference is a pattern, and one that matches is enough.

    Options:
        pattern: the expression (Python's `re`); none takes the sample's references.
        full: the whole answer must match, not a piece of it.
        ignore_case: letters match in either case.

    Source: Python's `re.search` and `re.fullmatch`. Raises `MetricOptionError` for a pattern that does not compile,
    and a `UsageError` that names the sample where a reference does not.
    """

    pattern: str | None = None
    full: bool = False
    ignore_case: bool = False

    name = "regex"
    kinds = LABELLED_KINDS
    interval = PROPORTION
    total = "correct"

    def __post_init__(self) -> None:
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise MetricOptionError(f"pattern {self.pattern!r} is no regular expression: {error}") from error

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        return NEEDS_REFERENCES if self.pattern is None else NEEDS_NOTHING

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        flags = re.IGNORECASE if self.ignore_case else 0

        def value(answer: str, patterns: Sequence[str]) -> float:
            compiled = [re.compile(p, flags) for p in patterns]
            return float(any(p.fullmatch(answer) if self.full else p.search(answer) for p in compiled))

        if self.pattern is not None:
            samples = [replace(sample, references=(self.pattern,)) for sample in samples]
        else:
            _check_patterns(samples)
        return _values(samples, responses, value)


def _check_patterns(samples: Sequence[Sample]) -> None:
    for sample in samples:
        for pattern in golds(sample):
            try:
                re.compile(pattern)
            except re.error as error:
                raise UsageError(
                    f"sample {sample.id!r}: its reference {pattern!r} is no regular expression: {error}; mend it, or "
                    f"use the metric contains"
                ) from error


def _values(
    samples: Sequence[Sample],
    responses: Sequence[Response],
    value: Callable[[str, Sequence[str]], float],
    read: Callable[[Response], str] = answer_text,
) -> list[float | None]:
    """The value of each answer against its references; None for a sample without any.

    A failed call, and what could not be read, is worth 0 even where the empty text would be right.
    """
    return [
        None if not golds(s) else 0.0 if nothing_read(r) else value(read(r), golds(s))
        for s, r in zip(samples, responses, strict=True)
    ]

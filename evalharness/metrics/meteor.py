"""METEOR as nltk computes it."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from evalharness.core.errors import UsageError
from evalharness.core.types import FAILED_STATES, Response, Sample

from .base import MeanMetric, answer_text, golds, package_version, require
from .text import unicode_words
from .wordnet import WordNet, find_wordnet, open_wordnet

__all__ = ["Meteor"]

Numbered = list[tuple[int, str]]


class _Stems(dict[str, str]):
    """Porter stems of all words, also the short ones that ROUGE leaves alone."""

    def __missing__(self, word: str) -> str:
        if len(self) >= 200_000:
            self.clear()
        stem = self[word] = str(_stemmer().stem(word))
        return stem


_STEMS = _Stems()


@cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@cache
def _treebank() -> Callable[[str], list[str]]:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    tokenize: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return tokenize


def _words(text: str, words: str) -> list[str]:
    found = unicode_words(text) if words == "unicode" else text.split() if words == "whitespace" else _treebank()(text)
    return [word.lower() for word in found]


@cache
def _wordnet(path: str | None) -> WordNet:
    return open_wordnet(find_wordnet(None if path is None else Path(path)))


@dataclass(frozen=True, kw_only=True)
class Meteor(MeanMetric):
    """Mean METEOR, 0–1: words aligned by form, stem and meaning, less a penalty for words out of order.

        F = P·R / (α·P + (1 − α)·R),  METEOR = (1 − γ·(chunks/matches)^β) · F

    with P and R the matched share of the answer's and of the reference's words, and chunks the runs in which both
    stand in the same order. Words are matched first as they are, then by Porter stem, then by WordNet's synonyms; the
    reference with the best score counts. A perfect answer of m words gets 1 − γ/m³, a little less than 1.

    Synonyms need WordNet's data, which no package brings along: `validate` says how to get it. As in nltk they are
    looked up by the stems that were left over, so that "happily" (stem "happili") has none. It is for English: stems
    and synonyms of other languages are not known to it. The Java program METEOR 1.5 weighs the kinds of matches,
    knows paraphrases, and gives other figures.

    Options:
        match: exact compares words, stem also their stems, synonym also their meanings. Only the last needs WordNet.
        wordnet: folder or zip with WordNet's files; none looks where nltk keeps its data, and in /usr/share/wordnet.
        words: unicode takes runs of letters and digits, and single characters of scripts without spaces; whitespace
            splits at white space; treebank is nltk's word tokenizer, on the text as one sentence.
        alpha: the weight of recall.
        beta: how the penalty grows with the number of chunks.
        gamma: the highest penalty.

    Source: Banerjee and Lavie 2005 (W05-0909), Lavie and Agarwal 2007; with match: synonym equal to nltk
    `meteor_score` of the same words to 1e-12, with WordNet of the same version.
    """

    match: Literal["exact", "stem", "synonym"] = "synonym"
    wordnet: str | None = None
    words: Literal["unicode", "whitespace", "treebank"] = "unicode"
    alpha: float = 0.9
    beta: float = 3.0
    gamma: float = 0.5

    name = "meteor"
    agrees_with = "nltk"

    def __post_init__(self) -> None:
        require(math.isfinite(self.alpha) and 0 < self.alpha < 1, f"alpha must lie between 0 and 1; got {self.alpha}")
        require(math.isfinite(self.beta) and self.beta >= 0, f"beta must be 0 or more; got {self.beta}")
        require(0 <= self.gamma <= 1, f"gamma must be 0 to 1; got {self.gamma}")
        require(
            self.wordnet is None or self.match == "synonym",
            f"wordnet has no effect with match: {self.match}; leave it out, or take match: synonym",
        )
        # Not an option: the version of WordNet that a record was made with, where no words are looked up.
        object.__setattr__(self, "_recorded", None)

    @property
    def signature(self) -> str:
        """With the version of WordNet: where its files lie does not matter."""
        options = {key: value for key, value in self.options().items() if key != "wordnet"}
        if self.match == "synonym":
            options["wordnet"] = self._wordnet_version()
        parts = [self.name, *(f"{key}:{value}" for key, value in options.items())]
        return "|".join([*parts, f"nltk:{package_version('nltk')}", f"version:{self.version}"])

    def _wordnet_version(self) -> str:
        recorded: str | None = self._recorded  # type: ignore[attr-defined]
        if recorded is not None:
            return recorded
        try:
            return _wordnet(self.wordnet).version
        except UsageError:
            return "not-installed"

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """Where synonyms are asked for and WordNet's data is missing; paths are from `base`."""
        try:
            self._find(base)
        except UsageError as error:
            yield "wordnet", str(error)

    def _find(self, base: Path) -> None:
        if self.match == "synonym":
            find_wordnet(None if self.wordnet is None else base / self.wordnet)

    def for_run(self, *, base: Path, allow_code: bool) -> Meteor:
        """With WordNet's place looked up from `base`, the suite's folder."""
        self._find(base)
        return self if self.wordnet is None else replace(self, wordnet=str(base / self.wordnet))

    def as_recorded(self, signature: str) -> Meteor:
        """As the metric of a record with this signature: its rows are read without WordNet."""
        found = replace(self)
        version = re.search(r"\|wordnet:([^|]+)\|", signature)
        object.__setattr__(found, "_recorded", version and version.group(1))
        return found

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        found: list[float | None] = []
        for sample, response in zip(samples, responses, strict=True):
            references = golds(sample)
            if not references:
                found.append(None)
                continue
            text = "" if response.status in FAILED_STATES else answer_text(response)
            answer = _words(text, self.words)
            found.append(max(self._score(answer, _words(gold, self.words)) for gold in references))
        return found

    def _score(self, answer: Sequence[str], reference: Sequence[str]) -> float:
        matches = self._aligned(answer, reference)
        if not matches:
            return 0.0
        precision, recall = len(matches) / len(answer), len(matches) / len(reference)
        mean = precision * recall / (self.alpha * precision + (1 - self.alpha) * recall)
        chunks = 1 + sum((b[0] - a[0], b[1] - a[1]) != (1, 1) for a, b in pairwise(matches))
        score: float = (1 - self.gamma * (chunks / len(matches)) ** self.beta) * mean
        return score

    def _aligned(self, answer: Sequence[str], reference: Sequence[str]) -> list[tuple[int, int]]:
        """Matched positions of both, in the order of the answer."""
        left, right = list(enumerate(answer)), list(enumerate(reference))
        matches: list[tuple[int, int]] = []
        matches += _matched(left, right, _itself)
        if self.match != "exact" and left and right:
            # From here on the words are stems, also for WordNet, as in nltk.
            left[:], right[:] = ([(i, _STEMS[word]) for i, word in side] for side in (left, right))
            matches += _matched(left, right, _itself)
        if self.match == "synonym" and left and right:
            matches += _matched(left, right, _wordnet(self.wordnet).synonyms)
        return sorted(matches)


def _itself(word: str) -> tuple[str]:
    return (word,)


def _matched(left: Numbered, right: Numbered, forms: Callable[[str], Any]) -> list[tuple[int, int]]:
    """Pairs of positions, each word of `left` from the last on with the last free word of `right` among its forms.

    Both lists keep what was not matched.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, (_, word) in enumerate(right):
        places[word].append(place)
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    rest: Numbered = []
    for number, word in reversed(left):
        best = max((places[form][-1] for form in forms(word) if places.get(form)), default=-1)
        if best < 0:
            rest.append((number, word))
            continue
        places[right[best][1]].pop()
        taken.add(best)
        pairs.append((number, right[best][0]))
    left[:] = reversed(rest)
    right[:] = [item for place, item in enumerate(right) if place not in taken]
    return pairs

"""How varied answers are: within an answer, and across all answers of a task."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evalharness.core.errors import NotComparableError
from evalharness.core.protocols import Array
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import Ints, np
from evalharness.stats.tails import t_quantile

from .base import BOOTSTRAP, NEEDS_NOTHING, BaseMetric, MeanMetric, answer_text, check_batch, require
from .text import unicode_words

__all__ = ["DistinctN", "Repetition", "SelfBleu"]

_GROUPS = 20
_CODE_BITS = 53  # whole numbers up to here are exact in float64, which rows are made of
_SMOOTH = 0.1  # nltk's method1

Tokens = tuple[str, ...]


def _tokens(text: str, words: str) -> Tokens:
    return tuple(text.split() if words == "whitespace" else unicode_words(text))


def _grams(tokens: Tokens, n: int) -> list[Tokens]:
    return [tokens[i : i + n] for i in range(len(tokens) - n + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition(MeanMetric):
    """Mean share of an answer's n-grams that stood in it before, 0–1: how much it goes in circles.

        rep-n = Σ_i (1 − |distinct n-grams of answer_i| / |n-grams of answer_i|) / n_answers

    over the answers of n words or more; shorter ones cannot repeat one and are not measured. Text of people has a few
    percent at n = 4; a model caught in a loop nears 1. It grows with length, so compare answers of like length.

    Options:
        n: how many words an n-gram has.
        words: unicode takes runs of letters and digits in lower case, and single characters of scripts without spaces;
            whitespace splits at white space.

    Source: Welleck et al. 2020 (arXiv:1908.04319), section 6.1, seq-rep-n.
    """

    n: int = 4
    words: Literal["unicode", "whitespace"] = "unicode"

    name = "repetition"
    higher_is_better = False
    needs = NEEDS_NOTHING
    scores_blank = False
    total = "repeated_share"

    def __post_init__(self) -> None:
        require(1 <= self.n <= 9, f"n must be 1 to 9; got {self.n}")

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        found: list[float | None] = []
        for response in responses:
            text = "" if response.status in FAILED_STATES else answer_text(response)
            grams = _grams(_tokens(text, self.words), self.n)
            found.append(1 - len(set(grams)) / len(grams) if grams else None)
        return found


class _AcrossAnswers(BaseMetric):
    """A figure of all answers together, which no sum over answers gives.

    A row holds a number that stands for the answer's words, and the metric remembers which (`_answers`). The figure
    of a resample would be wrong whatever it is of: it holds the same answers twice, which is just what is measured.
    So the interval is the jackknife's that leaves out a group of answers at a time: 20 groups, or each answer where
    there are fewer. On average it is no narrower than it should be (Efron and Stein 1981).
    """

    higher_is_better = True
    needs = NEEDS_NOTHING
    interval = BOOTSTRAP
    interval_name: ClassVar[str] = "jackknife"
    scores_blank = False
    paired: ClassVar[bool] = False  # rules that compare it with a baseline are refused

    words: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "_answers", {})  # not an option: the answers that numbers stand for

    def figure(self, answers: Sequence[Tokens]) -> float:
        """The figure of answers; NaN where they have none."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        return ("n", "answer")

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        rows = np.zeros((len(responses), 2))
        for index, response in enumerate(responses):
            text = "" if response.status in FAILED_STATES else answer_text(response)
            tokens = _tokens(text, self.words)
            if tokens:
                rows[index] = (1.0, self._number((tokens,)))
        return rows

    def _number(self, answers: tuple[Tokens, ...]) -> float:
        """The number of these answers: of their content, so that shards and orders give the same one."""
        text = "\x1e".join("\x1f".join(tokens) for tokens in answers).encode("utf-8", "surrogatepass")
        number = float(int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> (64 - _CODE_BITS) or 1)
        known: dict[float, tuple[Tokens, ...]] = self._answers  # type: ignore[attr-defined]
        known.setdefault(number, answers)
        return number

    def merge_repeats(self, rows: Array, owner: Ints) -> Array:
        """The rows of samples with several answers: the number that stands for all of them."""
        merged = np.zeros((int(owner.max()) + 1, 2))
        for index in range(len(merged)):
            answers = self._behind(rows[owner == index])
            if answers:
                merged[index] = (1.0, self._number(tuple(answers)))
        return merged

    def _behind(self, rows: Array) -> list[Tokens]:
        """The answers of the measured rows, in order."""
        known: dict[float, tuple[Tokens, ...]] = self._answers  # type: ignore[attr-defined]
        numbers = rows[rows[:, 0] > 0, 1].tolist()
        if any(number not in known for number in numbers):
            raise NotComparableError(
                f"{self.name} cannot be computed anew from a record's numbers: it needs the answers themselves; use "
                "at_least or at_most for it"
            )
        return [answer for number in numbers for answer in known[number]]

    def finalize(self, totals: Array) -> Array:
        """(..., 2) -> (...): the figure of one row; NaN for totals of several."""
        totals = np.asarray(totals, dtype=np.float64)
        flat = totals.reshape(-1, 2)
        values = [self.figure(self._behind(row[None])) if row[0] == 1 else math.nan for row in flat]
        return np.array(values, dtype=np.float64).reshape(totals.shape[:-1])

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The figure of the rows (n, 2) for each row of frequency weights (..., n); None is all 1."""
        stats = np.asarray(stats, dtype=np.float64)
        if weights is None:
            return np.asarray(self.figure(self._behind(stats)))
        weights = np.asarray(weights)
        flat = weights.reshape(-1, len(stats)).astype(np.int64)
        values = [self.figure(self._behind(np.repeat(stats, row, axis=0))) for row in flat]
        return np.array(values, dtype=np.float64).reshape(weights.shape[:-1])

    def interval_rows(self, stats: Array, *, confidence: float, codes: Ints | None = None) -> tuple[float, float]:
        """The jackknife's interval of the rows, with whole clusters in a group where `codes` (n,) says which.

            θ ± t · sqrt((g − 1)/g · Σ_j (θ_(j) − mean θ)²)

        with θ_(j) the figure without group j, and t of g − 1 degrees of freedom.
        """
        rows = stats[stats[:, 0] > 0]
        if codes is None:
            # Groups follow the content, not the order of the rows.
            units = np.empty(len(rows), dtype=np.int64)
            units[np.argsort(rows[:, 1], kind="stable")] = np.arange(len(rows))
        else:
            units = np.unique(codes[stats[:, 0] > 0], return_inverse=True)[1]
        groups = units % _GROUPS
        left_out = np.array([float(self.finalize_rows(rows[groups != j])) for j in np.unique(groups)])
        g = left_out.size
        if g < 2 or not np.isfinite(left_out).all():
            return math.nan, math.nan
        error = math.sqrt((g - 1) / g * float(np.sum((left_out - left_out.mean()) ** 2)))
        half = t_quantile((1 + confidence) / 2, g - 1) * error
        value = float(self.finalize_rows(stats))
        return value - half, value + half


@dataclass(frozen=True, kw_only=True)
class DistinctN(_AcrossAnswers):
    """Distinct n-grams of all answers over all their n-grams, 0–1: how varied the answers are together.

        distinct-n = |distinct n-grams of all answers| / Σ_i |n-grams of answer_i|

    It falls as answers grow longer and more, whatever model gives them: compare the same number of answers of like
    length only. A gate on it can be at_least or at_most, not against another run, since it cannot be computed from
    anything but the answers.

    Options:
        n: how many words an n-gram has.
        words: unicode takes runs of letters and digits in lower case, and single characters of scripts without spaces;
            whitespace splits at white space.

    Source: Li et al. 2016 (N16-1014), section 5.4; interval by the delete-a-group jackknife, since a bootstrap holds
    answers twice and would be too low.
    """

    n: int = 2
    words: Literal["unicode", "whitespace"] = "unicode"

    name = "distinct_n"

    def __post_init__(self) -> None:
        require(1 <= self.n <= 9, f"n must be 1 to 9; got {self.n}")
        super().__post_init__()

    def figure(self, answers: Sequence[Tokens]) -> float:
        seen: set[Tokens] = set()
        total = 0
        for tokens in answers:
            grams = _grams(tokens, self.n)
            seen.update(grams)
            total += len(grams)
        return len(seen) / total if total else math.nan


@dataclass(frozen=True, kw_only=True)
class SelfBleu(_AcrossAnswers):
    """Mean BLEU of each answer against all others, 0–1: how much answers are alike.

        self-BLEU = Σ_i BLEU(answer_i; all other answers) / n_answers

    Lower is more varied. It rises with the number of answers, for each has more others to be like: compare the same
    number only. A single answer has no figure, and a sample none of its own.

    Options:
        max_order: the longest n-gram; Texygen reports 2 to 5.
        words: unicode takes runs of letters and digits in lower case, and single characters of scripts without spaces;
            whitespace splits at white space.

    Source: Zhu et al. 2018 (Texygen, arXiv:1802.01886), section 3.2; equal to the mean of nltk `sentence_bleu` with
    method1 and equal weights to 1e-12. Interval by the delete-a-group jackknife.
    """

    max_order: int = 4
    words: Literal["unicode", "whitespace"] = "unicode"

    name = "self_bleu"
    higher_is_better = False

    def __post_init__(self) -> None:
        require(1 <= self.max_order <= 9, f"max_order must be 1 to 9; got {self.max_order}")
        super().__post_init__()

    def figure(self, answers: Sequence[Tokens]) -> float:
        n = len(answers)
        if n < 2:
            return math.nan
        lengths = np.array([len(tokens) for tokens in answers], dtype=np.float64)
        logs = np.zeros(n)
        found = np.zeros(n, dtype=bool)
        for order in range(1, self.max_order + 1):
            matches = self._matches(answers, order)
            found |= (matches > 0) if order == 1 else False
            # A text that is too short has one n-gram, and none that matches, as in nltk.
            possible = np.maximum(lengths - order + 1, 1)
            logs += np.log(np.where(matches > 0, matches, _SMOOTH) / possible) / self.max_order
        nearest = _nearest_others(lengths)
        penalty = np.where(lengths > nearest, 1.0, np.exp(1 - nearest / lengths))
        # Without a common word nltk gives 0 whatever the smoothing.
        return float(np.where(found, penalty * np.exp(logs), 0.0).mean())

    def _matches(self, answers: Sequence[Tokens], order: int) -> Array:
        """(n,) n-grams of each answer that some other one has, each as often as the other one with most of them."""
        numbers: dict[Tokens, int] = {}
        grams = [numbers.setdefault(g, len(numbers)) for tokens in answers for g in _grams(tokens, order)]
        owners = np.repeat(np.arange(len(answers)), [max(len(tokens) - order + 1, 0) for tokens in answers])
        matches = np.zeros(len(answers))
        if not grams:
            return matches
        keys, counts = np.unique(np.array(grams) * len(answers) + owners, return_counts=True)
        gram, owner = keys // len(answers), keys % len(answers)
        # By n-gram, the most frequent first: the others' highest count is the first one's, or for itself the second's.
        order_of = np.lexsort((-counts, gram))
        gram, owner, counts = gram[order_of], owner[order_of], counts[order_of]
        first = np.flatnonzero(np.concatenate(([True], gram[1:] != gram[:-1])))
        sizes = np.diff(first, append=gram.size)
        others = np.repeat(counts[first], sizes)
        second = np.where(sizes > 1, counts[np.minimum(first + 1, gram.size - 1)], 0)
        others[first] = second
        np.add.at(matches, owner, np.minimum(counts, others))
        return matches


def _nearest_others(lengths: Array) -> Array:
    """(n,) for each length the nearest one among the others, the shorter of two that are equally near."""
    ordered = np.sort(lengths).tolist()
    found = []
    for length in lengths.tolist():
        place = bisect_left(ordered, length)
        if place + 1 < len(ordered) and ordered[place + 1] == length:
            found.append(length)
            continue
        around = ordered[max(place - 1, 0) : place] + ordered[place + 1 : place + 2]
        found.append(min(around, key=lambda other: (abs(other - length), other)))
    return np.array(found)

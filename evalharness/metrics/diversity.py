"""How varied answers are: within an answer, and across all answers of a task."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from evalharness.core.errors import NotComparableError
from evalharness.core.protocols import Array
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import Bools, Ints, np
from evalharness.stats.tails import t_quantile

from .base import BOOTSTRAP, NEEDS_NOTHING, BaseMetric, MeanMetric, answer_text, check_batch, ratio, require
from .text import Vocabulary, unicode_words

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

    A row holds a number that stands for the answer's words, and the metric remembers which (`_answers`; each word is
    four bytes there). The figure of a resample would be wrong whatever it is of: it holds the same answers twice,
    which is just what is measured. So the interval is the jackknife's that leaves out a group of answers at a time: 20
    groups, or each answer where there are fewer. On average it is no narrower than it should be (Efron and Stein 1981).
    """

    higher_is_better = True
    needs = NEEDS_NOTHING
    interval = BOOTSTRAP
    interval_name: ClassVar[str] = "jackknife"
    scores_blank = False
    paired: ClassVar[bool] = False  # rules that compare it with a baseline are refused

    words: str

    def __post_init__(self) -> None:
        # Not options: the answers that numbers stand for, and the numbers of their words.
        object.__setattr__(self, "_answers", {})
        object.__setattr__(self, "_vocabulary", Vocabulary())

    def with_and_without(self, answers: Sequence[Ints], groups: Ints, n_groups: int) -> Array:
        """(1 + n_groups,) the figure of the answers, then without those of each group; NaN where there is none."""
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
                number = _number("\x1f".join(tokens).encode("utf-8", "surrogatepass"))
                if number not in self._known():
                    vocabulary: Vocabulary = self._vocabulary  # type: ignore[attr-defined]
                    self._known()[number] = (vocabulary(tokens).astype(np.int32),)
                rows[index] = (1.0, number)
        return rows

    def _known(self) -> dict[float, tuple[Ints, ...]]:
        found: dict[float, tuple[Ints, ...]] = self._answers  # type: ignore[attr-defined]
        return found

    def merge_repeats(self, rows: Array, owner: Ints) -> Array:
        """The rows of samples with several answers: the number that stands for all of them."""
        merged = np.zeros((int(owner.max()) + 1, 2))
        for index in range(len(merged)):
            own = rows[(owner == index) & (rows[:, 0] > 0)]
            if len(own):
                number = _number(own[:, 1].tobytes())
                self._known()[number] = tuple(self._behind(own))
                merged[index] = (1.0, number)
        return merged

    def _behind(self, rows: Array) -> list[Ints]:
        """The answers of the measured rows, in order."""
        known = self._known()
        numbers = rows[rows[:, 0] > 0, 1].tolist()
        if any(number not in known for number in numbers):
            raise NotComparableError(
                f"{self.name} cannot be computed anew from a record's numbers: it needs the answers themselves; use "
                "at_least or at_most for it"
            )
        return [answer for number in numbers for answer in known[number]]

    def _figure(self, rows: Array) -> float:
        answers = self._behind(rows)
        return (
            float(self.with_and_without(answers, np.zeros(len(answers), dtype=np.int64), 0)[0]) if answers else math.nan
        )

    def finalize(self, totals: Array) -> Array:
        """(..., 2) -> (...): the figure of one row; NaN for totals of several."""
        totals = np.asarray(totals, dtype=np.float64)
        flat = totals.reshape(-1, 2)
        values = [self._figure(row[None]) if row[0] == 1 else math.nan for row in flat]
        return np.array(values, dtype=np.float64).reshape(totals.shape[:-1])

    def finalize_rows(self, stats: Array, weights: Array | None = None) -> Array:
        """The figure of the rows (n, 2) for each row of frequency weights (..., n); None is all 1."""
        stats = np.asarray(stats, dtype=np.float64)
        if weights is None:
            return np.asarray(self._figure(stats))
        weights = np.asarray(weights)
        flat = weights.reshape(-1, len(stats)).astype(np.int64)
        values = [self._figure(np.repeat(stats, row, axis=0)) for row in flat]
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
        _, groups = np.unique(units % _GROUPS, return_inverse=True)
        g = int(groups.max()) + 1 if len(groups) else 0
        answers = self._behind(rows)
        of_row = [len(self._known()[number]) for number in rows[:, 1].tolist()]
        value, *left_out = (
            self.with_and_without(answers, np.repeat(groups, of_row), g).tolist() if g > 1 else [math.nan]
        )
        if not np.isfinite(left_out).all() or not math.isfinite(value):
            return math.nan, math.nan
        error = math.sqrt((g - 1) / g * float(np.sum((np.array(left_out) - np.mean(left_out)) ** 2)))
        half = t_quantile((1 + confidence) / 2, g - 1) * error
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

    def with_and_without(self, answers: Sequence[Ints], groups: Ints, n_groups: int) -> Array:
        grams, owners = _numbered_grams(answers, self.n)
        group = groups[owners]
        distinct, number = np.unique(grams, return_inverse=True)
        # Without a group, the n-grams are gone that stand in no other one.
        pairs = np.unique(number * max(n_groups, 1) + group)
        gram, held_by = pairs // max(n_groups, 1), pairs % max(n_groups, 1)
        alone = np.bincount(gram, minlength=len(distinct))[gram] == 1
        left = len(distinct) - np.concatenate([[0], np.bincount(held_by[alone], minlength=n_groups)[:n_groups]])
        total = len(grams) - np.concatenate([[0], np.bincount(group, minlength=n_groups)[:n_groups]])
        return ratio(left.astype(np.float64), total.astype(np.float64))


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

    def with_and_without(self, answers: Sequence[Ints], groups: Ints, n_groups: int) -> Array:
        lengths = np.array([len(tokens) for tokens in answers], dtype=np.float64)
        tables = [_counted(answers, order) for order in range(1, self.max_order + 1)]
        kept = [np.ones(len(answers), dtype=bool), *(groups != j for j in range(n_groups))]
        return np.array([self._mean_bleu(tables, lengths, mask) for mask in kept])

    def _mean_bleu(self, tables: Sequence[_Counted], lengths: Array, kept: Bools) -> float:
        """The mean BLEU of the answers `kept` against one another."""
        if kept.sum() < 2:
            return math.nan
        own = lengths[kept]
        logs = np.zeros(len(own))
        for order, table in enumerate(tables, 1):
            matches = _matches(table, kept)[kept]
            if order == 1:
                found = matches > 0
            # A text that is too short has one n-gram, and none that matches, as in nltk.
            possible = np.maximum(own - order + 1, 1)
            logs += np.log(np.where(matches > 0, matches, _SMOOTH) / possible) / self.max_order
        nearest = _nearest_others(own)
        penalty = np.where(own > nearest, 1.0, np.exp(1 - nearest / own))
        # Without a common word nltk gives 0 whatever the smoothing.
        return float(np.where(found, penalty * np.exp(logs), 0.0).mean())


class _Counted(NamedTuple):
    """How often answers have n-grams: by n-gram, the answer with most of it first."""

    gram: Ints
    owner: Ints
    counts: Ints


def _counted(answers: Sequence[Ints], order: int) -> _Counted:
    grams, owners = _numbered_grams(answers, order)
    keys, counts = np.unique(grams * len(answers) + owners, return_counts=True)
    gram, owner = keys // len(answers), keys % len(answers)
    falling = np.lexsort((-counts, gram))
    return _Counted(gram[falling], owner[falling], counts[falling])


def _matches(table: _Counted, kept: Bools) -> Array:
    """(answers,) n-grams that some other answer of those `kept` has, each as often as the one with most of them."""
    among = kept[table.owner]
    gram, owner, counts = (column[among] for column in table)
    if not len(gram):
        return np.zeros(len(kept))
    first = np.flatnonzero(np.concatenate(([True], gram[1:] != gram[:-1])))
    sizes = np.diff(first, append=gram.size)
    # The others' highest count is the first one's; for the first itself it is the second's.
    others = np.repeat(counts[first], sizes)
    others[first] = np.where(sizes > 1, counts[np.minimum(first + 1, gram.size - 1)], 0)
    shared = np.minimum(counts, others).astype(np.float64)
    matches: Array = np.bincount(owner, weights=shared, minlength=len(kept)).astype(np.float64)
    return matches


def _number(content: bytes) -> float:
    """A number of the content, so that shards and orders give the same one."""
    return float(int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> (64 - _CODE_BITS) or 1)


def _numbered_grams(answers: Sequence[Ints], n: int) -> tuple[Ints, Ints]:
    """The n-grams of all answers as numbers, equal for equal ones, and the index of the answer that each is of."""
    if not answers:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    lengths = np.array([len(tokens) for tokens in answers])
    tokens = np.concatenate(answers).astype(np.int64)
    owners = np.repeat(np.arange(len(answers)), lengths)
    # How many words of its answer stand at and after each place: an n-gram begins where there are n or more.
    room = np.repeat(np.cumsum(lengths), lengths) - np.arange(tokens.size)
    base = int(tokens.max()) + 1
    grams = tokens
    for order in range(2, n + 1):
        if order > 2:
            grams = np.unique(grams, return_inverse=True)[1].astype(np.int64)
        grams = grams[:-1] * base + tokens[order - 1 :]
    starts = room[: grams.size] >= n
    return grams[starts], owners[: grams.size][starts]


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

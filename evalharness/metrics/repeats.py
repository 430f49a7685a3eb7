"""What several answers to one question show: whether one of them is right, or all, and whether they agree.

A task asks for them with `generate: {repeats: n}`. These metrics see all answers to a sample together and give it one
row, so that intervals draw samples, never single answers: more repeats are no more samples.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Array, Metric, Need
from evalharness.core.registry import registry
from evalharness.core.types import Kind, Response, Sample
from evalharness.stats.arrays import np
from evalharness.stats.pass_at_k import pass_all_k, pass_at_k

from .base import LABELLED_KINDS, NEEDS_NOTHING, PROPORTION, MeanMetric, check_batch, require
from .interval import sample_values
from .labels import label_of
from .text import squad_normalize

__all__ = ["MajAtK", "MajorityShare", "OfAnother", "PassAtK", "PassHatK", "RepeatAgreement", "check_of"]

Normalize = Literal["squad", "strip", "none"]
_NORMALIZERS: dict[str, Callable[[str], str]] = {"squad": squad_normalize, "strip": str.strip, "none": str}


class _OfRepeats(MeanMetric):
    """A mean over samples of a figure of all answers to each."""

    @property
    def least_repeats(self) -> int:
        """How many answers to a sample it takes for a figure."""
        return 2

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        """The rows of samples with one answer each."""
        check_batch(samples, responses)
        return self.repeat_stats(samples, [(response,) for response in responses])

    def repeat_stats(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> Array:
        """(n, k) statistics, a row for each sample from all answers to it, in the order of the repeats."""
        values = self.group_values(samples, groups)
        known = np.array([v is not None for v in values], dtype=np.float64)
        return np.stack([known, np.array([0.0 if v is None else v for v in values], dtype=np.float64)], axis=1)

    def group_values(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> Sequence[float | None]:
        """The value of each sample; None where there are too few answers."""
        raise NotImplementedError


class OfAnother(_OfRepeats):
    """One that counts right answers: which are right, another metric says (`of`)."""

    of: str | dict[str, dict[str, Any]]
    threshold: float

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.signature))

    @property
    def judge(self) -> Metric:
        """The metric that says what an answer is worth."""
        bound: Metric | None = self.__dict__.get("_judge")
        return _metric(self.of, self.name) if bound is None else bound

    def _judged_by(self, metric: Metric) -> Metric:
        found = dataclasses.replace(cast(Any, self))
        object.__setattr__(found, "_judge", metric)
        return cast(Metric, found)

    def for_task(self, labels: tuple[str, ...]) -> Metric:
        return self._judged_by(self.judge.for_task(labels))

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """What the other metric needs and does not find."""
        for _, message in getattr(self.judge, "faults", lambda base: ())(base):
            yield "of", message

    def for_run(self, *, base: Path, allow_code: bool) -> Metric:
        """With the other metric ready to compute: it may be the user's code."""
        load = getattr(self.judge, "for_run", None)
        return cast(Metric, self) if load is None else self._judged_by(load(base=base, allow_code=allow_code))

    def as_recorded(self, signature: str) -> Metric:
        """As the record has it: the other metric may be the user's code, which only its signature names."""
        recorded = getattr(self.judge, "as_recorded", None)
        inner = signature.partition("|of:(")[2].rpartition(")|")[0]
        return cast(Metric, self) if recorded is None else self._judged_by(recorded(inner))

    @property
    def kinds(self) -> frozenset[Kind]:  # type: ignore[override]
        return self.judge.kinds

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        return self.judge.needs

    @property
    def scores_blank(self) -> bool:  # type: ignore[override]
        return self.judge.scores_blank

    @property
    def signature(self) -> str:
        options = "|".join(f"{key}:{value}" for key, value in self.options().items() if key != "of")
        return f"{self.name}|{options}|of:({self.judge.signature})|version:{self.version}"

    def right(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> list[list[bool] | None]:
        """Which answers to each sample are right; None for a sample that the other metric does not measure."""
        metric = self.judge
        asked = [sample for sample, group in zip(samples, groups, strict=True) for _ in group]
        rows = metric.sample_stats(asked, [response for group in groups for response in group])
        values = iter(sample_values(metric, rows).tolist())
        found: list[list[bool] | None] = []
        for group in groups:
            worth = [next(values) for _ in group]
            known = [value for value in worth if value == value]
            found.append([self._is_right(value, metric) for value in known] if len(known) == len(group) else None)
        return found

    def _is_right(self, value: float, metric: Metric) -> bool:
        return value >= self.threshold if metric.higher_is_better else value <= self.threshold


def _metric(of: str | Mapping[str, Mapping[str, Any]], owner: str) -> Metric:
    """The metric behind the option `of`, with its options checked as a suite's are."""
    name, options = (of, {}) if isinstance(of, str) else next(iter(of.items()))
    factory: Any = registry("metrics").load(name)
    if hasattr(factory, "for_judgement") or hasattr(factory, "repeat_stats"):
        does = "asks a judge" if hasattr(factory, "for_judgement") else "looks at several answers"
        raise UsageError(f"{owner}: of: {name} {does}, and cannot say whether one answer is right; try exact_match")
    if not options and not any(map(_is_required, dataclasses.fields(factory))):
        return cast(Metric, factory())
    from pydantic import TypeAdapter, ValidationError

    try:
        return cast(Metric, TypeAdapter(factory).validate_json(json.dumps(options), strict=True))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, (name, *first["loc"])))
        raise UsageError(f"{owner}: of: {place}: {first['msg']}") from error


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def check_of(of: str | dict[str, dict[str, Any]], owner: str) -> None:
    """Raise unless `of` is a metric that says what a single answer is worth."""
    require(isinstance(of, str) or len(of) == 1, "of must be one metric: exact_match, or {numeric_match: {…}}")
    try:
        _metric(of, owner)
    except UsageError as error:
        require(False, str(error))


class _PassK(OfAnother):
    k: int

    interval = PROPORTION

    def __post_init__(self) -> None:
        require(self.k >= 1, f"k must be at least 1; got {self.k}")
        check_of(self.of, self.name)

    @property
    def least_repeats(self) -> int:
        return self.k

    def share(self, n: int, c: int) -> float:
        """The figure of a sample with c right answers of n."""
        raise NotImplementedError

    def group_values(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> Sequence[float | None]:
        return [
            None if right is None or len(right) < self.k else self.share(len(right), sum(right))
            for right in self.right(samples, groups)
        ]


@dataclass(frozen=True, kw_only=True)
class PassAtK(_PassK):
    """pass@k: how likely k answers to a sample are to have a right one among them, averaged over the samples.

        Σ_i (1 − C(n_i−c_i, k)/C(n_i, k)) / N

    with n_i answers to sample i (the task's `generate: {repeats: n}`), c_i of them right. All n answers are used, also
    where k is smaller; 1 − (1 − c/n)^k would be too low. Ask with a temperature above 0: equal answers make pass@k the
    same for all k. A sample with fewer than k usable answers is not measured. Intervals draw samples, not answers.

    Options:
        k: how many answers one may take.
        of: the metric that says what an answer is worth: `exact_match`, `{numeric_match: {absolute: 0.01}}`, a metric
            that runs code …
        threshold: from which value on an answer is right (up to which, where lower is better).

    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1, in its stable product form, equal to 1e-12.
    """

    k: int = 1
    of: str | dict[str, dict[str, Any]] = "exact_match"
    threshold: float = 1.0

    name = "pass_at_k"
    __hash__ = OfAnother.__hash__

    def share(self, n: int, c: int) -> float:
        return pass_at_k(n, c, self.k)


@dataclass(frozen=True, kw_only=True)
class PassHatK(_PassK):
    """pass^k: how likely k answers to a sample are to be right every one, averaged over the samples.

        Σ_i C(c_i, k)/C(n_i, k) / N

    with n_i answers to sample i (the task's `generate: {repeats: n}`), c_i of them right: what a user meets who asks k
    times, where pass@k is what one meets who may take the best of k. A sample with fewer than k usable answers is not
    measured. Intervals draw samples, not answers.

    Options:
        k: how many answers must all be right.
        of: the metric that says what an answer is worth: `exact_match`, `{numeric_match: {absolute: 0.01}}`, a metric
            that runs code …
        threshold: from which value on an answer is right (up to which, where lower is better).

    Source: Yao et al. 2024 (τ-bench, arXiv 2406.12045), section 3, equal to 1e-12.
    """

    k: int = 1
    of: str | dict[str, dict[str, Any]] = "exact_match"
    threshold: float = 1.0

    name = "pass_hat_k"
    __hash__ = OfAnother.__hash__

    def share(self, n: int, c: int) -> float:
        return pass_all_k(n, c, self.k)


def _votes(group: Sequence[Response], normalize: Normalize) -> list[str | None]:
    """What each answer says; None of one that could not be read, which agrees with no other."""
    norm = _NORMALIZERS[normalize]
    said = [label_of(response) for response in group]
    return [None if text is None else norm(text) for text in said]


@dataclass(frozen=True, kw_only=True)
class MajAtK(OfAnother):
    """maj@k: share of samples whose most frequent answer among the repeats is right (self-consistency).

        Σ_i [majority(answer_i1 … answer_ik) is right] / N

    Answers are compared after normalisation, best after the task's `extract` has read them from the reasoning; one that
    could not be read has no vote, and no vote at all is wrong. Of several most frequent answers each counts its part,
    as if the lot decided. A sample with fewer than k usable answers is not measured.

    Options:
        k: how many answers vote, the first ones; without it all of them do.
        of: the metric that says what the winning answer is worth: `exact_match`, `{numeric_match: {absolute: 0.01}}` …
        threshold: from which value on an answer is right (up to which, where lower is better).
        normalize: when two answers are the same: squad, strip and none as in `exact_match`.

    Source: Wang et al. 2022 (arXiv 2203.11171); Lewkowycz et al. 2022 (Minerva) for the name.
    """

    k: int | None = None
    of: str | dict[str, dict[str, Any]] = "exact_match"
    threshold: float = 1.0
    normalize: Literal["squad", "strip", "none"] = "squad"

    name = "maj_at_k"
    interval = PROPORTION
    __hash__ = OfAnother.__hash__

    def __post_init__(self) -> None:
        require(self.k is None or self.k >= 1, f"k must be at least 1; got {self.k}")
        check_of(self.of, self.name)

    @property
    def least_repeats(self) -> int:
        return 2 if self.k is None else self.k

    @property
    def counts_repeats(self) -> bool:
        """Whether runs with other numbers of repeats are not comparable: all answers vote."""
        return self.k is None

    def group_values(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> Sequence[float | None]:
        voting = [group if self.k is None else group[: self.k] for group in groups]
        return [
            None if right is None or len(group) < self.least_repeats else self._majority(group, right)
            for group, right in zip(voting, self.right(samples, voting), strict=True)
        ]

    def _majority(self, group: Sequence[Response], right: Sequence[bool]) -> float:
        votes = _votes(group, self.normalize)
        counts = Counter(vote for vote in votes if vote is not None)
        if not counts:
            return 0.0
        winners = [vote for vote, n in counts.items() if n == max(counts.values())]
        return sum(right[votes.index(vote)] for vote in winners) / len(winners)


class _OfVotes(_OfRepeats):
    normalize: Normalize

    kinds = LABELLED_KINDS
    needs = NEEDS_NOTHING
    scores_blank = False

    def group_values(self, samples: Sequence[Sample], groups: Sequence[Sequence[Response]]) -> Sequence[float | None]:
        return [None if len(group) < 2 else self.of_votes(_votes(group, self.normalize)) for group in groups]

    def of_votes(self, votes: Sequence[str | None]) -> float:
        """The figure of one sample's answers, two or more."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class MajorityShare(_OfVotes):
    """Mean share of a sample's answers that give its most frequent one: how sure of itself the model is.

        Σ_i max_a |{j : answer_ij = a}| / n_i / N

    It never falls below 1/n, so runs with other numbers of repeats are not comparable by it; `repeat_agreement` is. An
    answer that could not be read agrees with none. A sample with fewer than two usable answers is not measured.
    Consistent is not right: see `maj_at_k`.

    Options:
        normalize: when two answers are the same: squad, strip and none as in `exact_match`.

    Source: Wang et al. 2022 (arXiv 2203.11171), section 3.4 (consistency).
    """

    normalize: Literal["squad", "strip", "none"] = "squad"

    name = "majority_share"
    counts_repeats = True

    def of_votes(self, votes: Sequence[str | None]) -> float:
        counts = Counter(vote for vote in votes if vote is not None)
        return max(counts.values(), default=0) / len(votes)


@dataclass(frozen=True, kw_only=True)
class RepeatAgreement(_OfVotes):
    """How often two answers to the same sample are the same one.

        Σ_i Σ_a m_ia·(m_ia − 1) / (n_i·(n_i − 1)) / N

    with m_ia of the n_i answers to sample i saying a. It is unbiased for any number of repeats. An answer that could
    not be read agrees with none. A sample with fewer than two usable answers is not measured.

    Options:
        normalize: when two answers are the same: squad, strip and none as in `exact_match`.

    Source: the observed agreement of Fleiss 1971, the repeats in place of raters.
    """

    normalize: Literal["squad", "strip", "none"] = "squad"

    name = "repeat_agreement"

    def of_votes(self, votes: Sequence[str | None]) -> float:
        counts = Counter(vote for vote in votes if vote is not None)
        n = len(votes)
        return sum(m * (m - 1) for m in counts.values()) / (n * (n - 1))

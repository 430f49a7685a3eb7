"""How well documents were found: ranked names or passages against those that are relevant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalharness.core.errors import UsageError
from evalharness.core.protocols import Need
from evalharness.core.types import Response, Sample

from .base import NEEDS_NOTHING, NEEDS_REFERENCES, MeanMetric, require
from .places import Place, absent_everywhere, items_of, parse_place

__all__ = ["MeanAveragePrecision", "MeanReciprocalRank", "NdcgAtK", "PrecisionAtK", "RecallAtK"]

Match = Literal["id", "text"]


class _Retrieval(MeanMetric):
    """What all share: where the ranked list and the relevant documents stand, and what matches what."""

    __slots__ = ()

    retrieved: str
    relevant: str
    match: Match

    def __post_init__(self) -> None:
        parse_place(self.retrieved, option="retrieved")
        parse_place(self.relevant, option="relevant")
        k = getattr(self, "k", None)
        require(k is None or k >= 1, f"k must be 1 or more, not {k}")

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        """A reference, where that tells what is relevant."""
        return NEEDS_REFERENCES if self.relevant == "references" else NEEDS_NOTHING

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        retrieved = parse_place(self.retrieved, option="retrieved")
        relevant = parse_place(self.relevant, option="relevant")
        lists = [retrieved.found(s, r) for s, r in zip(samples, responses, strict=True)]
        absent_everywhere(self.name, retrieved, lists, responses)
        found: list[float | None] = []
        for sample, response, value in zip(samples, responses, lists, strict=True):
            key = _folded if self.match == "text" else str
            grades = {key(name): grade for name, grade in _grades(relevant, sample, response).items()}
            if not grades:
                found.append(None)
                continue
            ranked = list(map(key, items_of(value, place=retrieved, sample=sample)))
            found.append(self.value(_gains(ranked, grades, self.match), sorted(grades.values(), reverse=True)))
        return found

    def value(self, gains: Sequence[tuple[float, ...]], ideal: Sequence[float]) -> float:
        """The figure of one sample: the grades first found at each rank, and all grades, the highest first."""
        raise NotImplementedError


def _grades(place: Place, sample: Sample, response: Response) -> dict[str, float]:
    """The relevant documents with their grades: 1 each, or what a mapping says; grades of 0 and less are none."""
    value = place.found(sample, response)
    if not isinstance(value, dict):
        return dict.fromkeys(items_of(value, place=place, sample=sample), 1.0)
    found = {}
    for name, grade in value.items():
        if isinstance(grade, bool) or not isinstance(grade, int | float) or not math.isfinite(grade):
            raise UsageError(
                f"sample {sample.id!r}: {place.written}: the grade of {name!r} is {grade!r}; a grade is a number: "
                "{document: grade}, or write a list of documents"
            )
        if grade > 0:
            found[str(name)] = float(grade)
    return found


def _gains(ranked: Sequence[str], grades: dict[str, float], match: Match) -> list[tuple[float, ...]]:
    """The grades of the relevant documents that are first found at each rank; what stands twice is left out."""
    waiting = dict(grades)
    gains = []
    for item in dict.fromkeys(ranked):
        hits = [name for name in waiting if (item == name if match == "id" else name in item or item in name)]
        gains.append(tuple(waiting.pop(name) for name in hits))
    return gains


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAtK(_Retrieval):
    """Mean share of the relevant documents that stand among the first k retrieved.

        mean_i |first k of i ∩ relevant_i| / |relevant_i|

    A sample without relevant documents is left out; one that retrieved nothing is worth 0. A document that is
    retrieved twice counts at its first rank, and the others move up. With more than k relevant documents 1 cannot be
    reached.

    Options:
        k: how many of the first documents count.
        retrieved: where the ranked documents stand, the best first: meta.docs.id (what the answer brought along),
            answer (a JSON list, or one in each line), answer.docs (JSON), row.column.
        relevant: where the relevant ones stand: references, target, or row.column.
        match: id compares names as they are; text takes passages, of which one contains the other.

    Source: Manning, Raghavan, Schütze 2008, chapter 8; equals trec_eval's recall_k to 1e-12.
    """

    k: int = 5
    retrieved: str = "answer"
    relevant: str = "references"
    match: Literal["id", "text"] = "id"

    name = "recall_at_k"

    def value(self, gains: Sequence[tuple[float, ...]], ideal: Sequence[float]) -> float:
        return sum(map(len, gains[: self.k])) / len(ideal)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionAtK(_Retrieval):
    """Mean share of relevant documents among the first k retrieved.

        mean_i |first k of i ∩ relevant_i| / k

    Divided by k also where fewer were retrieved: what is missing is not relevant. A sample without relevant documents
    is left out. Under `match: text`, a passage that holds only what an earlier one held counts as not relevant.

    Options:
        k: how many of the first documents count.
        retrieved: where the ranked documents stand, the best first: meta.docs.id (what the answer brought along),
            answer (a JSON list, or one in each line), answer.docs (JSON), row.column.
        relevant: where the relevant ones stand: references, target, or row.column.
        match: id compares names as they are; text takes passages, of which one contains the other.

    Source: Manning, Raghavan, Schütze 2008, chapter 8; equals trec_eval's P_k to 1e-12.
    """

    k: int = 5
    retrieved: str = "answer"
    relevant: str = "references"
    match: Literal["id", "text"] = "id"

    name = "precision_at_k"

    def value(self, gains: Sequence[tuple[float, ...]], ideal: Sequence[float]) -> float:
        return sum(map(bool, gains[: self.k])) / self.k


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanReciprocalRank(_Retrieval):
    """Mean reciprocal rank of the first relevant document (MRR); 0 where there is none.

        mean_i 1 / min{rank r : document r of i is relevant}

    A sample without relevant documents is left out.

    Options:
        k: how many of the first documents count (default: all that were retrieved).
        retrieved: where the ranked documents stand, the best first: meta.docs.id (what the answer brought along),
            answer (a JSON list, or one in each line), answer.docs (JSON), row.column.
        relevant: where the relevant ones stand: references, target, or row.column.
        match: id compares names as they are; text takes passages, of which one contains the other.

    Source: Voorhees 1999 (TREC-8 question answering); equals trec_eval's recip_rank to 1e-12.
    """

    k: int | None = None
    retrieved: str = "answer"
    relevant: str = "references"
    match: Literal["id", "text"] = "id"

    name = "mrr"

    def value(self, gains: Sequence[tuple[float, ...]], ideal: Sequence[float]) -> float:
        return next((1 / rank for rank, gain in enumerate(gains[: self.k], start=1) if gain), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NdcgAtK(_Retrieval):
    """Mean normalised discounted cumulative gain of the first k documents (nDCG@k).

        DCG = Σ_{r≤k} g(grade_r) / log2(r + 1),  nDCG = DCG / DCG of the best order of all relevant documents

    Grades come from a mapping {document: grade}; documents of a list have grade 1. A sample without relevant documents
    is left out. The two gains are both called nDCG by their users: say which one a published number has.

    Options:
        k: how many of the first documents count.
        gain: linear is the grade itself; exponential is 2^grade − 1.
        retrieved: where the ranked documents stand, the best first: meta.docs.id (what the answer brought along),
            answer (a JSON list, or one in each line), answer.docs (JSON), row.column.
        relevant: where the relevant ones stand: references, target, or row.column, there perhaps with grades.
        match: id compares names as they are; text takes passages, of which one contains the other.

    Source: Järvelin and Kekäläinen 2002; linear equals scikit-learn's `ndcg_score` and trec_eval's ndcg_cut_k to 1e-12,
    exponential is Burges et al. 2005.
    """

    k: int = 10
    gain: Literal["linear", "exponential"] = "linear"
    retrieved: str = "answer"
    relevant: str = "references"
    match: Literal["id", "text"] = "id"

    name = "ndcg_at_k"

    def value(self, gains: Sequence[tuple[float, ...]], ideal: Sequence[float]) -> float:
        # Of several found at one rank (texts) the highest counts: the best order gives each a rank of its own.
        best = self._dcg(ideal)
        return min(1.0, self._dcg([max(grades, default=0.0) for grades in gains]) / best)

    def _dcg(self, grades: Sequence[float]) -> float:
        worth = (grade if self.gain == "linear" else 2.0**grade - 1 for grade in grades[: self.k])
        return math.fsum(value / math.log2(rank + 1) for rank, value in enumerate(worth, start=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanAveragePrecision(_Retrieval):
    """Mean over samples of the average precision at the ranks of the relevant documents (MAP).

        mean_i (1/|relevant_i|) Σ_{r≤k, document r relevant} precision at r

    Relevant documents that were not retrieved count with precision 0. A sample without relevant documents is left out.
    It is not the area under the curve of a classifier, which the same name is used for.

    Options:
        k: how many of the first documents count (default: all that were retrieved).
        retrieved: where the ranked documents stand, the best first: meta.docs.id (what the answer brought along),
            answer (a JSON list, or one in each line), answer.docs (JSON), row.column.
        relevant: where the relevant ones stand: references, target, or row.column.
        match: id compares names as they are; text takes passages, of which one contains the other.

    Source: Manning, Raghavan, Schütze 2008, chapter 8; equals trec_eval's map and map_cut_k to 1e-12.
    """

    k: int | None = None
    retrieved: str = "answer"
    relevant: str = "references"
    match: Literal["id", "text"] = "id"

    name = "map"

    def value(self, gains: Sequence[tuple[float, ...]], ideal: Sequence[float]) -> float:
        total, hits = 0.0, 0
        for rank, gain in enumerate(gains[: self.k], start=1):
            if gain:
                hits += 1
                total += hits / rank * len(gain)
        return total / len(ideal)

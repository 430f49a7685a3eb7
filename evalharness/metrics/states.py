"""How often answers end in each state: errors, refusals, cut-off and unreadable answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalharness.core.refusals import DETECTOR
from evalharness.core.types import FAILED_STATES, KINDS, Response, Sample, Status

from .base import NEEDS_NOTHING, PROPORTION, MeanMetric

__all__ = ["ErrorRate", "RefusalRate", "TruncatedRate", "UnparsedRate", "state_of"]


def state_of(response: Response) -> Status:
    """The state of a response; `judge_failed` of one that came, and on which a judging has no usable verdict."""
    judged = response.meta.get("judged") if response.meta else None
    if response.status in FAILED_STATES or not isinstance(judged, Mapping):
        return response.status
    failed = any(isinstance(found, Mapping) and found.get("value") is None for found in judged.values())
    return "judge_failed" if failed else response.status


class _StateRate(MeanMetric):
    """Share of responses in some states; it sees the failed ones too."""

    __slots__ = ()

    states: ClassVar[frozenset[Status]] = frozenset()
    higher_is_better = False
    kinds = frozenset(KINDS)
    needs = NEEDS_NOTHING
    interval = PROPORTION
    scores_blank = False
    counts_states = True
    total = "responses"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [float(response.status in self.states) for response in responses]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRate(_StateRate):
    """Share of requests to which no usable answer came: the call, or the judge, failed.

        Σ_i [status_i is error or judge_failed] / n

    Source: the states of the response; counted over all requests, failed ones included.
    """

    name = "error_rate"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [float(state_of(response) in FAILED_STATES) for response in responses]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRate(_StateRate):
    """Share of requests that the model refused to answer, as its server says or as its text reads.

        Σ_i [status_i is refusal] / n

    Source: the states of the response; counted over all requests, failed ones included.
    """

    name = "refusal_rate"
    # Other rules find other refusals: figures by two versions of them are not to be compared.
    version = DETECTOR
    states: ClassVar[frozenset[Status]] = frozenset({"refusal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedRate(_StateRate):
    """Share of answers that were cut off at the token limit.

        Σ_i [status_i is truncated] / n

    Source: the states of the response; counted over all requests, failed ones included.
    """

    name = "truncated_rate"
    states: ClassVar[frozenset[Status]] = frozenset({"truncated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UnparsedRate(_StateRate):
    """Share of answers from which the task's `extract` could read nothing.

        Σ_i [status_i is unparsed] / n

    Source: the states of the response; counted over all requests, failed ones included.
    """

    name = "unparsed_rate"
    states: ClassVar[frozenset[Status]] = frozenset({"unparsed"})

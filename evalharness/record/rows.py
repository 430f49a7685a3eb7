"""The rows that a record is made of, as a runner hands them over and as they come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core.types import Request, Response, Sample

if TYPE_CHECKING:
    from ..core.protocols import Array

__all__ = ["RowInput", "SampleRow", "ScoreRow", "ScoreTable", "StatsRow", "StatsTable"]

RowInput: TypeAlias = Mapping[str, Any]
"""A row as a mapping with the field names of the dataclass that it stands for."""


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One question and its answer: the sample, what was asked about it, and what came back.

    `from_store` tells whether the answer was found in the response store.
    """

    task: str
    model: str
    sample: Sample
    request: Request
    response: Response
    from_store: bool = False


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The figure of one sample by itself: `finalize` of its own row of statistics; NaN where there is none."""

    task: str
    model: str
    metric: str
    sample_id: str
    digest: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """The figures of many samples by themselves: `values` is (n,) float64, the rest has length n.

    Handed over in place of single `ScoreRow`s, it is written without a Python object per row.
    """

    task: str
    model: str
    metric: str
    sample_ids: Sequence[str]
    digests: Sequence[str]
    values: Array

    def __len__(self) -> int:
        return len(self.sample_ids)


@dataclass(frozen=True, slots=True)
class StatsRow:
    """The additive statistics of one sample under one metric."""

    task: str
    model: str
    metric: str
    sample_id: str
    digest: str
    cluster: str | None
    stats: Sequence[float]


@dataclass(frozen=True, slots=True, eq=False)
class StatsTable:
    """The additive statistics of all samples of one figure: `values` is (n, k) float64, the rest has length n.

    Runs are paired on `digests`; `clusters` are None where the samples are independent. A runner may hand these over
    in place of single `StatsRow`s: they are written without a Python object per row.
    """

    task: str
    model: str
    metric: str
    sample_ids: Sequence[str]
    digests: Sequence[str]
    clusters: Sequence[str | None]
    values: Array

    def __len__(self) -> int:
        return len(self.sample_ids)

"""What judges and people said of a response, read from where a run keeps it, and the base of the metrics on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evalharness.core.protocols import Array
from evalharness.core.types import FAILED_STATES, Response, Sample
from evalharness.stats.arrays import np

from .base import BOOTSTRAP, NEEDS_NOTHING, BaseMetric, check_batch

__all__ = ["JUDGED", "Judged", "OfJudge", "judged_of", "never_came"]

JUDGED = "judged"
"""Under this key of `response.meta` stand the judgements of a response, by figure."""


class Judged(NamedTuple):
    """What judges and people said of one response: the judges' mean and people's ratings; each may be missing."""

    value: float | None
    human: tuple[float, ...]
    verdicts: tuple[float, ...]

    @property
    def human_mean(self) -> float:
        """The mean of people's ratings; NaN where there is none."""
        return math.fsum(self.human) / len(self.human) if self.human else math.nan

    @property
    def judged(self) -> float:
        """The judges' value; NaN where there is none."""
        return math.nan if self.value is None else self.value


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def judged_of(response: Response, figure: str) -> Judged:
    """What `response.meta` holds for `figure`; nothing where it holds none. What is no finite number is left out."""
    judged = response.meta.get(JUDGED)
    found = judged.get(figure) if isinstance(judged, Mapping) else None
    if not isinstance(found, Mapping):
        return Judged(None, (), ())
    human = (_number(value) for value in _list(found.get("human")))
    said = (
        _number(verdict.get("value"))
        for verdict in _list(found.get("verdicts"))
        if isinstance(verdict, Mapping) and verdict.get("status") == "ok"
    )
    return Judged(
        _number(found.get("value")),
        tuple(value for value in human if value is not None),
        tuple(value for value in said if value is not None),
    )


def never_came(response: Response) -> bool:
    """Whether there is no answer that could be judged: such a response is scored where failures count as wrong."""
    return response.status in FAILED_STATES and JUDGED not in response.meta


class OfJudge(BaseMetric):
    """What all share: the figure they belong to."""

    __slots__ = ()

    needs = NEEDS_NOTHING
    scores_blank = False
    bounds = (-1.0, 1.0)
    interval = BOOTSTRAP
    figure: str

    def read(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[Judged]:
        """What was said of each response."""
        check_batch(samples, responses)
        return [judged_of(response, self.figure) for response in responses]

    def pairs(self, samples: Sequence[Sample], responses: Sequence[Response]) -> tuple[Array, Array]:
        """(n,) judges' values and (n,) means of people's ratings, both NaN where either is missing."""
        found = self.read(samples, responses)
        judged = np.array([j.judged for j in found], dtype=np.float64)
        human = np.array([j.human_mean for j in found], dtype=np.float64)
        missing = np.isnan(judged) | np.isnan(human)
        return np.where(missing, np.nan, judged), np.where(missing, np.nan, human)

"""The JSON interface to what people rated: how far they agree, and how the models fare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request

from ..core.types import MetricResult
from ..report.people import PeopleView, people_view
from .api_shared import ERRORS, PREFIX, Router, Viewer
from .pages.rating import MOST_RATINGS, raters_of, ratings_of
from .queries.runs import FigureRow

__all__ = ["router"]

router = Router(prefix=PREFIX, tags=["annotation"], responses=ERRORS)
Name = Annotated[str, Query(max_length=1_000)]


@dataclass(frozen=True, slots=True)
class RatedQuestion:
    """What people said to a question, and how far they agree; numbers that are not known are null.

    `percent` is the share of equal pairs of ratings, `alpha` Krippendorff's with its interval, `kappa` Cohen's.
    """

    asked: str
    question: str
    n_raters: int
    n_rated: int
    n_ratings: int
    n_shared: int
    percent: float | None
    kappa: float | None
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    figures: tuple[FigureRow, ...]


@dataclass(frozen=True, slots=True)
class Agreed:
    """The ratings of a task: raters with their number of answers, and each question that was asked."""

    raters: dict[str, int]
    questions: tuple[RatedQuestion, ...]


@router.get("/ratings/results")
def agreed(request: Request, visitor: Viewer, run: Name, task: Name, asked: Name = "") -> Agreed:
    """Who rated how much, how far they agree, and how the models fare."""
    ratings = ratings_of(request, run, task, asked)
    return Agreed(raters_of(ratings), tuple(map(_question, people_view(ratings[:MOST_RATINGS]))))


def _question(view: PeopleView) -> RatedQuestion:
    a = view.agreement
    return RatedQuestion(
        asked=view.asked,
        question=view.question,
        n_raters=view.n_raters,
        n_rated=view.n_rated,
        n_ratings=view.n_ratings,
        n_shared=a.n_shared,
        percent=_known(a.percent),
        kappa=_known(a.kappa),
        alpha=_known(a.alpha),
        alpha_low=_known(a.alpha_low),
        alpha_high=_known(a.alpha_high),
        figures=tuple(map(_figure, view.results)),
    )


def _figure(r: MetricResult) -> FigureRow:
    value, low, high = map(_known, (r.value, r.ci_low, r.ci_high))
    return FigureRow(r.task, r.model, r.metric, r.group, value, low, high, r.n, r.n_failed)


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None

"""A figure over the releases of a suite, with its interval as a band, and which runs were promoted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from ...record.database import reading
from ...report.charts import Chart, Mark, Point
from ...report.charts import trend as trend_chart
from ..access import Visitor, needs
from ..charts import untitled
from ..queries.runs import suites
from ..queries.trends import MOST_RELEASES, Trend, TrendPoint, choices, trend_of
from ..web import page, settings_of

router = APIRouter()
Short = Annotated[str, Query(max_length=300)]


@router.get("/trend", include_in_schema=False)
def trend(
    request: Request,
    visitor: Annotated[Visitor, Depends(needs("viewer"))],
    suite: Short = "",
    figure: Short = "",
    model: Short = "",
) -> Response:
    """One metric over releases; `figure` is task.metric."""
    with reading(settings_of(request).registry.engine) as connection:
        known = suites(connection)
        suite = suite or next((name for name, _ in known), "")
        offered = choices(connection, suite)
        figures = list(dict.fromkeys((one.task, one.metric) for one in offered))
        wanted = next((pair for pair in figures if ".".join(pair) == figure), figures[0] if figures else None)
        found = None if wanted is None else trend_of(connection, suite, *wanted, model=model or None)
    points = {} if found is None else _by_model(found)
    return page(
        request,
        "trend.html.j2",
        here="trend",
        title="Trend",
        suites=known,
        suite=suite,
        figures=[".".join(pair) for pair in figures],
        figure=".".join(wanted) if wanted else "",
        models=sorted({one.model for one in offered if (one.task, one.metric) == wanted}),
        model=model,
        trend=found,
        most=MOST_RELEASES,
        charts=[] if found is None else [_chart(found, name, own) for name, own in points.items()],
        points=points,
    )


def _by_model(found: Trend) -> dict[str, list[TrendPoint]]:
    points: dict[str, list[TrendPoint]] = {}
    for one in found.points:
        points.setdefault(one.model, []).append(one)
    return points


def _chart(found: Trend, model: str, points: Sequence[TrendPoint]) -> Chart:
    """The line of one model. Releases stand side by side, however long it was from one to the next."""
    named = Counter(one.run_name for one in points)
    at = {
        one.run_id: one.run_name if named[one.run_name] == 1 else f"{one.run_name} {one.run_id[-6:]}" for one in points
    }
    marks = [Mark(at[one.run_id], "promotion", one.label) for one in found.promotions if one.run_id in at]
    chart = trend_chart(
        [
            Point(at[one.run_id], _or_nan(one.value), _or_nan(one.ci_low), _or_nan(one.ci_high), f"n = {one.n:,}")
            for one in points
        ],
        title=f"{found.task}.{found.metric} · {model}",
        of=found.metric,
        is_time=False,
        marks=marks,
        width=900,
    )
    return untitled(chart)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value

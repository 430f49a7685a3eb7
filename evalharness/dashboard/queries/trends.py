"""A figure over the releases of a suite."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from ...record.tables import RESULTS, RUNS
from .runs import Promotion, number, promotions_of

__all__ = ["MOST_RELEASES", "Choice", "Trend", "TrendPoint", "choices", "trend_of"]

MOST_RELEASES = 200
"""Releases that a trend shows, the newest ones."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A figure that a suite has: what a trend can be of."""

    task: str
    metric: str
    model: str


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A figure of one run; None is "not known"."""

    run_id: str
    run_name: str
    created_utc: datetime
    model: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Trend:
    """The points of a figure in the order of the runs, and which of these runs were promoted."""

    suite: str
    task: str
    metric: str
    group: str | None
    points: tuple[TrendPoint, ...]
    promotions: tuple[Promotion, ...]


def choices(connection: Connection, suite: str, *, n_runs: int = 5) -> tuple[Choice, ...]:
    """The figures of the newest runs of a suite in their order, groups aside."""
    newest = select(RUNS.c.id).where(RUNS.c.suite_name == suite).order_by(RUNS.c.created_utc.desc()).limit(n_runs)
    ids = list(connection.execute(newest).scalars())
    query = (
        select(RESULTS.c.task, RESULTS.c.metric, RESULTS.c.model)
        .where(RESULTS.c.run_id.in_(ids), RESULTS.c.group_name.is_(None))
        .group_by(RESULTS.c.task, RESULTS.c.metric, RESULTS.c.model)
        # As the runs recorded them: what a suite asks for stands before what every task has besides.
        .order_by(func.min(RESULTS.c.id))
    )
    return tuple(Choice(*row) for row in connection.execute(query))


def trend_of(
    connection: Connection,
    suite: str,
    task: str,
    metric: str,
    *,
    model: str | None = None,
    group: str | None = None,
    limit: int = MOST_RELEASES,
) -> Trend:
    """A figure of the newest `limit` runs of a suite, the oldest of them first."""
    newest = (
        select(RUNS.c.id, RUNS.c.name, RUNS.c.created_utc, RUNS.c.verdict)
        .where(RUNS.c.suite_name == suite)
        .order_by(RUNS.c.created_utc.desc(), RUNS.c.id.desc())
        .limit(limit)
    )
    runs = {row.id: row for row in connection.execute(newest)}
    query = select(RESULTS).where(
        RESULTS.c.run_id.in_(list(runs)),
        RESULTS.c.task == task,
        RESULTS.c.metric == metric,
        RESULTS.c.group_name.is_(None) if group is None else RESULTS.c.group_name == group,
    )
    if model is not None:
        query = query.where(RESULTS.c.model == model)
    points = [
        TrendPoint(
            row["run_id"],
            runs[row["run_id"]].name,
            runs[row["run_id"]].created_utc,
            row["model"],
            number(row["value"]),
            number(row["ci_low"]),
            number(row["ci_high"]),
            row["n"],
            runs[row["run_id"]].verdict,
        )
        for row in connection.execute(query).mappings()
    ]
    points.sort(key=lambda point: (point.created_utc, point.run_id, point.model))
    marks = tuple(mark for mark in promotions_of(connection, suite) if mark.run_id in runs)
    return Trend(suite, task, metric, group, tuple(points), marks)

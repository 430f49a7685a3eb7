"""What people rated: how many outputs of which task, by how many raters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from ...record.tables import RATINGS, RUNS

__all__ = ["RatedTask", "rated_tasks"]


@dataclass(frozen=True, slots=True)
class RatedTask:
    """The ratings of a task of a run under one question. `is_known` tells whether the run is in the registry."""

    run_id: str
    task: str
    question: str
    asked: str
    n_ratings: int
    n_samples: int
    n_raters: int
    last_utc: datetime
    is_known: bool


def rated_tasks(connection: Connection, *, limit: int = 100) -> tuple[RatedTask, ...]:
    """What was rated in the `limit` runs that were rated last; replaced ratings and those taken back do not count."""
    last_runs = select(RATINGS.c.run_id).group_by(RATINGS.c.run_id).order_by(func.max(RATINGS.c.id).desc()).limit(limit)
    run_ids = list(connection.execute(last_runs).scalars())
    identity = [RATINGS.c[n] for n in ("run_id", "task", "model", "sample_id", "repeat", "rater", "question", "asked")]
    newest = select(func.max(RATINGS.c.id)).where(RATINGS.c.run_id.in_(run_ids)).group_by(*identity, RATINGS.c.against)
    query = (
        select(
            RATINGS.c.run_id,
            RATINGS.c.task,
            RATINGS.c.question,
            RATINGS.c.asked,
            func.count(),
            func.count(RATINGS.c.sample_id.distinct()),
            func.count(RATINGS.c.rater.distinct()),
            func.max(RATINGS.c.created_utc).label("last"),
            func.max(RUNS.c.id),
        )
        .join(RUNS, RUNS.c.id == RATINGS.c.run_id, isouter=True)
        .where(RATINGS.c.id.in_(newest), RATINGS.c.withdrawn.is_(False))
        .group_by(RATINGS.c.run_id, RATINGS.c.task, RATINGS.c.question, RATINGS.c.asked)
        .order_by(func.max(RATINGS.c.created_utc).desc())
        .limit(limit)
    )
    return tuple(
        RatedTask(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] is not None)
        for row in connection.execute(query)
    )

"""The models that the newest runs asked, each with what they measured first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from ...record.tables import RESULTS, RUNS
from .runs import number

__all__ = ["ModelRow", "models_of"]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in a run: its first figure of quality, and how much of what was asked failed."""

    model: str
    run_id: str
    suite: str
    created_utc: datetime
    task: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_figures: int
    n_failed: int


def models_of(connection: Connection, run_ids: Sequence[str], *, limit: int) -> tuple[ModelRow, ...]:
    """The models of these runs, those of the newest first; a model of several runs once, of the newest."""
    query = (
        select(
            RESULTS.c.model,
            RESULTS.c.run_id,
            func.count().label("n_figures"),
            func.max(RESULTS.c.n_failed).label("n_failed"),
            func.min(RESULTS.c.id).label("first"),
            RUNS.c.suite_name,
            RUNS.c.created_utc,
        )
        .join(RUNS, RUNS.c.id == RESULTS.c.run_id)
        .where(RESULTS.c.run_id.in_(run_ids), RESULTS.c.group_name.is_(None))
        .group_by(RESULTS.c.model, RESULTS.c.run_id, RUNS.c.suite_name, RUNS.c.created_utc)
        .order_by(RUNS.c.created_utc.desc(), RESULTS.c.model)
    )
    newest: dict[tuple[str, str], Any] = {}
    for row in connection.execute(query):
        newest.setdefault((row.model, row.suite_name), row)
    kept = list(newest.values())[:limit]
    first = {
        row.id: row for row in connection.execute(select(RESULTS).where(RESULTS.c.id.in_([row.first for row in kept])))
    }
    return tuple(
        ModelRow(
            row.model,
            row.run_id,
            row.suite_name,
            row.created_utc,
            first[row.first].task,
            first[row.first].metric,
            number(first[row.first].value),
            number(first[row.first].ci_low),
            number(first[row.first].ci_high),
            row.n_figures,
            row.n_failed,
        )
        for row in kept
    )

"""What earlier runs of the same suite found, for the report of a later one."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .schema import REGISTRY_FILE, REGISTRY_VARIABLE

if TYPE_CHECKING:
    from .sealed import Record

__all__ = ["FigureKey", "History", "PastFigure", "history_of"]

FigureKey = tuple[str, str, str]
"""Task, model, metric."""


class PastFigure(NamedTuple):
    """A figure of an earlier run; NaN where it had nothing to measure."""

    run_id: str
    created_utc: str
    value: float


History = Mapping[FigureKey, tuple[PastFigure, ...]]


def history_of(
    record: Record, reports: Path, *, url: str | None = None, limit: int = 20
) -> dict[FigureKey, tuple[PastFigure, ...]]:
    """The figures of the last `limit` complete runs of the suite before `record`, oldest first.

    Runs that were scored anew from one another stand beside each other: they are runs, too. {} where there is no
    registry, and where the record is the first.

    Raises:
        EvalHarnessError: if there is a registry and it cannot be read.
    """
    if not (url or os.environ.get(REGISTRY_VARIABLE) or (reports / REGISTRY_FILE).exists()):
        return {}
    from sqlalchemy import select

    from .database import reading
    from .registry import RunRegistry
    from .runinfo import parse_utc, utc_text
    from .tables import RESULTS, RUNS

    before = parse_utc(record.manifest.created_utc, record.folder)
    runs = (
        select(RUNS.c.id, RUNS.c.created_utc)
        .where(RUNS.c.suite_name == record.manifest.suite_name, RUNS.c.complete)
        .where(RUNS.c.created_utc < before, RUNS.c.id != record.id)
        .order_by(RUNS.c.created_utc.desc(), RUNS.c.id.desc())
        .limit(limit)
        .subquery()
    )
    of = RESULTS.c
    query = (
        select(runs.c.id, runs.c.created_utc, of.task, of.model, of.metric, of.value)
        .join(runs, runs.c.id == of.run_id)
        .where(of.group_name.is_(None))
        .order_by(runs.c.created_utc, runs.c.id)
    )
    found: dict[FigureKey, list[PastFigure]] = {}
    with RunRegistry.open(url, reports=reports) as registry, reading(registry.engine) as connection:
        for run_id, created, task, model, metric, value in connection.execute(query):
            at = utc_text(created)
            found.setdefault((task, model, metric), []).append(
                PastFigure(run_id, at, math.nan if value is None else float(value))
            )
    return {key: tuple(past) for key, past in found.items()}

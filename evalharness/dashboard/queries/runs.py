"""What the registry says of runs: lists of them page by page, single ones, their figures, what ran last."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, func, literal, or_, select, tuple_

from ...record.tables import PROMOTIONS, RESULTS, RUN_MODELS, RUNS, AnyText, UtcTime
from ..cursor import place_of, read_place

__all__ = [
    "FigureRow",
    "Promotion",
    "RunFilter",
    "RunPage",
    "RunRow",
    "figures_of",
    "latest_of_suites",
    "number",
    "promotions_of",
    "run_folder",
    "run_of",
    "runs_page",
    "suites",
]

_PAGE = 50
_MOST_FIGURES = 5_000


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. `labels` are those under which it is the baseline of its suite now."""

    id: str
    suite: str
    name: str
    created_utc: datetime
    finished_utc: datetime | None
    complete: bool
    n_samples: int
    verdict: str | None
    parent: str | None
    evalharness_version: str
    suite_digest: str
    models: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of a list; `after` names the next one, None where this is the last."""

    items: tuple[RunRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure of a run; None is "not known". `group` is None for all samples, else language=de."""

    task: str
    model: str
    metric: str
    group: str | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_failed: int


@dataclass(frozen=True, slots=True)
class Promotion:
    """A run that was made the baseline of its suite."""

    suite: str
    label: str
    run_id: str
    promoted_utc: datetime
    note: str


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted; empty means any. `verdict`: pass, fail, inconclusive, or none."""

    suite: str = ""
    verdict: str = ""
    model: str = ""
    text: str = ""


def number(value: float | None) -> float | None:
    """`value`, None where it is not finite: JSON has no such numbers."""
    return None if value is None or not math.isfinite(value) else value


def runs_page(connection: Connection, wanted: RunFilter, *, after: str | None = None, limit: int = _PAGE) -> RunPage:
    """A page of runs, newest first.

    Raises:
        UsageError: if `after` is no place in a list.
    """
    query, made, identity = select(RUNS), RUNS.c.created_utc, RUNS.c.id
    if wanted.model and wanted.suite:
        asked = exists().where(RUN_MODELS.c.run_id == RUNS.c.id, RUN_MODELS.c.model == wanted.model)
        query = query.where(asked)
    elif wanted.model:
        # The list of the model's runs, which is in this order: no other run is looked at.
        query = query.join(RUN_MODELS, RUN_MODELS.c.run_id == RUNS.c.id).where(RUN_MODELS.c.model == wanted.model)
        made, identity = RUN_MODELS.c.created_utc, RUN_MODELS.c.run_id
    query = _filtered(query, wanted).order_by(made.desc(), identity.desc()).limit(limit + 1)
    if place := read_place(after, str):
        query = query.where(tuple_(made, identity) < tuple_(literal(place[0], UtcTime), literal(place[1], AnyText)))
    rows = connection.execute(query).mappings().all()
    items = _runs(connection, rows[:limit])
    more = place_of(items[-1].created_utc, items[-1].id) if len(rows) > limit else None
    return RunPage(items, more)


def run_of(connection: Connection, run_id: str) -> RunRow | None:
    """The run with this very id."""
    rows = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).mappings().all()
    return next(iter(_runs(connection, rows)), None)


def runs_of(connection: Connection, ids: Sequence[str]) -> tuple[RunRow, ...]:
    """The runs with these ids, newest first."""
    query = select(RUNS).where(RUNS.c.id.in_(ids)).order_by(RUNS.c.created_utc.desc(), RUNS.c.id.desc())
    return _runs(connection, connection.execute(query).mappings().all())


def run_folder(connection: Connection, run_id: str, reports: Path) -> Path | None:
    """Where the record of a run lies, as the registry knows it; None where it is gone."""
    path: str | None = connection.execute(select(RUNS.c.path).where(RUNS.c.id == run_id)).scalar()
    return None if path is None or not (reports / path).is_dir() else reports / path


def figures_of(
    connection: Connection, run_id: str, *, groups: bool = True, limit: int = _MOST_FIGURES
) -> tuple[FigureRow, ...]:
    """The figures of a run, in the order in which they were recorded."""
    query = select(RESULTS).where(RESULTS.c.run_id == run_id).order_by(RESULTS.c.id).limit(limit)
    if not groups:
        query = query.where(RESULTS.c.group_name.is_(None))
    return tuple(
        FigureRow(
            row["task"],
            row["model"],
            row["metric"],
            row["group_name"],
            number(row["value"]),
            number(row["ci_low"]),
            number(row["ci_high"]),
            row["n"],
            row["n_failed"],
        )
        for row in connection.execute(query).mappings()
    )


def suites(connection: Connection) -> tuple[tuple[str, int], ...]:
    """(suite, number of runs), by name."""
    query = select(RUNS.c.suite_name, func.count()).group_by(RUNS.c.suite_name).order_by(RUNS.c.suite_name)
    return tuple((row[0], row[1]) for row in connection.execute(query))


def latest_of_suites(connection: Connection, *, limit: int) -> tuple[RunRow, ...]:
    """The newest run of each suite, newest first."""
    newest = select(RUNS.c.suite_name, func.max(RUNS.c.created_utc).label("at")).group_by(RUNS.c.suite_name).subquery()
    query = (
        select(RUNS)
        .join(newest, and_(RUNS.c.suite_name == newest.c.suite_name, RUNS.c.created_utc == newest.c.at))
        .order_by(RUNS.c.created_utc.desc(), RUNS.c.id.desc())
        .limit(limit)
    )
    found: dict[str, Any] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["suite_name"], row)
    return _runs(connection, list(found.values()))


def promotions_of(connection: Connection, suite: str, *, limit: int = 200) -> tuple[Promotion, ...]:
    """The promotions of a suite, newest first."""
    query = select(PROMOTIONS).where(PROMOTIONS.c.suite_name == suite).order_by(PROMOTIONS.c.id.desc()).limit(limit)
    return tuple(
        Promotion(row["suite_name"], row["label"], row["run_id"], row["promoted_utc"], row["note"])
        for row in connection.execute(query).mappings()
    )


def _filtered(query: Select[Any], wanted: RunFilter) -> Select[Any]:
    if wanted.suite:
        query = query.where(RUNS.c.suite_name == wanted.suite)
    if wanted.verdict == "none":
        query = query.where(RUNS.c.verdict.is_(None))
    elif wanted.verdict:
        query = query.where(RUNS.c.verdict == wanted.verdict)
    if wanted.text:
        held = [
            column.icontains(wanted.text, autoescape=True) for column in (RUNS.c.name, RUNS.c.id, RUNS.c.suite_name)
        ]
        query = query.where(or_(*held))
    return query


def _runs(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> tuple[RunRow, ...]:
    ids = [row["id"] for row in rows]
    models = _models(connection, ids)
    labels = _labels(connection, {row["suite_name"] for row in rows}, ids)
    return tuple(
        RunRow(
            id=row["id"],
            suite=row["suite_name"],
            name=row["name"],
            created_utc=row["created_utc"],
            finished_utc=row["finished_utc"],
            complete=row["complete"],
            n_samples=row["n_samples"],
            verdict=row["verdict"],
            parent=row["parent"],
            evalharness_version=row["evalharness_version"],
            suite_digest=row["suite_digest"],
            models=models.get(row["id"], ()),
            labels=labels.get(row["id"], ()),
        )
        for row in rows
    )


def _models(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    query = select(RUN_MODELS.c.run_id, RUN_MODELS.c.model).where(RUN_MODELS.c.run_id.in_(ids))
    return _joined((row[0], row[1]) for row in connection.execute(query.order_by(RUN_MODELS.c.model)))


def _labels(connection: Connection, of: set[str], ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    newest = (
        select(func.max(PROMOTIONS.c.id))
        .where(PROMOTIONS.c.suite_name.in_(sorted(of)))
        .group_by(PROMOTIONS.c.suite_name, PROMOTIONS.c.label)
    )
    query = select(PROMOTIONS.c.run_id, PROMOTIONS.c.label).where(
        PROMOTIONS.c.id.in_(newest), PROMOTIONS.c.run_id.in_(ids)
    )
    return _joined((row[0], row[1]) for row in connection.execute(query.order_by(PROMOTIONS.c.label)))


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}

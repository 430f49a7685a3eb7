"""The JSON interface to runs, trends, ratings, users and what is going on; described by OpenAPI, as is all of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query, Request

from ..record.database import reading
from ..record.running import Running, running
from ..record.silences import silences
from ..report.frames import summary_json
from ..report.gatefile import read_gate
from . import audit
from .api_shared import ERRORS, PREFIX, Admin, After, Key, Limit, Name, Router, Viewer
from .pages.compare import compared
from .pages.runs import Wanted, record_in
from .queries import alerts as alert_rows
from .queries import monitors as monitor_rows
from .queries import runs as run_rows
from .queries.annotations import RatedTask, rated_tasks
from .queries.overview import ModelRow, models_of
from .queries.trends import MOST_RELEASES, Choice, Trend, choices, trend_of
from .users import User, list_users
from .web import NotFound, checked_after, found, settings_of

__all__ = ["router"]

router = Router(prefix=PREFIX, responses=ERRORS)


@dataclass(frozen=True, slots=True)
class Overview:
    """Where everything stands."""

    runs: tuple[run_rows.RunRow, ...]
    models: tuple[ModelRow, ...]
    monitors: tuple[monitor_rows.MonitorRow, ...]
    alerts: tuple[alert_rows.AlertRow, ...]
    running: tuple[Running, ...]


@router.get("/overview", tags=["overview"])
def overview(request: Request, visitor: Viewer) -> Overview:
    """The newest run of each suite, models, monitors, open alerts, what is running."""
    settings = settings_of(request)
    now = settings.clock()
    with reading(settings.registry.engine) as connection:
        runs = run_rows.latest_of_suites(connection, limit=30)
        return Overview(
            runs,
            models_of(connection, [run.id for run in runs], limit=30),
            monitor_rows.monitors(connection),
            alert_rows.alerts_page(connection, silences=silences(connection, now), now=now).items,
            running(settings.registry.reports, now_s=time.time()),
        )


@router.get("/suites", tags=["runs"])
def suites(request: Request, visitor: Viewer) -> dict[str, int]:
    """The suites, each with its number of runs."""
    with reading(settings_of(request).registry.engine) as connection:
        return dict(run_rows.suites(connection))


@router.get("/runs", tags=["runs"])
def runs(request: Request, visitor: Viewer, wanted: Wanted, after: After = None, limit: Limit = 50) -> run_rows.RunPage:
    """Runs, newest first."""
    with reading(settings_of(request).registry.engine) as connection:
        return run_rows.runs_page(connection, wanted, after=checked_after(after), limit=limit)


@router.get("/runs/{run_id}", tags=["runs"])
def run(request: Request, run_id: Key, visitor: Viewer) -> run_rows.RunRow:
    """One run."""
    with reading(settings_of(request).registry.engine) as connection:
        row: run_rows.RunRow = found(run_rows.run_of(connection, run_id), "run", run_id)
        return row


@router.get("/runs/{run_id}/figures", tags=["runs"])
def figures(request: Request, run_id: Key, visitor: Viewer, groups: bool = True) -> tuple[run_rows.FigureRow, ...]:
    """What a run measured."""
    with reading(settings_of(request).registry.engine) as connection:
        found(run_rows.run_of(connection, run_id), "run", run_id)
        return run_rows.figures_of(connection, run_id, groups=groups)


@router.get("/runs/{run_id}/manifest", tags=["runs"])
def manifest(request: Request, run_id: Key, visitor: Viewer) -> dict[str, Any]:
    """How a run was made (suite, digests, versions, seed, command, states of answers) and why its gates decided so.

    It is what `evalharness report RUN --format json` prints; numbers that are not finite as text.
    """
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        found(run_rows.run_of(connection, run_id), "run", run_id)
        folder = run_rows.run_folder(connection, run_id, registry.reports)
    record, fault = record_in(folder)
    if record is None or folder is None:
        raise NotFound(f"the record of {run_id} cannot be read: {fault}")
    body: dict[str, Any] = json.loads(summary_json(record, read_gate(folder)))
    return body


@router.get("/compare", tags=["runs"])
def compare(
    request: Request,
    visitor: Viewer,
    baseline: Name,
    run: Annotated[list[str], Query(min_length=1, max_length=6)],
) -> dict[str, Any]:
    """Runs against a baseline, on the samples that they have in common; numbers that are not finite as text."""
    body: dict[str, Any] = compared(request, baseline, [one for one in dict.fromkeys(run) if one != baseline]).to_dict()
    return body


@router.get("/suites/{suite}/figures", tags=["trend"])
def figure_choices(request: Request, suite: Key, visitor: Viewer) -> tuple[Choice, ...]:
    """What a trend of this suite can be of."""
    with reading(settings_of(request).registry.engine) as connection:
        return choices(connection, suite)


@router.get("/suites/{suite}/trend", tags=["trend"])
def trend(
    request: Request,
    suite: Key,
    visitor: Viewer,
    task: Name,
    metric: Name,
    model: Annotated[str | None, Query(max_length=300)] = None,
    group: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_RELEASES)] = MOST_RELEASES,
) -> Trend:
    """A figure over the newest runs of a suite, and which of them were promoted."""
    with reading(settings_of(request).registry.engine) as connection:
        return trend_of(connection, suite, task, metric, model=model, group=group, limit=limit)


@router.get("/ratings", tags=["annotation"])
def ratings(request: Request, visitor: Viewer) -> tuple[RatedTask, ...]:
    """What people have rated."""
    with reading(settings_of(request).registry.engine) as connection:
        return rated_tasks(connection)


@router.get("/running", tags=["overview"])
def running_now(request: Request, visitor: Viewer) -> tuple[Running, ...]:
    """The runs that are going on."""
    return running(settings_of(request).registry.reports, now_s=time.time())


@router.get("/changes", tags=["users"])
def changes(
    request: Request, visitor: Admin, before: Annotated[int | None, Query(ge=1, lt=2**31)] = None, limit: Limit = 50
) -> tuple[audit.Change, ...]:
    """What was changed by whom, newest first."""
    with reading(settings_of(request).registry.engine) as connection:
        return audit.changes(connection, before=before, limit=limit)


@router.get("/users", tags=["users"])
def users(request: Request, visitor: Admin) -> tuple[User, ...]:
    """Who may use the dashboard."""
    with reading(settings_of(request).registry.engine) as connection:
        return list_users(connection)

"""The JSON interface: everything that the pages show, under /api/v1, described by OpenAPI."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request

from ..record.database import reading
from ..record.deployments import MOST_CHARS, Deployment, deployments_of
from ..record.running import Running, running
from ..record.silences import silences
from . import audit
from .access import Visitor, checked_header, needs
from .pages import alerts as alert_pages
from .pages import monitors as monitor_pages
from .pages.compare import compared
from .pages.runs import Wanted
from .queries import alerts as alert_rows
from .queries import monitors as monitor_rows
from .queries import runs as run_rows
from .queries.annotations import RatedTask, rated_tasks
from .queries.overview import ModelRow, models_of
from .queries.schedule import Upcoming, upcoming
from .queries.trends import MOST_RELEASES, Choice, Trend, choices, trend_of
from .users import User, list_users
from .web import checked_after, found, settings_of

__all__ = ["router"]

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "Something of the request cannot be; the body says what."},
    401: {"description": "Nobody is logged in, and no bearer token was sent."},
    403: {"description": "Who is logged in may not do this."},
    404: {"description": "There is no such thing in the registry."},
    409: {"description": "These cannot be compared; the body says why."},
}


class _Router(APIRouter):
    """Routes whose answers hold no lone surrogate: texts of models may, and JSON cannot carry one."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        @wraps(endpoint)
        def told(*arguments: Any, **named: Any) -> Any:
            return _tellable(endpoint(*arguments, **named))

        super().add_api_route(path, told, **more)


def _tellable(value: Any) -> Any:
    """`value` with U+FFFD for each lone surrogate in its texts."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_tellable(key): _tellable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_tellable, value))
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: _tellable(getattr(value, field.name)) for field in fields(value)})
    return value


router = _Router(prefix="/api/v1", responses=_ERRORS)
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Editor = Annotated[Visitor, Depends(checked_header("editor"))]
Admin = Annotated[Visitor, Depends(needs("admin"))]
Limit = Annotated[int, Query(ge=1, le=200)]
Name = Annotated[str, Query(max_length=300)]
Key = Annotated[str, Path(max_length=300)]
Number = Annotated[int, Path(ge=0, lt=2**31)]
After = Annotated[str | None, Query(max_length=400, description="`after` of the page before.")]


@dataclass(frozen=True, slots=True)
class Overview:
    """Where everything stands."""

    runs: tuple[run_rows.RunRow, ...]
    models: tuple[ModelRow, ...]
    monitors: tuple[monitor_rows.MonitorRow, ...]
    alerts: tuple[alert_rows.AlertRow, ...]
    running: tuple[Running, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval, what was measured in it and what was found."""

    interval: monitor_rows.IntervalRow
    figures: tuple[monitor_rows.IntervalFigure, ...]
    findings: tuple[monitor_rows.FindingRow, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, and what happened to it."""

    alert: alert_rows.AlertRow
    events: tuple[alert_rows.AlertEvent, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What was changed."""

    id: str


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


@router.get("/monitors", tags=["monitors"])
def monitors(request: Request, visitor: Viewer) -> tuple[monitor_rows.MonitorRow, ...]:
    """Where each monitor stands."""
    with reading(settings_of(request).registry.engine) as connection:
        return monitor_rows.monitors(connection)


@router.get("/monitors/{name}", tags=["monitors"])
def monitor(request: Request, name: Key, visitor: Viewer) -> monitor_rows.MonitorRow:
    """One monitor."""
    with reading(settings_of(request).registry.engine) as connection:
        row: monitor_rows.MonitorRow = found(monitor_rows.monitor_of(connection, name), "monitor", name)[0]
        return row


@router.get("/monitors/{name}/intervals", tags=["monitors"])
def intervals(
    request: Request, name: Key, visitor: Viewer, after: After = None, limit: Limit = 50
) -> monitor_rows.IntervalPage:
    """The intervals of a monitor, newest first; of each its newest revision."""
    with reading(settings_of(request).registry.engine) as connection:
        found(monitor_rows.monitor_of(connection, name), "monitor", name)
        return monitor_rows.intervals_page(connection, name, after=checked_after(after), limit=limit)


@router.get("/monitors/{name}/intervals/{interval_id}", tags=["monitors"])
def interval(request: Request, name: Key, interval_id: Number, visitor: Viewer) -> Interval:
    """One interval with its figures and findings."""
    with reading(settings_of(request).registry.engine) as connection:
        row = found(monitor_rows.interval_of(connection, name, interval_id), "interval", interval_id)
        return Interval(row, monitor_rows.figures_in(connection, row.id), monitor_rows.findings_in(connection, row.id))


@router.get("/monitors/{name}/intervals/{interval_id}/pictures", tags=["monitors"])
def pictures(request: Request, name: Key, interval_id: Number, visitor: Viewer) -> dict[str, Any]:
    """What charts of an interval show: histograms of both sides, words, examples, map; {} where there is none."""
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        row = found(monitor_rows.interval_of(connection, name, interval_id), "interval", interval_id)
        folder = monitor_rows.interval_folder(connection, row.id, registry.reports)
    return {"drift": monitor_pages.body_of(folder, "drift.json"), "texts": monitor_pages.body_of(folder, "texts.json")}


@router.get("/monitors/{name}/series", tags=["monitors"])
def series(
    request: Request, name: Key, visitor: Viewer, column: Name, figure: Name, segment: Name = ""
) -> tuple[monitor_rows.FigurePoint, ...]:
    """A figure of the newest intervals, the oldest first."""
    with reading(settings_of(request).registry.engine) as connection:
        found(monitor_rows.monitor_of(connection, name), "monitor", name)
        return monitor_rows.series(connection, name, column, figure, segment=segment)


@router.get("/monitors/{name}/estimates", tags=["monitors"])
def estimates(request: Request, name: Key, visitor: Viewer) -> tuple[monitor_rows.Estimated, ...]:
    """Quality estimated without labels, the oldest interval first, with what labels said where they have come."""
    with reading(settings_of(request).registry.engine) as connection:
        found(monitor_rows.monitor_of(connection, name), "monitor", name)
        newest = monitor_rows.newest_intervals(connection, name, limit=10)
        names = monitor_rows.figure_names(connection, [row.id for row in newest])
        return monitor_rows.estimates_of(connection, name, names)


@router.get("/monitors/{name}/deployments", tags=["monitors"])
def deployments(request: Request, name: Key, visitor: Viewer) -> tuple[Deployment, ...]:
    """What was put into production, the newest first."""
    with reading(settings_of(request).registry.engine) as connection:
        found(monitor_rows.monitor_of(connection, name), "monitor", name)
        return deployments_of(connection, name)


@router.post("/monitors/{name}/deployments", tags=["monitors"])
def add_deployment(
    request: Request,
    name: Key,
    visitor: Editor,
    text: Annotated[str, Body(min_length=1, max_length=MOST_CHARS)],
    at: Annotated[str, Body(max_length=40, description="ISO 8601; now where it is left out.")] = "",
) -> Done:
    """Note what was put into production: charts of the monitor bear its mark."""
    return Done(str(monitor_pages.change_deployment_added(request, visitor, name, text, at).id))


@router.post("/monitors/{name}/deployments/{number}/remove", tags=["monitors"])
def remove_deployment(request: Request, name: Key, number: Number, visitor: Editor) -> Done:
    """Take the note of a deployment back."""
    return Done(str(monitor_pages.change_deployment_removed(request, visitor, name, number).id))


@router.get("/alerts", tags=["alerts"])
def alerts(
    request: Request,
    visitor: Viewer,
    state: Annotated[str, Query(pattern="^(open|all)$")] = "open",
    monitor: Name = "",
    after: After = None,
    limit: Limit = 50,
) -> alert_rows.AlertPage:
    """Alerts, those that changed last first."""
    settings = settings_of(request)
    now = settings.clock()
    with reading(settings.registry.engine) as connection:
        return alert_rows.alerts_page(
            connection,
            is_open=True if state == "open" else None,
            monitor=monitor,
            after=checked_after(after),
            limit=limit,
            silences=silences(connection, now),
            now=now,
        )


@router.get("/alerts/{fingerprint}", tags=["alerts"])
def alert(request: Request, fingerprint: Key, visitor: Viewer) -> Alert:
    """One alert."""
    settings = settings_of(request)
    now = settings.clock()
    with reading(settings.registry.engine) as connection:
        quiet = silences(connection, now)
        one = found(alert_rows.alert_of(connection, fingerprint, silences=quiet, now=now), "alert", fingerprint)
        return Alert(one[0], alert_rows.events_of(connection, fingerprint))


@router.post("/alerts/{fingerprint}/acknowledge", tags=["alerts"])
def acknowledge(
    request: Request,
    fingerprint: Key,
    visitor: Editor,
    note: Annotated[str, Body(embed=True, max_length=2_000)] = "",
) -> Done:
    """Say that you look after an alert: it is not told again until it ends."""
    return Done(alert_pages.change_acknowledged(request, visitor, fingerprint, note))


@router.get("/silences", tags=["alerts"])
def list_silences(request: Request, visitor: Viewer) -> tuple[alert_rows.SilenceRow, ...]:
    """The silences that hold, and those to come."""
    settings = settings_of(request)
    with reading(settings.registry.engine) as connection:
        return tuple(alert_rows.silence_row(one) for one in silences(connection, settings.clock()))


@router.post("/silences", tags=["alerts"])
def add_silence(
    request: Request,
    visitor: Editor,
    matchers: Annotated[list[str], Body(min_length=1, max_length=20)],
    hours: Annotated[float, Body(gt=0, le=24 * 366)],
    comment: Annotated[str, Body(max_length=2_000)] = "",
) -> Done:
    """Tell nobody of the alerts with these labels for a while."""
    return Done(str(alert_pages.change_silence_added(request, visitor, matchers, hours, comment)))


@router.post("/silences/{number}/end", tags=["alerts"])
def end_silence(request: Request, number: Number, visitor: Editor) -> Done:
    """Let a silence end now."""
    alert_pages.change_silence_ended(request, visitor, number)
    return Done(str(number))


@router.get("/ratings", tags=["annotation"])
def ratings(request: Request, visitor: Viewer) -> tuple[RatedTask, ...]:
    """What people have rated."""
    with reading(settings_of(request).registry.engine) as connection:
        return rated_tasks(connection)


@router.get("/schedule", tags=["monitors"])
def schedule(request: Request, visitor: Viewer) -> tuple[Upcoming, ...]:
    """When each monitor looks again."""
    settings = settings_of(request)
    with reading(settings.registry.engine) as connection:
        return upcoming(connection, settings.next_due, settings.clock())


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

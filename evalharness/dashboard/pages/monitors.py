"""Monitors: the status board, one monitor over time, one interval with what drifted in it."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from ...core.errors import UsageError
from ...core.language import t
from ...record.database import reading, writing
from ...record.deployments import (
    MOST_CHARS,
    Deployment,
    add_deployment,
    deployments_of,
    remove_deployment,
)
from ...report.charts import SIDES, Chart, Mark, Point, scatter, trend, two_sides
from ...report.text import figure as figure_text
from ...report.text import single_line
from .. import audit
from ..access import Visitor, checked, needs
from ..charts import untitled
from ..queries import monitors as rows
from ..queries.alerts import AlertEvent, alerts_page, marks_of
from ..queries.monitors import Estimated, FigurePoint, FindingRow, IntervalFigure
from ..web import checked_after, found, go_to, page, settings_of
from .runs import sandboxed

__all__ = ["body_of", "change_deployment_added", "change_deployment_removed", "router"]

router = APIRouter()
Short = Annotated[str, Query(max_length=300)]
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Editor = Annotated[Visitor, Depends(checked("editor"))]
_MOST_CHARTS = 8
_LARGEST = 32 * 1024 * 1024


@router.get("/monitors", include_in_schema=False)
def board(request: Request, visitor: Viewer) -> Response:
    """Where each monitor stands."""
    with reading(settings_of(request).registry.engine) as connection:
        found_rows = rows.monitors(connection)
        recent = {one.name: rows.newest_intervals(connection, one.name, limit=30)[::-1] for one in found_rows}
    return page(request, "monitors.html.j2", here="monitors", title="Monitors", monitors=found_rows, recent=recent)


@router.get("/monitors/{name}", include_in_schema=False)
def monitor(
    request: Request,
    name: str,
    visitor: Viewer,
    figure: Short = "",
    segment: Short = "",
    after: str | None = None,
) -> Response:
    """One monitor: a figure over time with bands and marks, what drifted last, its intervals."""
    settings = settings_of(request)
    with reading(settings.registry.engine) as connection:
        one, definition = found(rows.monitor_of(connection, name), "monitor", name)
        newest = rows.newest_intervals(connection, name, limit=10)
        names = rows.figure_names(connection, [row.id for row in newest])
        plain = list(dict.fromkeys(row[:2] for row in names))
        figures = rows.figures_in(connection, newest[0].id) if newest else ()
        wanted = _wanted(
            plain, figure, definition, {f"{one.column}.{one.name}" for one in figures if one.value is not None}
        )
        segments = sorted({row[2] for row in names if wanted is not None and row[:2] == wanted})
        segment = segment if segment in segments else ""
        points = rows.series(connection, name, *wanted, segment=segment) if wanted else ()
        marks = marks_of(connection, name, points[0].start_utc) if points else ()
        compared = next((row for row in newest if row.n_findings), None)
        findings = rows.findings_in(connection, compared.id) if compared else ()
        deployed = deployments_of(connection, name)
        estimated = rows.estimates_of(connection, name, names)
        page_of = rows.intervals_page(connection, name, after=checked_after(after), limit=20)
        open_alerts = alerts_page(connection, monitor=name, now=settings.clock(), limit=5)
    return page(
        request,
        "monitor.html.j2",
        here="monitors",
        title=name,
        monitor=one,
        definition=definition,
        figures=[".".join(pair) for pair in plain],
        figure=".".join(wanted) if wanted else "",
        segments=segments,
        segment=segment,
        chart=_over_time(points, [*marks, *deployed], wanted, segment, definition) if wanted else None,
        deployments=deployed,
        estimates=[(one, _estimated(one)) for one in estimated],
        compared=compared,
        findings=findings,
        latest=_by_column(figures),
        intervals=page_of,
        after=after,
        alerts=open_alerts.items,
    )


@router.get("/monitors/{name}/intervals/{interval_id}", include_in_schema=False)
def interval(request: Request, name: str, interval_id: int, visitor: Viewer) -> Response:
    """One interval: findings ranked, the reference and now in pictures, words and examples, figures, data quality."""
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        row = found(rows.interval_of(connection, name, _small(interval_id)), "interval", interval_id)
        findings = rows.findings_in(connection, row.id)
        figures = rows.figures_in(connection, row.id)
        folder = rows.interval_folder(connection, row.id, registry.reports)
    drift, kept = body_of(folder, "drift.json"), body_of(folder, "texts.json")
    return page(
        request,
        "interval.html.j2",
        here="monitors",
        title=name,
        name=name,
        interval=row,
        findings=findings,
        figures=_by_column(figures),
        charts=_pictures(drift, findings),
        terms=_terms(drift) | _terms(kept),
        examples=_examples(drift) | _examples(kept),
        maps=[_map(one, kept) for one in kept.get("maps", ())],
        texts=[(side, kept.get(side, {}).get("texts", ())) for side in ("reference", "current") if kept.get("maps")],
        has_report=folder is not None and (folder / "drift.html").is_file(),
    )


@router.get("/monitors/{name}/intervals/{interval_id}/report", include_in_schema=False)
def report(request: Request, name: str, interval_id: int, visitor: Viewer) -> Response:
    """The drift report of an interval, as it was written."""
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        row = found(rows.interval_of(connection, name, _small(interval_id)), "interval", interval_id)
        folder = rows.interval_folder(connection, row.id, registry.reports)
    return sandboxed(None if folder is None else folder / "drift.html")


@router.post("/monitors/{name}/deployments", include_in_schema=False)
def deploy(
    request: Request,
    name: str,
    visitor: Editor,
    text: Annotated[str, Form(max_length=MOST_CHARS)],
    at: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Note a deployment: now, or `at` a time in UTC."""
    change_deployment_added(request, visitor, name, text, at)
    return go_to(f"/monitors/{quote(name, safe='')}#deployed-h")


@router.post("/monitors/{name}/deployments/{number}/remove", include_in_schema=False)
def forget(request: Request, name: str, number: int, visitor: Editor) -> Response:
    """Take the note of a deployment back."""
    change_deployment_removed(request, visitor, name, number)
    return go_to(f"/monitors/{quote(name, safe='')}#deployed-h")


def change_deployment_added(request: Request, visitor: Visitor, monitor: str, text: str, at: str) -> Deployment:
    """Note a deployment, and who did."""
    settings = settings_of(request)
    now = settings.clock()
    try:
        when = datetime.fromisoformat(at) if at else now
    except ValueError:
        raise UsageError(f"at: {at[:40]!r} is no time of ISO 8601; write 2026-11-23T14:00") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    with writing(settings.registry.engine) as connection:
        found(rows.monitor_of(connection, monitor), "monitor", monitor)
        one = add_deployment(connection, monitor, at=when, text=text, by=visitor.name, now=now)
        audit.note(connection, now, who=visitor.name, action="deploy", subject=f"monitor {monitor}", detail=one.text)
    return one


def change_deployment_removed(request: Request, visitor: Visitor, monitor: str, number: int) -> Deployment:
    """Take the note of a deployment back, and note who did."""
    settings = settings_of(request)
    now = settings.clock()
    with writing(settings.registry.engine) as connection:
        known = {one.id for one in deployments_of(connection, monitor, limit=10_000)}
        found(number if number in known else None, "deployment", number)
        one = remove_deployment(connection, monitor, number)
        audit.note(
            connection, now, who=visitor.name, action="forget deploy", subject=f"monitor {monitor}", detail=one.text
        )
    return one


def _wanted(
    known: Sequence[tuple[str, str]], figure: str, definition: Mapping[str, Any], told: Container[str]
) -> tuple[str, str] | None:
    """The figure that is asked for or that a rule watches, else a score, the latency or the first that has a value.

    `told` are the figures that have one in the newest interval.
    """
    alerts = definition.get("alerts")
    rules = alerts.get("rules", ()) if isinstance(alerts, Mapping) else ()
    names = {".".join(pair): pair for pair in known}
    ruled = (str(rule.get("figure")) for rule in rules if isinstance(rule, Mapping))
    scores = [name for name in names if name.startswith(("canary.", "scores.")) and name.endswith(".value")]
    likely = [name for name in (*scores, "latency_s.p95", *names) if name in told]
    return next((names[name] for name in (figure, *ruled, *likely, *names) if name in names), None)


def _small(number: int) -> int:
    """A number that every database can look for; none has larger ones."""
    return number if 0 <= number < 2**31 else -1


def _over_time(
    points: Sequence[FigurePoint],
    marks: Sequence[AlertEvent | Deployment],
    wanted: tuple[str, str],
    segment: str,
    definition: Mapping[str, Any],
) -> Chart:
    def under(mark: AlertEvent) -> str:
        # An interval that was read long after its end, as in a backfill, rings there where it lies.
        moment = mark.window_end_utc or mark.at_utc
        return next((p.end_utc for p in points if p.end_utc >= moment), points[-1].end_utc).isoformat()

    shown = [
        Point(p.end_utc.isoformat(), _nan(p.value), _nan(p.ci_low), _nan(p.ci_high), f"n = {p.n:,}") for p in points
    ]
    fired = [
        # A deployment stands where it was done, an alert under the interval that rang it.
        Mark(mark.at_utc.isoformat(), "deploy", mark.text)
        if isinstance(mark, Deployment)
        else Mark(under(mark), "alert", mark.note or mark.kind)
        for mark in marks
        if points and mark.at_utc >= points[0].start_utc
    ]
    figure = ".".join(wanted)
    chart = trend(
        shown,
        title=t("%(figure)s where %(segment)s", figure=figure, segment=segment) if segment else figure,
        of=wanted[1],
        marks=fired,
        limit=_limit(definition, figure, segment),
        width=900,
    )
    return untitled(chart)


def _estimated(one: Estimated) -> Chart:
    """What labels said, in the band that was estimated without them."""
    expected = [(p.end_utc.isoformat(), _nan(p.ci_low), _nan(p.ci_high)) for p, _ in one.points if p.ci_low is not None]
    realised = [
        Point(
            p.end_utc.isoformat(),
            math.nan if r is None else _nan(r.value),
            note=_estimate(p, r),
        )
        for p, r in one.points
    ]
    return untitled(trend(realised, title=one.name, of=one.name, expected=expected, width=900))


def _estimate(estimated: FigurePoint, realised: FigurePoint | None) -> str:
    said = t("estimated %(value)s, n = %(n)s", value=figure_text(_nan(estimated.value)), n=f"{estimated.n:,}")
    return said if realised is None else said + t("; labels %(n)s", n=f"{realised.n:,}")


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _limit(definition: Mapping[str, Any], figure: str, segment: str) -> tuple[str, float] | None:
    """The limit that a rule of the monitor sets to the figure."""
    alerts = definition.get("alerts")
    for rule in alerts.get("rules", ()) if isinstance(alerts, Mapping) else ():
        if isinstance(rule, Mapping) and rule.get("figure") == figure and (rule.get("segment") or "") == segment:
            for kind in ("at_most", "at_least"):
                if isinstance(rule.get(kind), int | float):
                    return t(kind.replace("_", " ")), float(rule[kind])
    return None


def _by_column(figures: Sequence[IntervalFigure]) -> list[tuple[str, list[IntervalFigure]]]:
    """The figures of the whole interval, then those of segments, by column."""
    groups: dict[str, list[IntervalFigure]] = {}
    for one in sorted(figures, key=lambda row: bool(row.segment)):
        groups.setdefault(one.column, []).append(one)
    return list(groups.items())


def body_of(folder: Path | None, name: str) -> Mapping[str, Any]:
    """What the interval kept for pictures (`drift.json`) and of texts (`texts.json`); empty where there is none."""
    try:
        if folder is None or (folder / name).stat().st_size > _LARGEST:
            return {}
        body = json.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _pictures(drift: Mapping[str, Any], findings: Sequence[FindingRow]) -> list[Chart]:
    """The reference and now of each column, those that drifted first."""
    pictures = drift.get("pictures", {})
    order = list(dict.fromkeys([*(f.column for f in findings if not f.segment), *pictures]))
    drawn = (two_sides(pictures.get(column) or {}, column) for column in order[: _MOST_CHARTS * 2])
    made = [chart for chart in drawn if chart is not None]
    return made[:_MOST_CHARTS]


def _map(one: Mapping[str, Any], kept: Mapping[str, Any]) -> Chart:
    """Vectors of texts in the plane, each with its text."""
    points, links = [], []
    of = str(one["column"]).partition(".")[0]
    for side in ("reference", "current"):
        texts = kept.get(side, {}).get("texts", ())
        for i, (xy, row) in enumerate(zip(one[side], texts, strict=False)):
            if xy is not None:
                points.append((float(xy[0]), float(xy[1]), t(side), single_line(str(row.get(of, "")))))
                links.append(f"#{side}-{i}")
    first, second = (
        t("component %(n)s (%(share)s of the variance)", n=n, share=f"{share:.0%}")
        for n, share in enumerate(one["explained"], 1)
    )
    return scatter(points, title=str(one["column"]), x=first, y=second, links=links, colours=SIDES, width=640)


def _terms(drift: Mapping[str, Any]) -> dict[str, list[tuple[str, float, float, float]]]:
    found_terms: dict[str, list[tuple[str, float, float, float]]] = {}
    for column, term, z, before, now in drift.get("terms", ()):
        found_terms.setdefault(column, []).append((term, z, before, now))
    return found_terms


def _examples(drift: Mapping[str, Any]) -> dict[str, list[tuple[str, str, str]]]:
    found_examples: dict[str, list[tuple[str, str, str]]] = {}
    for column, side, text, why in drift.get("examples", ()):
        found_examples.setdefault(column, []).append((side, text, why))
    return found_examples

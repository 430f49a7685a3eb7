"""Runs: the list with its filters, one run, and the report that was written beside its record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from ...core.errors import RecordError
from ...core.types import MetricResult
from ...record import Record, TaskSummary
from ...record.database import reading
from ...report.bars import bar, scale_of
from ...report.facts import repeat_command
from ...report.gatefile import read_gate
from ...report.ways import best_between, way_of
from ..access import Visitor, needs
from ..queries.runs import FigureRow, RunFilter, figures_of, run_folder, run_of, runs_page, suites
from ..web import NotFound, checked_after, found, page, settings_of

__all__ = ["RUN_FILTER", "Wanted", "reason_of", "record_in", "router", "sandboxed"]

router = APIRouter()
Short = Annotated[str, Query(max_length=200)]
_LARGEST_REPORT = 512 * 1024 * 1024
_HASH = re.compile(rb"'(sha256-[A-Za-z0-9+/]{43}=)'")


def run_filter(suite: Short = "", verdict: Short = "", model: Short = "", q: Short = "") -> RunFilter:
    """Which runs an address asks for."""
    return RunFilter(suite, verdict, model, q)


RUN_FILTER = run_filter
Wanted = Annotated[RunFilter, Depends(run_filter)]


@router.get("/runs", include_in_schema=False)
def runs(
    request: Request,
    visitor: Annotated[Visitor, Depends(needs("viewer"))],
    wanted: Wanted,
    after: str | None = None,
) -> Response:
    """The runs, newest first, page by page."""
    with reading(settings_of(request).registry.engine) as connection:
        return page(
            request,
            "runs.html.j2",
            here="runs",
            title="Runs",
            wanted=wanted,
            after=after,
            suites=suites(connection),
            runs=runs_page(connection, wanted, after=checked_after(after)),
        )


@router.get("/runs/{run_id}", include_in_schema=False)
def run(request: Request, run_id: str, visitor: Annotated[Visitor, Depends(needs("viewer"))]) -> Response:
    """One run: what it measured, how it was made, what stands beside it."""
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        row = found(run_of(connection, run_id), "run", run_id)
        figures = figures_of(connection, run_id)
        folder = run_folder(connection, run_id, registry.reports)
    record, fault = record_in(folder)
    return page(
        request,
        "run.html.j2",
        here="runs",
        title=row.name,
        run=row,
        tasks=_tasks(figures, record),
        groups=_groups(figures),
        record=record,
        fault=fault,
        reason=reason_of(folder),
        command=repeat_command(record.manifest) if record else "",
        has_report=folder is not None and (folder / "report.html").is_file(),
    )


@router.get("/runs/{run_id}/report", include_in_schema=False)
def report(request: Request, run_id: str, visitor: Annotated[Visitor, Depends(needs("viewer"))]) -> Response:
    """The report of a run, as it was written."""
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        folder = run_folder(connection, run_id, registry.reports)
    return sandboxed(None if folder is None else folder / "report.html")


def sandboxed(path: Path | None) -> Response:
    """A page of ours that lies on disk: it runs its own script and nothing else, and as a stranger to this dashboard.

    It comes with the hashes of its style sheet and script, as its own policy names them, and in a sandbox: it has no
    origin, so that nothing in it reaches cookies or pages of the dashboard.
    """
    try:
        if path is None or path.is_symlink() or path.stat().st_size > _LARGEST_REPORT:
            raise NotFound("there is no report here; evalharness report RUN writes it")
        body = path.read_bytes()
    except OSError:
        raise NotFound("there is no report here; evalharness report RUN writes it") from None
    head = body[:4096]
    style = re.search(rb"style-src ([^;\"]*)", head)
    script = re.search(rb"script-src ([^;\"]*)", head)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hashes(style)}",
            f"script-src {_hashes(script)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "sandbox allow-scripts allow-downloads allow-popups",
        ]
    )
    return Response(body, media_type="text/html; charset=utf-8", headers={"content-security-policy": policy})


def _hashes(found_in: re.Match[bytes] | None) -> str:
    names = [] if found_in is None else _HASH.findall(found_in[1])
    return " ".join(f"'{name.decode()}'" for name in names) or "'none'"


def record_in(folder: Path | None) -> tuple[Record | None, str]:
    """The record in `folder`, or why there is none."""
    if folder is None:
        return None, "its folder is gone: the figures are those of the registry"
    try:
        return Record.open(folder), ""
    except RecordError as error:
        return None, str(error)


def reason_of(folder: Path | None) -> str:
    """Why the gates of the run in `folder` decided as they did; empty where they did not, or the file is damaged."""
    try:
        gate = None if folder is None else read_gate(folder)
    except RecordError:
        return ""
    return "" if gate is None else str(gate["reason"])


def _tasks(figures: tuple[FigureRow, ...], record: Record | None) -> list[dict[str, Any]]:
    """The figures of all samples, task by task, each drawn on the scale of its metric."""
    known = {(r.task, r.model, r.metric): r for r in record.results if r.group is None} if record else {}
    tasks: dict[str, list[dict[str, Any]]] = {}
    best = best_between(record.manifest) if record else {}
    drawn = list(known.values())
    scales = {
        key: scale_of(r for r in drawn if (r.task, r.metric) == key) for key in {(r.task, r.metric) for r in drawn}
    }
    for row in figures:
        if row.group is None:
            result: MetricResult | None = known.get((row.task, row.model, row.metric))
            line = "" if result is None else bar(result, scales[row.task, row.metric])
            way = "" if result is None else way_of(result, best.get((row.task, row.metric)))
            tasks.setdefault(row.task, []).append({"row": row, "bar": line, "result": result, "way": way})
    states: dict[str, list[TaskSummary]] = {}
    for summary in record.manifest.tasks if record else ():
        states.setdefault(summary.id, []).append(summary)
    return [{"id": task, "figures": rows, "summaries": states.get(task, [])} for task, rows in tasks.items()]


def _groups(figures: tuple[FigureRow, ...]) -> list[FigureRow]:
    return [row for row in figures if row.group is not None][:400]

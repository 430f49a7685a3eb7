"""Runs against a baseline, on the samples that they have in common."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from ...compare.records import compare_records
from ...compare.result import Comparison
from ...core.errors import EvalHarnessError, RecordError
from ...core.language import t
from ...record import Record
from ...record.database import reading
from ...report.compare_html import figure_tables
from ...report.compare_text import differs_text, how_text, summary_text
from ..access import Visitor, needs
from ..queries.runs import RunFilter, run_folder, runs_of, runs_page
from ..web import NotFound, page, settings_of

__all__ = ["compared", "router"]

router = APIRouter()
_MOST = 6
_KEPT = 16
_lock = threading.Lock()
# A comparison of large runs takes seconds and memory: few at once, and pages beside them stay quick.
_turns = threading.BoundedSemaphore(2)
_found: OrderedDict[tuple[str, ...], Comparison] = OrderedDict()


@router.get("/compare", include_in_schema=False)
def compare(
    request: Request,
    visitor: Annotated[Visitor, Depends(needs("viewer"))],
    run: Annotated[list[str] | None, Query(max_length=200)] = None,
    baseline: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The runs that were ticked, against the oldest of them or the one that is named."""
    ids = list(dict.fromkeys(run or ()))[:_MOST]
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        runs = runs_of(connection, ids)
        others = runs_page(connection, RunFilter(), limit=20).items if len(runs) < 2 else ()
    known = [one.id for one in runs]
    base = baseline if baseline in known else (known[-1] if known else "")
    values: dict[str, Any] = {"runs": runs, "baseline": base, "others": others, "comparison": None, "fault": ""}
    status = 200
    if len(runs) > 1:
        try:
            comparison = compared(request, base, [one for one in known if one != base])
            values |= {
                "comparison": comparison,
                "headline": _headline([one.name for one in runs if one.id != base], runs[known.index(base)].name),
                "summary": summary_text(comparison),
                "differs": differs_text(comparison),
                "how": how_text(comparison),
                "tables": figure_tables(comparison),
            }
        except EvalHarnessError as error:
            values["fault"], status = str(error), 409
    return page(request, "compare.html.j2", here="compare", title="Compare", status=status, **values)


def _headline(candidates: list[str], baseline: str) -> str:
    return t("%(candidates)s against %(baseline)s", candidates=t(", ").join(candidates), baseline=baseline)


def compared(request: Request, baseline: str, candidates: list[str]) -> Comparison:
    """The comparison, computed or as it was found before: sealed records do not change.

    Raises:
        NotFound: one of the runs is not in the registry.
        EvalHarnessError: they cannot be compared; the message says why.
    """
    key = (baseline, *candidates)
    with _lock:
        if key in _found:
            _found.move_to_end(key)
            return _found[key]
    with _turns:
        comparison = compare_records([_record(request, one) for one in candidates], _record(request, baseline))
    with _lock:
        _found[key] = comparison
        while len(_found) > _KEPT:
            _found.popitem(last=False)
    return comparison


def _record(request: Request, run_id: str) -> Record:
    registry = settings_of(request).registry
    with reading(registry.engine) as connection:
        if not runs_of(connection, [run_id]):
            raise NotFound(f"there is no run {run_id[:120]!r} in the registry")
        folder = run_folder(connection, run_id, registry.reports)
    if folder is None:
        raise RecordError(f"run {run_id}: its folder is gone, and a comparison reads its samples")
    return Record.open(folder)

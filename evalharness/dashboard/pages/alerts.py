"""Alerts: what rings, what rang; somebody looks after one, and nobody is told for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from ...core.errors import UsageError
from ...record.acknowledge import acknowledge
from ...record.database import reading, writing
from ...record.silences import add_silence, end_silence, parse_matcher, silences
from .. import audit
from ..access import Visitor, checked, needs
from ..queries.alerts import alert_of, alerts_page, events_of, silence_row
from ..web import checked_after, found, go_to, page, settings_of

__all__ = ["change_acknowledged", "change_silence_added", "change_silence_ended", "router"]

router = APIRouter()
Editor = Annotated[Visitor, Depends(checked("editor"))]
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
_LONGEST_SILENCE_H = 24 * 366


@router.get("/alerts", include_in_schema=False)
def alerts(
    request: Request,
    visitor: Viewer,
    state: Annotated[str, Query(pattern="^(open|all)$")] = "open",
    after: str | None = None,
) -> Response:
    """The alerts, those that changed last first, and the silences that hold."""
    settings = settings_of(request)
    now = settings.clock()
    with reading(settings.registry.engine) as connection:
        quiet = silences(connection, now)
        rows = alerts_page(
            connection,
            is_open=True if state == "open" else None,
            after=checked_after(after),
            silences=quiet,
            now=now,
        )
    return page(
        request,
        "alerts.html.j2",
        here="alerts",
        title="Alerts",
        state=state,
        after=after,
        alerts=rows,
        silences=[silence_row(one) for one in quiet],
    )


@router.get("/alerts/{fingerprint}", include_in_schema=False)
def alert(request: Request, fingerprint: str, visitor: Viewer) -> Response:
    """One alert, and what happened to it."""
    settings = settings_of(request)
    now = settings.clock()
    with reading(settings.registry.engine) as connection:
        one, _ = found(
            alert_of(connection, fingerprint, silences=silences(connection, now), now=now), "alert", fingerprint
        )
        events = events_of(connection, fingerprint)
    return page(request, "alert.html.j2", here="alerts", title=one.alert, alert=one, events=events)


@router.post("/alerts/{fingerprint}/acknowledge", include_in_schema=False)
def acknowledge_alert(
    request: Request, fingerprint: str, visitor: Editor, note: Annotated[str, Form(max_length=2_000)] = ""
) -> Response:
    """Say that you look after an alert."""
    known = change_acknowledged(request, visitor, fingerprint, note)
    return go_to(f"/alerts/{known}")


@router.post("/silences", include_in_schema=False)
def silence(
    request: Request,
    visitor: Editor,
    matchers: Annotated[str, Form(max_length=2_000)],
    hours: Annotated[float, Form(gt=0, le=_LONGEST_SILENCE_H)],
    comment: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Silence alerts by their labels, one matcher a line."""
    change_silence_added(request, visitor, matchers.splitlines(), hours, comment)
    return go_to("/alerts")


@router.post("/silences/{number}/end", include_in_schema=False)
def stop_silence(request: Request, number: int, visitor: Editor) -> Response:
    """Let a silence end now."""
    change_silence_ended(request, visitor, number)
    return go_to("/alerts")


def change_acknowledged(request: Request, visitor: Visitor, fingerprint: str, text: str) -> str:
    """Acknowledge an alert, and note who did; returns its fingerprint."""
    settings = settings_of(request)
    now = settings.clock()
    with writing(settings.registry.engine) as connection:
        found(alert_of(connection, fingerprint, now=now), "alert", fingerprint)
        known = acknowledge(connection, fingerprint, by=visitor.name, now=now, note=text.strip())
        audit.note(connection, now, who=visitor.name, action="acknowledge", subject=f"alert {known}", detail=text)
    return known


def change_silence_added(request: Request, visitor: Visitor, matchers: list[str], hours: float, comment: str) -> int:
    """Add a silence, and note who did; returns its number."""
    settings = settings_of(request)
    now = settings.clock()
    parsed = [parse_matcher(line.strip()) for line in matchers if line.strip()]
    if any(len(str(one)) > 500 for one in parsed) or len(parsed) > 20:
        raise UsageError("a silence has at most 20 matchers of 500 characters")
    with writing(settings.registry.engine) as connection:
        number = add_silence(
            connection,
            parsed,
            until=now + timedelta(hours=hours),
            now=now,
            created_by=visitor.name,
            comment=comment.strip(),
        )
        detail = f"{'; '.join(map(str, parsed))} for {hours:g} h; {comment.strip()}"
        audit.note(connection, now, who=visitor.name, action="silence", subject=f"silence {number}", detail=detail)
    return number


def change_silence_ended(request: Request, visitor: Visitor, number: int) -> None:
    """End a silence, and note who did."""
    settings = settings_of(request)
    now = settings.clock()
    with writing(settings.registry.engine) as connection:
        end_silence(connection, number if 0 <= number < 2**31 else -1, now)
        audit.note(connection, now, who=visitor.name, action="end silence", subject=f"silence {number}")

"""What is due next, who is a user and who changed what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from ...record.database import reading
from .. import audit
from ..access import Visitor, needs
from ..queries.schedule import upcoming
from ..users import list_users
from ..web import page, settings_of

router = APIRouter()
Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Admin = Annotated[Visitor, Depends(needs("admin"))]


@router.get("/schedule", include_in_schema=False)
def schedule(request: Request, visitor: Viewer) -> Response:
    """When each monitor looks again."""
    settings = settings_of(request)
    with reading(settings.registry.engine) as connection:
        rows = upcoming(connection, settings.next_due, settings.clock())
    return page(request, "schedule.html.j2", here="schedule", title="Schedule", rows=rows)


@router.get("/changes", include_in_schema=False)
def changes(request: Request, visitor: Admin, before: Annotated[int | None, Query(ge=1, lt=2**31)] = None) -> Response:
    """Users, and what was changed by whom."""
    with reading(settings_of(request).registry.engine) as connection:
        rows = audit.changes(connection, before=before, limit=50)
        users = list_users(connection)
    return page(request, "changes.html.j2", here="changes", title="Users and changes", rows=rows, users=users)

"""The overview: where each suite stands, what is watched, what rings."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from ...record.database import reading
from ...record.running import SILENT_S, running
from ...record.silences import silences
from ..access import Visitor, needs
from ..queries.alerts import alerts_page
from ..queries.monitors import monitors
from ..queries.overview import models_of
from ..queries.runs import latest_of_suites
from ..web import page, settings_of

router = APIRouter()
_MOST = 30


@router.get("/", include_in_schema=False)
def overview(request: Request, visitor: Annotated[Visitor, Depends(needs("viewer"))]) -> Response:
    """Models, the latest verdict of each suite, monitors, open alerts, what is running."""
    settings = settings_of(request)
    now, now_s = settings.clock(), time.time()
    with reading(settings.registry.engine) as connection:
        runs = latest_of_suites(connection, limit=_MOST)
        return page(
            request,
            "overview.html.j2",
            here="overview",
            runs=runs,
            models=models_of(connection, [run.id for run in runs], limit=_MOST),
            monitors=monitors(connection),
            alerts=alerts_page(connection, limit=5, silences=silences(connection, now), now=now),
            running=running(settings.registry.reports, now_s=now_s),
            silent_since_s=now_s - SILENT_S,
        )

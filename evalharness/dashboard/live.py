"""What goes on now, as server-sent events: runs that are being made, and how many alerts wait."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from ..record.database import reading
from ..record.running import SILENT_S, running
from .access import Refused, Visitor, needs, visitor_of
from .queries.alerts import count_open
from .settings import Settings
from .web import settings_of

__all__ = ["Listeners", "router"]

router = APIRouter()
_EVERY_S: Final = 1.0
_QUIET_S: Final = 15.0
_LONGEST_S: Final = 3_600.0


class Listeners:
    """How many browsers listen: each holds a connection, so that there is a most."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.n = 0
        self.has_ended = asyncio.Event()


@router.get("/live", include_in_schema=False)
async def live(request: Request, visitor: Annotated[Visitor, Depends(needs("viewer"))]) -> StreamingResponse:
    """A stream of events `state`, one whenever something has changed; it ends after an hour, and browsers come back."""
    listeners: Listeners = request.app.state.listeners
    if listeners.n >= listeners.most:
        raise Refused(503, "too many pages listen already")
    return StreamingResponse(_events(request, listeners), media_type="text/event-stream")


async def _events(request: Request, listeners: Listeners) -> AsyncIterator[str]:
    settings = settings_of(request)
    began = said = time.monotonic()
    last = ""
    listeners.n += 1
    try:
        while not listeners.has_ended.is_set() and time.monotonic() - began < _LONGEST_S:
            if not await run_in_threadpool(_still_in, request):
                return
            text = json.dumps(await run_in_threadpool(_state, settings), sort_keys=True)
            now = time.monotonic()
            if text != last:
                last, said = text, now
                yield f"event: state\ndata: {text}\n\n"
            elif now - said > _QUIET_S:
                said = now
                yield ": still here\n\n"  # so that proxies keep the connection
            try:
                await asyncio.wait_for(listeners.has_ended.wait(), _EVERY_S)
            except TimeoutError:
                continue
    finally:
        listeners.n -= 1


def _still_in(request: Request) -> bool:
    """Whether the visitor is still somebody who may look: sessions end, and users are removed."""
    request.state.visitor = None
    return visitor_of(request).may("viewer")


def _state(settings: Settings) -> dict[str, Any]:
    now_s = time.time()
    with reading(settings.registry.engine) as connection:
        n_open = count_open(connection)
    runs = []
    for one in running(settings.registry.reports, now_s=now_s):
        asked, took = one.done - one.from_store, max(one.updated_s - one.began_s, 1e-9)
        runs.append(asdict(one) | {"per_s": round(asked / took, 2), "is_silent": now_s - one.updated_s >= SILENT_S})
    return {"alerts": n_open, "running": runs}

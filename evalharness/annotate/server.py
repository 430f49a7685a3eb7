"""The routes of the page. Everything that names an item names it by its place in the rater's own order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from aiohttp import web

from ..core.errors import EvalHarnessError, UsageError
from ..record import RunRegistry
from .deck import Deck
from .desk import Desk, rater_name
from .guard import HEADERS, Doors, is_own_host, is_own_page
from .page import asset_text, render_page

__all__ = ["AnnotationServer"]

_MAX_BODY_BYTES: Final = 256 * 1024
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Refused(Exception):
    """A request that is not carried out, with its status and the words for whoever sent it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AnnotationServer:
    """The page over `deck`, which writes to `registry`.

    Args:
        deck: What is rated.
        registry: Where ratings go.
        doors: Who may come in.
        hosts: Names under which this machine is reached, beside localhost and its addresses.
        show_reference: Whether raters may look at the reference.
        report: Told of each failure that is not the rater's.
    """

    def __init__(
        self,
        deck: Deck,
        registry: RunRegistry,
        doors: Doors,
        *,
        hosts: Collection[str] = (),
        show_reference: bool = False,
        report: Callable[[str], None],
    ) -> None:
        self.desks: dict[str, Desk] = {}
        self._deck = deck
        self._registry = registry
        self._doors = doors
        self._hosts = hosts
        self._show_reference = show_reference
        self._report = report
        # One thread: ratings are stored in the order in which they were given, and desks need no locks.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="annotate")
        self._has_ended = False

    def application(self) -> web.Application:
        """The routes, ready to be run."""
        app = web.Application(middlewares=[self._guarded], client_max_size=_MAX_BODY_BYTES)
        app.router.add_get("/", self._page)
        app.router.add_get("/annotate.css", self._asset("annotate.css", "text/css"))
        app.router.add_get("/annotate.js", self._asset("annotate.js", "text/javascript"))
        app.router.add_post("/api/join", self._join)
        app.router.add_get("/api/state", self._state)
        app.router.add_get(r"/api/items/{position:\d{1,9}}", self._item)
        app.router.add_put(r"/api/items/{position:\d{1,9}}", self._answer)
        app.router.add_post("/api/undo", self._undo)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, app: web.Application) -> None:
        self._has_ended = True
        self._worker.shutdown()

    # ── what is around every answer ───────────────────────────────────────────────────────────────────────────────

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not is_own_host(request.headers.get("Host"), self._hosts):
                raise _Refused(403, "this server does not answer to that name; use the link that it printed")
            if request.path.startswith("/api/") and not is_own_page(request.headers):
                raise _Refused(403, "only the page of this server may ask for that")
            response = await handler(request)
        except _Refused as refused:
            response = _error(refused.status, str(refused))
        except web.HTTPException as error:
            response = _error(error.status, error.reason)
        except UsageError as error:
            response = _error(400, str(error))
        except EvalHarnessError as error:
            self._report(f"not stored: {error}")
            response = _error(503, f"this was not stored: {error}")
        except Exception as error:  # noqa: BLE001 - the per-request boundary: the rater is told, and so is the terminal
            self._report(f"{request.method} {request.path}: {type(error).__name__}: {error}")
            response = _error(500, f"internal error: {type(error).__name__}; this was not stored")
        response.headers.update(HEADERS)
        return response

    async def _desk(self, request: web.Request) -> Desk:
        """The desk of whoever sent the request."""
        rater = self._doors.rater(_token(request))
        if rater is None:
            raise _Refused(401, "the link is of another session; use the one that evalharness annotate printed last")
        if rater not in self.desks:
            self.desks[rater] = await self._do(self._new_desk, rater)
        return self.desks[rater]

    def _new_desk(self, rater: str) -> Desk:
        # Two requests of a new rater may come at once; both run in the one thread.
        return self.desks.get(rater) or Desk(self._deck, self._registry, rater, show_reference=self._show_reference)

    async def _do(self, function: Callable[..., T], *arguments: object) -> T:
        if self._has_ended:
            raise _Refused(503, "the server is ending; this was not stored")
        # Shielded: a rating that is being stored is stored, whether its page still listens or not.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments))

    # ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _page(self, request: web.Request) -> web.Response:
        token = request.query.get("token", "")
        rater = self._doors.rater(token)
        if rater is None and not self._doors.is_open(token):
            text = "This page needs the whole link that evalharness annotate printed, its token included.\n"
            return web.Response(text=text, status=403)
        page = render_page(self._deck, rater=rater, show_reference=self._show_reference)
        return web.Response(text=page, content_type="text/html")

    def _asset(self, name: str, kind: str) -> Handler:
        text = asset_text(name)

        async def asset(request: web.Request) -> web.StreamResponse:
            return web.Response(text=text, content_type=kind)

        return asset

    async def _join(self, request: web.Request) -> web.Response:
        if not self._doors.is_open(_token(request)):
            raise _Refused(401, "this link does not let new raters in; use the one that evalharness annotate printed")
        name = (await _json(request)).get("name")
        if not isinstance(name, str):
            raise UsageError("name is missing")
        return web.json_response({"token": self._doors.join(rater_name(name))})

    async def _state(self, request: web.Request) -> web.Response:
        desk = await self._desk(request)
        await self._do(desk.load)
        return web.json_response(await self._do(desk.state))

    async def _item(self, request: web.Request) -> web.Response:
        desk = await self._desk(request)
        return web.json_response(await self._do(desk.view, _position(request, desk)))

    async def _answer(self, request: web.Request) -> web.Response:
        desk = await self._desk(request)
        position = _position(request, desk)
        body = await _json(request)
        code, comment = body.get("choice"), body.get("comment", "")
        if not isinstance(code, str | None) or not isinstance(comment, str):
            raise UsageError("choice is a text or null, and comment is a text")
        return web.json_response(await self._do(desk.answer, position, code, comment))

    async def _undo(self, request: web.Request) -> web.Response:
        desk = await self._desk(request)
        return web.json_response(await self._do(desk.undo))


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def _position(request: web.Request, desk: Desk) -> int:
    position = int(request.match_info["position"])
    if position >= len(desk):
        raise _Refused(404, f"there is no item {position + 1}: there are {len(desk)}")
    return position


async def _json(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise _Refused(415, "the body must be JSON")
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise UsageError("the body is not a JSON object")
    return body


def _error(status: int, message: str) -> web.StreamResponse:
    return web.json_response({"error": message}, status=status)

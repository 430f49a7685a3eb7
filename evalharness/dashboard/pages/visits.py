"""Coming in and going out: login, the link of the command line, logout, the language."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from ...core.language import LANGUAGES
from ...core.visible import single_line
from ...record.database import reading, writing
from .. import audit
from ..access import Refused, Visitor, checked, needs, same_text, token_kind
from ..users import begin_session, check_password, end_session, stored_hash
from ..web import LANGUAGE_COOKIE, go_to, page, set_visit, settings_of

router = APIRouter()
Anyone = Annotated[Visitor, Depends(needs("anyone"))]
Sender = Annotated[Visitor, Depends(checked("anyone"))]
_PLACE: Final = re.compile(r"/(?![/\\])[^\x00-\x20\\]{0,1000}")
_TRIES: Final = 10
_TRIES_S: Final = 300.0
_AT_ONCE: Final = 4
_LONGEST_WAIT_S: Final = 10.0
_NOTED: Final = 100


class Tries:
    """Counts tries of passwords by user and address, so that nobody tries them all."""

    def __init__(self) -> None:
        # A password takes 64 MiB to check: this many at once, however many are sent.
        self.turns = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._made: OrderedDict[str, list[float]] = OrderedDict()

    def take(self, key: str, now_s: float, most: int = _TRIES) -> bool:
        """Count a try before it is made, so that many at once are not one; whether it may be made."""
        with self._lock:
            recent = [at for at in self._made.pop(key, []) if now_s - at < _TRIES_S]
            is_allowed = len(recent) < most
            self._made[key] = [*recent, now_s] if is_allowed else recent
            while len(self._made) > 10_000:
                self._made.popitem(last=False)
            return is_allowed

    def forget(self, key: str) -> None:
        """The right password was among them."""
        with self._lock:
            self._made.pop(key, None)


@router.get("/login", include_in_schema=False)
def login_page(request: Request, visitor: Anyone, to: Annotated[str, Query(max_length=1_100)] = "/") -> Response:
    """The form."""
    access = settings_of(request).access
    return page(request, "login.html.j2", title="Log in", to=_own(to), fault="", has_token=access.api_token is not None)


@router.post("/login", include_in_schema=False)
def login(
    request: Request,
    visitor: Sender,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1_000)] = "",
    to: Annotated[str, Form(max_length=1_100)] = "/",
) -> Response:
    """Check the password, or where no name is given the access token, and begin a session."""
    settings = settings_of(request)
    now = settings.clock()
    tries: Tries = request.app.state.tries
    peer = request.client.host if request.client else ""
    key = f"{name}\n{peer}"
    if not tries.take(key, now.timestamp()):
        raise Refused(429, "too many wrong passwords; wait five minutes")
    token = settings.access.api_token
    if not name and token:
        is_right, who, kind = same_text(password, token), "token", token_kind(token)
    else:
        with reading(settings.registry.engine) as connection:
            stored = stored_hash(connection, name)
        if not tries.turns.acquire(timeout=_LONGEST_WAIT_S):
            raise Refused(503, "too many passwords are being checked; try again in a moment")
        try:
            is_right, who, kind = check_password(stored, password), name, "password"
        finally:
            tries.turns.release()
    if is_right:
        tries.forget(key)
    else:
        # Whoever sends thousands of wrong ones fills no disk with them.
        if tries.take(f"noted\n{peer}", now.timestamp(), _NOTED):
            with writing(settings.registry.engine) as connection:
                shown = single_line(name)[:80] or "(no name)"
                audit.note(connection, now, who=shown, action="wrong password", subject=f"from {single_line(peer)}")
        return page(
            request,
            "login.html.j2",
            status=401,
            title="Log in",
            to=_own(to),
            fault="This name and password do not belong together.",
            has_token=token is not None,
        )
    return _entered(request, who, kind, _own(to))


@router.get("/enter", include_in_schema=False)
def enter(
    request: Request,
    visitor: Anyone,
    token: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The link that the command line printed."""
    expected = settings_of(request).access.link_token
    if expected is None or not same_text(token, expected):
        raise Refused(401, "this link is of another start of the dashboard; use the one that it printed last")
    return _entered(request, "local", "link", "/")


@router.post("/logout", include_in_schema=False)
def logout(request: Request, visitor: Sender) -> Response:
    """End the session."""
    settings = settings_of(request)
    with writing(settings.registry.engine) as connection:
        if end_session(connection, visitor.token):
            audit.note(connection, settings.clock(), who=visitor.name, action="log out", subject="")
    response = go_to("/login")
    response.delete_cookie("evalharness_visit", path="/")
    return response


@router.post("/language", include_in_schema=False)
def language(
    request: Request,
    visitor: Sender,
    language: Annotated[str, Form(max_length=20)],
    to: Annotated[str, Form(max_length=1_100)] = "/",
) -> Response:
    """Choose the language of the interface."""
    response = RedirectResponse(_own(to), status_code=303)
    if language in LANGUAGES:
        is_https = settings_of(request).is_https
        response.set_cookie(
            LANGUAGE_COOKIE, language, max_age=365 * 86_400, httponly=True, samesite="lax", secure=is_https
        )
    return response


def _entered(request: Request, who: str, kind: str, to: str) -> Response:
    settings = settings_of(request)
    now = settings.clock()
    with writing(settings.registry.engine) as connection:
        token = begin_session(connection, who, kind, now)
        audit.note(connection, now, who=who, action="log in", subject=f"by {kind.partition(' ')[0]}")
    response = RedirectResponse(to, status_code=303)
    # A new cookie: whoever knew that of the visitor before knows nothing of the session.
    set_visit(response, token, is_https=settings.is_https)
    return response


def _own(to: str) -> str:
    """A path of ours: an address of elsewhere is the first page."""
    return to if _PLACE.fullmatch(to) else "/"

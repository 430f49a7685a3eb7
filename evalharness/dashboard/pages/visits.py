"""Coming in and going out: login, the link of the command line, logout, the language."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from ...record.database import reading, writing
from .. import audit
from ..access import Refused, Visitor, checked, needs, same_text
from ..catalogue import LANGUAGES
from ..users import begin_session, check_password, end_session, stored_hash
from ..web import LANGUAGE_COOKIE, go_to, page, set_visit, settings_of

router = APIRouter()
Anyone = Annotated[Visitor, Depends(needs("anyone"))]
Sender = Annotated[Visitor, Depends(checked("anyone"))]
_PLACE: Final = re.compile(r"/(?![/\\])[^\x00-\x20\\]{0,1000}")
_TRIES: Final = 10
_TRIES_S: Final = 300.0


class Tries:
    """Counts wrong passwords by user and address, so that nobody tries them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def is_allowed(self, key: str, now_s: float) -> bool:
        """Whether one more try may be made."""
        with self._lock:
            recent = [at for at in self._failed.get(key, ()) if now_s - at < _TRIES_S]
            return len(recent) < _TRIES

    def failed(self, key: str, now_s: float) -> None:
        """Note a wrong one."""
        with self._lock:
            recent = [at for at in self._failed.pop(key, []) if now_s - at < _TRIES_S]
            self._failed[key] = [*recent, now_s]
            while len(self._failed) > 10_000:
                self._failed.popitem(last=False)


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
    key = f"{name}\n{request.client.host if request.client else ''}"
    if not tries.is_allowed(key, now.timestamp()):
        raise Refused(429, "too many wrong passwords; wait five minutes")
    token = settings.access.api_token
    if not name and token:
        is_right, who, kind = same_text(password, token), "token", "token"
    else:
        with reading(settings.registry.engine) as connection:
            stored = stored_hash(connection, name)
        is_right, who, kind = check_password(stored, password), name, "password"
    if not is_right:
        tries.failed(key, now.timestamp())
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
        end_session(connection, visitor.token)
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
        audit.note(connection, now, who=who, action="log in", subject=f"by {kind}")
    response = RedirectResponse(to, status_code=303)
    # A new cookie: whoever knew that of the visitor before knows nothing of the session.
    set_visit(response, token, is_https=settings.is_https)
    return response


def _own(to: str) -> str:
    """A path of ours: an address of elsewhere is the first page."""
    return to if _PLACE.fullmatch(to) else "/"

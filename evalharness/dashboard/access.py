"""Who asks, and what they may do: sessions of browsers, bearer tokens, names that a proxy hands over."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import Form, Request

from ..core.visible import single_line
from ..record.database import reading
from .settings import ROLES, Role, Settings
from .users import find_user, session_user

__all__ = ["COOKIE", "NEEDS", "Refused", "Visitor", "checked", "checked_header", "needs", "same_text", "token_kind"]
__all__ += ["visitor_of"]

COOKIE: Final = "evalharness_visit"
NEEDS: Final = "evalharness_needs"
"""The attribute of an endpoint's guard that names the role it asks for; a test reads it off every route."""
Asked = Literal["anyone", "viewer", "editor", "admin"]
_RANK: Final[dict[str, int]] = {"anyone": 0, **{role: rank for rank, role in enumerate(ROLES, start=1)}}


class Refused(Exception):
    """A request that is not carried out: a status, and words for whoever sent it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever sent a request. `role` is None for who has not logged in; `csrf` stands in each form of theirs."""

    name: str
    role: Role | None
    token: str
    is_new: bool
    by: Literal["nobody", "session", "token", "proxy", "no-login"]

    @property
    def csrf(self) -> str:
        """What only a page that was made for this browser knows."""
        return hmac.new(self.token.encode(), b"csrf", hashlib.sha256).hexdigest()

    def may(self, role: Asked) -> bool:
        """Whether the visitor has at least `role`."""
        return _RANK[role] <= (_RANK[self.role] if self.role else 0)


def visitor_of(request: Request) -> Visitor:
    """Who sent `request`; found once for each request."""
    found: Visitor | None = getattr(request.state, "visitor", None)
    if found is None:
        found = request.state.visitor = _visitor(request, request.app.state.settings)
    return found


def needs(role: Asked) -> Callable[..., Visitor]:
    """A dependency: the visitor, who must have `role`, and for changes must send what stands in their forms."""

    def guard(request: Request) -> Visitor:
        visitor = visitor_of(request)
        if not visitor.may(role):
            if visitor.role is None:
                raise Refused(401, "log in first")
            raise Refused(403, f"this needs the role {role}, and {visitor.name} is {visitor.role}")
        return visitor

    setattr(guard, NEEDS, role)
    return guard


def checked(role: Asked) -> Callable[..., Visitor]:
    """A dependency for forms that change something: as `needs`, and a page made for the visitor must have sent it."""
    inner = needs(role)

    def guard(request: Request, csrf: Annotated[str, Form(max_length=200)] = "") -> Visitor:
        return _from_own_page(inner(request), csrf)

    setattr(guard, NEEDS, role)
    return guard


def checked_header(role: Asked) -> Callable[..., Visitor]:
    """As `checked`, for programs: what stands in forms comes in the header X-CSRF-Token; a bearer token needs none."""
    inner = needs(role)

    def guard(request: Request) -> Visitor:
        return _from_own_page(inner(request), request.headers.get("x-csrf-token", ""))

    setattr(guard, NEEDS, role)
    return guard


def _from_own_page(visitor: Visitor, given: str) -> Visitor:
    # Nothing of a bearer token is sent by a browser on its own: no foreign page can use it.
    if visitor.by != "token" and not same_text(given, visitor.csrf):
        raise Refused(403, "this form is of an earlier visit; go back, load the page again and send it once more")
    return visitor


def same_text(a: str, b: str) -> bool:
    """Whether two secrets are the same, in a time that says nothing of where they differ."""
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


def token_kind(api_token: str) -> str:
    """The kind of sessions that began with this access token: with another token they are over."""
    return f"token {hashlib.sha256(api_token.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _visitor(request: Request, settings: Settings) -> Visitor:
    access = settings.access
    cookie = request.cookies.get(COOKIE, "")
    has_cookie = 20 <= len(cookie) <= 100 and cookie.isascii()
    token = cookie if has_cookie else secrets.token_urlsafe(32)
    bearer = request.headers.get("authorization", "")
    if bearer.lower().startswith("bearer "):
        if access.api_token and same_text(bearer[7:].strip(), access.api_token):
            return Visitor("token", access.token_role, token, False, "token")
        raise Refused(401, "this bearer token is not the dashboard's")
    if access.proxy_header and (name := request.headers.get(access.proxy_header)):
        peer = request.client.host if request.client else ""
        if peer not in access.trusted_proxies:
            raise Refused(403, f"{access.proxy_header} came from {peer}, which is no trusted proxy (--trusted-proxy)")
        if len(request.headers.getlist(access.proxy_header)) > 1:
            # A proxy that adds its header and leaves that of the client would let the client say who it is.
            raise Refused(403, f"{access.proxy_header} came more than once; let the proxy replace what clients send")
        name = single_line(name)[:80]
        with reading(settings.registry.engine) as connection:
            user = find_user(connection, name)
        return Visitor(name, user.role if user else access.proxy_role, token, not has_cookie, "proxy")
    if has_cookie:
        with reading(settings.registry.engine) as connection:
            session = session_user(connection, token, settings.clock())
            if session is not None:
                name, kind = session
                if kind == "link" and access.link_token:
                    return Visitor(name, "admin", token, False, "session")
                if access.api_token and same_text(kind, token_kind(access.api_token)):
                    return Visitor(name, access.token_role, token, False, "session")
                if kind == "password" and (user := find_user(connection, name)):
                    return Visitor(name, user.role, token, False, "session")
    if access.no_login:
        return Visitor("local", "admin", token, not has_cookie, "no-login")
    return Visitor("", None, token, not has_cookie, "nobody")

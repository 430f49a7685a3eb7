"""What stands around every answer: names it answers to, pages that may ask, sizes, and what browsers may do with it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from ..core.visible import safe
from .settings import MAX_BODY_BYTES

__all__ = ["HEADERS", "Guard", "is_own_host"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_URL: Final = 8_192


class TooLarge(Exception):
    """A body is larger than any that is expected."""


class Guard:
    """The outermost layer (ASGI): a request that it refuses reaches no route."""

    def __init__(self, app: Any, *, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if refusal := self._refusal(scope, headers):
            await _answer(send, *refusal)
            return
        has_begun = False
        n_bytes = 0

        async def limited() -> MutableMapping[str, Any]:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > MAX_BODY_BYTES:
                raise TooLarge
            return message

        # Whatever the routes make of a body that was cut off, it is not said.
        def is_cut() -> bool:
            return n_bytes > MAX_BODY_BYTES and not has_begun

        async def sealed(message: MutableMapping[str, Any]) -> None:
            nonlocal has_begun
            if is_cut():
                return
            if message["type"] == "http.response.start":
                has_begun = True
                given = {name.lower() for name, _ in message["headers"]}
                more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in given]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        with contextlib.suppress(TooLarge):
            await self._app(scope, limited, sealed)
        if is_cut():
            await _answer(send, 413, _TOO_LARGE)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > _LONGEST_URL:
            return 414, f"the address is longer than {_LONGEST_URL:,} characters"
        hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
        if len(hosts) != 1 or not is_own_host(headers.get("host"), self._hosts):
            return 421, "this server does not answer to that name; start it with --allowed-host NAME if it should"
        # A link from elsewhere may be followed; it names no origin. A page that reads or sends by itself does.
        if not _is_own_origin(headers) or (scope["method"] not in _SAFE and not _is_own_site(headers)):
            return 403, "only pages of this dashboard may ask for that"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return 413, _TOO_LARGE
        return None


_TOO_LARGE: Final = f"the request is larger than {MAX_BODY_BYTES:,} bytes"


def is_own_host(header: str | None, hosts: frozenset[str]) -> bool:
    """Whether a `Host` header names this server: localhost, an address of loopback, or one of `hosts`.

    The port is left alone: a tunnel may have another one.
    """
    if not header:
        return False
    host = header.strip().lower()
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        if rest and not rest.startswith(":"):
            return False
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    host = host.rstrip(".")
    if host == "localhost" or host in hosts:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own_origin(headers: dict[str, str]) -> bool:
    """Whether a request names our own origin, or none, as links and programs that are no browsers do."""
    origin, host = headers.get("origin"), headers.get("host", "")
    return origin is None or origin in (f"http://{host}", f"https://{host}")


def _is_own_site(headers: dict[str, str]) -> bool:
    """Whether a browser says that a page of ours sent it, or nothing of it, as older ones and programs do."""
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def _answer(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": safe(message)}).encode()
    headers = {**HEADERS, "content-type": "application/json", "content-length": str(len(body))}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})

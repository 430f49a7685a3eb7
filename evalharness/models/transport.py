"""How HTTP requests are sent: a small protocol, and the one transport that stands on aiohttp.

aiohttp is the fast client of the field (benchmarks/api_throughput.py). One session a model, as many connections as
requests in flight, no cookies and no redirects: a redirect could carry a key to another host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AiohttpTransport", "Fault", "HttpReply", "HttpRequest", "Transport", "TransportError"]

Fault = Literal["timeout", "unreachable", "lost", "untrusted", "unsendable", "too large"]

MAX_BODY_BYTES = 64 * 2**20
_LONGEST_CONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, ready to be sent. All but the method may hold a secret, and so has no place in its repr."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What a server answered; `headers` are asked for by names in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The body as text, in the encoding that it declares, else UTF-8; bytes that do not fit are replaced."""
        declared = Message()
        declared["content-type"] = self.headers.get("content-type", "text/plain")
        try:
            return self.body.decode(declared.get_content_charset("utf-8"), "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


class TransportError(Exception):
    """No reply came. `fault` says why; the message may hold the address, and is to be redacted."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Transport(Protocol):
    """Sends requests. Tests put their own in the place of aiohttp's."""

    async def open(self) -> None:
        """Connect."""
        ...

    async def send(self, request: HttpRequest) -> HttpReply:
        """The reply to `request`, whatever its status.

        Raises:
            TransportError: no reply came.
        """
        ...

    async def close(self) -> None:
        """Disconnect; safe to call twice."""
        ...


class AiohttpTransport:
    """The transport over aiohttp: `concurrency` connections that are kept open, proxies as `environ` names them."""

    def __init__(self, *, concurrency: int, environ: Mapping[str, str]) -> None:
        self._concurrency = concurrency
        self._proxies = {
            name.lower().removesuffix("_proxy"): value
            for name, value in environ.items()
            if name.lower().endswith("_proxy") and value
        }
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Neither ~/.netrc nor the process's environment: what is sent is what the suite says.
                trust_env=False,
            )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: HttpRequest) -> HttpReply:
        import aiohttp
        from yarl import URL

        if self._session is None:
            raise RuntimeError("the transport is not open")
        try:
            async with self._session.request(
                request.method,
                # An address that is encoded already is sent as it stands: a signature may hang on its spelling.
                URL(request.url, encoded=request.url.isascii()),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                proxy=self._proxy_for(request.url) if self._proxies else None,
                timeout=aiohttp.ClientTimeout(
                    total=request.timeout_s, sock_connect=min(request.timeout_s, _LONGEST_CONNECT_S)
                ),
            ) as reply:
                body = await _read(reply)
                return HttpReply(reply.status, body, reply.headers)
        except TransportError:
            raise
        except Exception as error:
            raise _sorted(error, request) from error

    def _proxy_for(self, url: str) -> str | None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if _is_loopback(host) or proxy_bypass_environment(host, self._proxies):
            return None
        return self._proxies.get(parts.scheme) or self._proxies.get("all")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    """The whole body, in memory for no more than `MAX_BODY_BYTES`."""
    parts: list[bytes] = []
    size = 0
    async for part in reply.content.iter_any():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TransportError("too large", f"the reply is larger than {MAX_BODY_BYTES // 2**20} MiB")
        parts.append(part)
    return b"".join(parts)


def _sorted(error: Exception, request: HttpRequest) -> Exception:
    """`error` as a `TransportError`; one that is a fault of ours comes back as it is."""
    import aiohttp

    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportError("unreachable", "no connection in time")
    if isinstance(error, asyncio.TimeoutError):
        return TransportError("timeout", f"no answer within {request.timeout_s:g} s")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return TransportError("untrusted", detail)
    if isinstance(error, aiohttp.InvalidURL):
        return TransportError("unsendable", detail)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientProxyConnectionError):
        return TransportError("unreachable", detail)
    if isinstance(error, aiohttp.ClientError | OSError):
        return TransportError("lost", detail)
    # aiohttp refuses line breaks in headers, and yarl broken addresses, with a ValueError.
    return TransportError("unsendable", detail) if isinstance(error, ValueError) else error

"""How HTTP requests are sent: a small protocol, and the one transport that stands on aiohttp.

aiohttp is the fast client of the field (benchmarks/api_throughput.py). One session a model, as many connections as
requests in flight, no cookies and no redirects: a redirect could carry a key to another host.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ipaddress
import re
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

if TYPE_CHECKING:
    import aiohttp

__all__ = [
    "AiohttpTransport",
    "Fault",
    "HttpReply",
    "HttpRequest",
    "StreamReader",
    "Transport",
    "TransportError",
    "charset_of",
    "preload_aiohttp",
]

Fault = Literal["timeout", "unreachable", "lost", "untrusted", "unsendable", "too large"]

MAX_BODY_BYTES = 64 * 2**20
_LONGEST_CONNECT_S = 30.0
# A proxy's address may have its password in it, and no placeholder of the suite tells of that.
_USERINFO = re.compile(r"//[^/@\s]+@")
# How long the end of a streamed reply is waited for once its last event is there: connections that came to their end
# are used again.
_LONGEST_TAIL_S = 0.2


class StreamReader(Protocol):
    """Reads one streamed reply as it comes; a new one is made for each try."""

    ttft_s: float | None
    """Seconds from the asking to the first piece of the answer, once that is there."""

    def takes(self, headers: Mapping[str, str]) -> bool:
        """Whether a reply with these headers is a stream; a server may answer whole all the same."""
        ...

    def feed(self, part: bytes) -> bool:
        """Read the next bytes; True once nothing more is needed."""
        ...

    def end(self, *, framed: bool) -> tuple[int, bytes]:
        """(status, body) of the reply that the server would have given whole.

        `framed` says that HTTP itself tells the end of the body, so that a cut would have been noticed.

        Raises:
            TransportError: the stream ended before the answer did.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, ready to be sent. All but the method may hold a secret, and so has no place in its repr."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    reader: Callable[[], StreamReader] | None = field(default=None, repr=False)
    """Makes what reads the reply as it comes, if it is a stream; None reads it whole."""
    upload: Callable[[], AsyncIterable[bytes]] | None = field(default=None, repr=False)
    """Makes the body in parts, in the place of `body`, for one that is too large for memory; `headers` say its length.
    """


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What a server answered; `headers` are asked for by names in lower case.

    Of a stream, `body` is what its reader made of it, and `ttft_s` the time to the first piece.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    ttft_s: float | None = None

    def text(self) -> str:
        """The body as text, in the encoding that it declares, else UTF-8; bytes that do not fit are replaced."""
        return self.body.decode(charset_of(self.headers), "replace")


def charset_of(headers: Mapping[str, str]) -> str:
    """The encoding of text that `headers` declare; UTF-8 where they declare none, or one that there is not."""
    declared = Message()
    declared["content-type"] = headers.get("content-type", "text/plain")
    charset = declared.get_content_charset("utf-8")
    try:
        b"".decode(charset)
    except (LookupError, ValueError):
        return "utf-8"
    return charset


class TransportError(Exception):
    """No reply came. `fault` says why; the message may hold the address, and is to be redacted."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def preload_aiohttp() -> None:
    """Begin to import aiohttp on a thread: it reads the system's certificates meanwhile, which takes half of it."""
    threading.Thread(target=importlib.import_module, args=("aiohttp",), name="evalharness-preload").start()


class Transport(Protocol):
    """Sends requests. Tests put their own in the place of aiohttp's."""

    async def open(self) -> None:
        """Connect."""
        ...

    async def send(self, request: HttpRequest) -> HttpReply:
        """The reply to `request`, whatever its status; one with status 2xx is read by the request's reader, if any.

        Raises:
            TransportError: no reply came, or it broke off.
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
        reader = None if request.reader is None else request.reader()
        try:
            async with self._session.request(
                request.method,
                # An address that is encoded already is sent as it stands: a signature may hang on its spelling.
                URL(request.url, encoded=request.url.isascii()),
                data=request.body if request.upload is None else request.upload(),
                headers=request.headers,
                allow_redirects=False,
                proxy=self._proxy_for(request.url) if self._proxies else None,
                timeout=aiohttp.ClientTimeout(
                    total=request.timeout_s, sock_connect=min(request.timeout_s, _LONGEST_CONNECT_S)
                ),
            ) as reply:
                if reader is not None and 200 <= reply.status <= 299 and reader.takes(reply.headers):
                    return await _follow(reply, reader)
                return HttpReply(
                    reply.status, b"".join([part async for part in _parts(reply, MAX_BODY_BYTES)]), reply.headers
                )
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


async def _parts(reply: aiohttp.ClientResponse, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, no more than `most_bytes` of it."""
    size = 0
    async for part in reply.content.iter_any():
        size += len(part)
        if size > most_bytes:
            raise TransportError("too large", f"the reply is larger than {most_bytes // 2**20} MiB")
        yield part


async def _follow(reply: aiohttp.ClientResponse, reader: StreamReader) -> HttpReply:
    """The reply as `reader` puts it together."""
    import aiohttp

    whole = False
    # One that keeps what it reads on the disk may read more.
    most_bytes = getattr(reader, "most_bytes", MAX_BODY_BYTES)
    async with contextlib.aclosing(_parts(reply, most_bytes)) as parts:
        async for part in parts:
            if whole := reader.feed(part):
                break
    if whole and not reply.content.at_eof():
        # The answer is there: what becomes of the rest cannot take it away.
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(_LONGEST_TAIL_S):
                async for _ in reply.content.iter_any():
                    pass
    # aiohttp reports a body that ends before its length or its last chunk; one without either ends with the connection.
    framed = "content-length" in reply.headers or "chunked" in reply.headers.get("transfer-encoding", "").lower()
    status, body = reader.end(framed=framed)
    return HttpReply(status if status != 200 else reply.status, body, reply.headers, reader.ttft_s)


def _sorted(error: Exception, request: HttpRequest) -> Exception:
    """`error` as a `TransportError`; one that is a fault of ours comes back as it is."""
    import aiohttp

    detail = _USERINFO.sub("//[redacted]@", f"{type(error).__name__}: {error}")
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

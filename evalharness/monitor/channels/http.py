"""One HTTP request to an address that was looked at; redirects are followed by the same rules, one look each."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from evalharness.monitor.alerts.deliver import DeliveryError

from .addresses import Resolver, resolve_host, system_resolver

__all__ = ["HttpClient"]

_REDIRECTS: Final = 3
_PERMANENT: Final = frozenset({400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 451})
_Connect = Callable[[tuple[str, int], float], socket.socket]


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True)
class HttpClient:
    """Sends messages in at most four requests each; `timeout_s` is for each wait (to connect, TLS, an answer)."""

    resolver: Resolver = system_resolver
    timeout_s: float = 5.0
    connect: _Connect = socket.create_connection
    tls: Callable[[], ssl.SSLContext] = field(default=_tls)

    def send(
        self,
        method: str,
        url: str,
        *,
        shown: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        allow_private: bool = False,
    ) -> None:
        """Return once a server has answered with 2xx.

        A redirect of a POST is followed where it keeps the body (307, 308); `headers` do not go along to another host.

        Raises:
            DeliveryError: if not; messages call the address `shown`.
        """
        given = dict(headers or {})
        for _ in range(_REDIRECTS + 1):
            status, answer = self._once(method, url, body, given, shown=shown, allow_private=allow_private)
            if status not in (301, 302, 303, 307, 308):
                break
            if method != "GET" and status not in (307, 308):
                raise DeliveryError(
                    f"{shown}: answered {status}, a redirect that would lose the message; give the address it leads to",
                    permanent=True,
                )
            target = urljoin(url, answer.get("location", ""))
            if urlsplit(url)[:2] != urlsplit(target)[:2]:
                given = {}
            url = target
        else:
            raise DeliveryError(f"{shown}: redirects more than {_REDIRECTS} times", permanent=True)
        if not 200 <= status < 300:
            raise DeliveryError(
                f"{shown}: answered {status}", permanent=status in _PERMANENT, retry_after_s=_retry_after(answer)
            )

    def _once(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, shown: str, allow_private: bool
    ) -> tuple[int, Mapping[str, str]]:
        """One request; returns the status and the headers of the answer, in lower case."""
        parts, host, port = _place(url, shown)
        address = resolve_host(host, port, resolver=self.resolver, allow_private=allow_private, shown=shown)
        is_sent = False
        connection = http.client.HTTPConnection(host, port, timeout=self.timeout_s)
        try:
            connection.sock = self.connect((address, port), self.timeout_s)
            connection.sock.settimeout(self.timeout_s)
            if parts.scheme == "https":
                connection.sock = self.tls().wrap_socket(connection.sock, server_hostname=host)
            path = parts.path or "/"
            is_sent = True
            connection.request(
                method,
                f"{path}?{parts.query}" if parts.query else path,
                body=body or None,
                headers={"Host": parts.netloc.rpartition("@")[2], "User-Agent": "evalharness", **headers},
            )
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            # Once a byte has gone out, nobody knows what became of the message.
            raise DeliveryError(f"{shown}: {reason}", is_sure=not is_sent) from None
        finally:
            connection.close()


def _place(url: str, shown: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise DeliveryError(f"{shown}: it is no address of http or https", permanent=True)
    return parts, host, port or (443 if parts.scheme == "https" else 80)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait; 0 where it says none (dates are not followed: the clock is not ours)."""
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() else 0.0

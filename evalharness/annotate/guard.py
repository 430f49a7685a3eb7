"""Who may talk to the page: whoever has the link, from a page of our own, under a name that means this machine.

A random token stands in the link. What a foreign page could send all the same is refused by `Origin` and
`Sec-Fetch-Site`, and a foreign name that was bound to this address (DNS rebinding) by `Host`.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Collection, Mapping
from typing import Final

__all__ = ["HEADERS", "Doors", "is_own_host", "is_own_page"]

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Doors:
    """The links: one for each rater who is named, or one by which everybody says their name first."""

    def __init__(self, raters: Collection[str]) -> None:
        self.links: dict[str, str] = {rater: secrets.token_urlsafe(24) for rater in raters}
        self.open_link: str | None = None if raters else secrets.token_urlsafe(24)

    def rater(self, token: str) -> str | None:
        """Who has this link; None for nobody."""
        return next((rater for rater, link in self.links.items() if _same(link, token)), None)

    def is_open(self, token: str) -> bool:
        """Whether this is the link by which raters say their names."""
        return self.open_link is not None and _same(self.open_link, token)

    def join(self, rater: str) -> str:
        """The link of `rater`, who came by the open one."""
        return self.links.setdefault(rater, secrets.token_urlsafe(24))


def is_own_host(header: str | None, names: Collection[str]) -> bool:
    """Whether a `Host` header names this machine: by an address, as localhost, or by one of `names`.

    An address cannot be rebound, only a name can. The port is left alone: a tunnel may have another one.
    """
    if not header:
        return False
    host = header.strip().lower()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    host = host.rstrip(".")
    if host == "localhost" or host in {name.lower() for name in names}:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from our own page, or from a program that is no browser."""
    origin, host = headers.get("Origin"), headers.get("Host", "")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return False
    return headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")


def _same(link: str, token: str) -> bool:
    return hmac.compare_digest(link.encode(), token.encode("utf-8", "surrogatepass"))

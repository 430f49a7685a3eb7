"""How a dashboard is set up: where the runs are, who may come in, under which names it is reached."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from ..core.errors import UsageError
from ..record import RunRegistry

__all__ = ["MAX_BODY_BYTES", "ROLES", "Access", "Role", "Settings", "is_loopback"]

Role = Literal["viewer", "editor", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "editor", "admin")
"""What somebody may do, each with all before it: look; acknowledge and silence alerts; see users and the audit log."""
MAX_BODY_BYTES: Final = 64 * 1024
"""Largest body of a request: forms of a few fields are all that is ever sent."""

NextDue = Callable[[Mapping[str, Any], datetime], datetime | None]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in. Users of the registry always may, with their passwords.

    `link_token` opens the page once for whoever started it, as an administrator. `api_token` is a bearer token with
    the role `token_role`. With `proxy_header` a proxy at one of `trusted_proxies` says who asks; whoever is no user of
    the registry then has `proxy_role`, None for nobody. With `no_login` everybody is an administrator.
    """

    link_token: str | None = None
    api_token: str | None = None
    token_role: Role = "viewer"
    proxy_header: str | None = None
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    proxy_role: Role | None = "viewer"
    no_login: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a dashboard needs.

    `hosts` are the names under which it is reached, beside localhost and addresses of loopback. `next_due` says when
    the next interval of a monitor's definition is due (None: not known); `clock` says what time it is.
    """

    registry: RunRegistry
    access: Access
    hosts: tuple[str, ...] = ()
    is_https: bool = False
    next_due: NextDue = lambda definition, now: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    report: Callable[[str], None] = lambda message: None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_protection(host: str, access: Access, *, n_users: int, hosts: tuple[str, ...]) -> None:
    """Refuse to listen where others can come in unasked.

    Raises:
        UsageError: naming what is missing.
    """
    if is_loopback(host):
        return
    if access.no_login:
        raise UsageError(f"--no-login lets everybody in, and --host {host} is reached from elsewhere; leave one out")
    if not (n_users or access.api_token or access.proxy_header):
        raise UsageError(
            f"--host {host} is reached from elsewhere, and nobody would have to say who they are; add a user "
            f"(evalharness dashboard user add NAME --role admin), or give --token-env or --proxy-header"
        )
    if not hosts:
        raise UsageError(
            f"--host {host}: say by --allowed-host NAME under which name browsers reach it, so that other names are "
            f"refused"
        )

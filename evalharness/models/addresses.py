"""Addresses and headers of a suite entry: what may be written there, what may be sent, and what a record says of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from evalharness.core.errors import UsageError
from evalharness.core.secrets import PLACEHOLDER
from evalharness.core.types import Json

__all__ = ["address_identity", "check_address", "check_secrets", "merged_headers"]

_SENSITIVE = re.compile(
    r"(^|[-_])(authorization|cookie|token|secret|password|sig(nature)?|api[-_]?key|(access|subscription|auth)[-_]?key)$",
    re.IGNORECASE,
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_address(url: str, *, place: str, written: str) -> None:
    """Raise a `UsageError` if the resolved `url` cannot be asked; the message shows it as it is `written`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f]", url):
        raise UsageError(
            f"{place}: {written!r} is not an address: it must begin with http:// or https:// and a host, and "
            "have no blanks in it"
        )


def check_secrets(place: str, *, url: str, headers: Mapping[str, str]) -> None:
    """Raise a `UsageError` for a secret that is written out: suites are recorded, so it must be a placeholder."""
    found = [f"{place}.headers.{name}" for name, value in headers.items() if _is_secret(name, value)]
    try:
        query = parse_qsl(urlsplit(url).query)
        password = urlsplit(url).password
    except ValueError:
        query, password = [], None  # check_address says what is wrong with it
    found += [f"{place}: {name} in the address" for name, value in query if _is_secret(name, value)]
    if password and not PLACEHOLDER.search(password):
        found.append(f"{place}: the password in the address")
    if found:
        raise UsageError(
            f"{found[0]}: a secret must not be written into a suite, which every record repeats; "
            "put it into an environment variable and write ${env:NAME}"
        )


def _is_secret(name: str, value: str) -> bool:
    return bool(value) and _SENSITIVE.search(name) is not None and not PLACEHOLDER.search(value)


def address_identity(key: str, written: str, resolved: str) -> dict[str, Json]:
    """The address as it is written, and the sha256 of what it stands for where it has placeholders."""
    if written == resolved:
        return {key: written}
    return {key: written, f"{key}_sha256": hashlib.sha256(resolved.encode()).hexdigest()}


def merged_headers(own: Mapping[str, str], given: Mapping[str, str], *, place: str) -> dict[str, str]:
    """`given` headers, and those of `own` that are not among them, whatever their case.

    Raises:
        UsageError: a header cannot be sent; the message does not show its value.
    """
    for name, value in (*own.items(), *given.items()):
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            raise UsageError(
                f"{place}: the header {name!r} cannot be sent: names have no blanks, values no line breaks "
                "(does the environment variable end in one?)"
            )
    named = {name.lower() for name in given}
    return {**{name: value for name, value in own.items() if name.lower() not in named}, **given}

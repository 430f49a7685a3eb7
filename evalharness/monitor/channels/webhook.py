"""Plain webhooks: the message as JSON, with its key, signed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

__all__ = ["is_signed", "signature", "webhook_headers"]


def webhook_headers(body: bytes, *, key: str, attempt: int, secret: str | None, now: datetime) -> dict[str, str]:
    """The headers of a message: what it is, how receivers tell that it came before, and that it is ours."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": key,
        "X-Evalharness-Attempt": str(attempt),
    }
    if secret is not None:
        headers["X-Evalharness-Signature"] = signature(body, secret=secret, now=now)
    return headers


def signature(body: bytes, *, secret: str, now: datetime) -> str:
    """`t=UNIX,v1=HEX`: the HMAC-SHA256 of `UNIX.body`; the time lets receivers refuse what was recorded long ago."""
    moment = str(int(now.timestamp()))
    mark = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={mark}"


def is_signed(body: bytes, header: str, *, secret: str, now: datetime, tolerance_s: float = 300.0) -> bool:
    """Whether `header` is the signature of `body`, not older than `tolerance_s`: what a receiver does."""
    parts: Mapping[str, str] = dict(part.partition("=")[::2] for part in header.split(","))
    try:
        made = datetime.fromtimestamp(int(parts["t"]), tz=now.tzinfo)
    except (KeyError, ValueError, OverflowError, OSError):
        return False
    expected = signature(body, secret=secret, now=made)
    return hmac.compare_digest(expected.encode(), header.encode()) and abs((now - made).total_seconds()) <= tolerance_s

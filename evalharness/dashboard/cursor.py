"""Places in a list, as pages hand them on: the last row that was seen, so that the next page begins after it.

A database finds the next page by its index, however far down it is; counting rows off would take longer with each page.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TypeVar

from ..core.errors import UsageError

__all__ = ["place_of", "read_place"]

K = TypeVar("K", str, int)


def place_of(moment: datetime, key: str | int) -> str:
    """The place of a row, as text for an address."""
    text = json.dumps([moment.astimezone(UTC).isoformat(), key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_place(text: str | None, kind: type[K]) -> tuple[datetime, K] | None:
    """What `place_of` was given, whose key is of this kind; None for no place.

    Raises:
        UsageError: if it is none.
    """
    if not text:
        return None
    try:
        plain = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(plain[0])
        key = plain[1]
        if type(key) is not kind or moment.tzinfo is None or len(plain) != 2:
            raise ValueError
        if isinstance(key, int) and not 0 <= key < 2**63:
            raise ValueError  # no database has such a number
        return moment.astimezone(UTC), key
    except (ValueError, TypeError, LookupError, OverflowError):
        raise UsageError("`after` is no place in this list; take it from the page before") from None

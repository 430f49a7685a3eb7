"""Values of other formats as the JSON values that rows carry."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import sys
import uuid
from collections.abc import Mapping

from evalharness.core.types import Json

__all__ = ["json_value", "object_without_repeats"]


def object_without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """A JSON object from its pairs, as the `object_pairs_hook` of a decoder.

    Keys are interned: a million rows share their column names.

    Raises:
        ValueError: if a key stands twice.
    """
    fields = {sys.intern(key): value for key, value in pairs}
    if len(fields) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice")
    return fields


def json_value(value: object) -> Json:
    """`value` (of Arrow's Python objects) as JSON: what is missing or NaN becomes None.

    Dates and times become ISO 8601 text, durations seconds, decimals numbers, UUIDs text, bytes their UTF-8 text or,
    where they are none, base64; lists and structures are converted all the way down.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return _scalar(value)


def _scalar(value: object) -> Json:
    if isinstance(value, datetime.date | datetime.time):
        # A missing pandas timestamp is a datetime that is not equal to itself.
        return value.isoformat() if value == value else None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        if value.is_nan():
            return None
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")

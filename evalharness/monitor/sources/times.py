"""Moments, however logs write them; what could be read in two ways is refused.

Texts are ISO 8601 with a zone. Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970: by the unit
that the source gives, by the end of the key's name, or by their size. The sizes of the four do not overlap for the
years 2000 to 2099, and what lies outside of those is refused.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from .refusal import Refusal, shown

__all__ = ["moment"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_S: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_LAST_S: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_KEY_ENDS: Final = (
    (re.compile(r"(unix_?nano|_ns|_nanos)\Z", re.IGNORECASE), "ns"),
    (re.compile(r"(_us|_micros)\Z", re.IGNORECASE), "us"),
    (re.compile(r"(_ms|_millis)\Z", re.IGNORECASE), "ms"),
)
_NUMBER: Final = re.compile(r"-?[0-9]{1,25}(\.[0-9]{1,12})?\Z", re.ASCII)
_TEXT: Final = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}[Tt ][0-9]{2}.*\Z", re.ASCII | re.DOTALL)
# As databases write them: BigQuery "… UTC", Postgres' logs "… GMT".
_ZERO: Final = re.compile(r" ?(UTC|GMT|z)\Z")


def moment(value: object, field: str, *, zone: tzinfo | None = None, unit: str | None = None) -> datetime:
    """The moment that `value` names, in UTC and to the microsecond (what is finer is cut off).

    Args:
        value: ISO 8601 text, a number or the text of one, or a datetime.
        field: the key under which it stands, for messages, and because of its ending (`_ms`, `UnixNano`).
        zone: where clocks stand that name no zone; None refuses those.
        unit: of numbers, s, ms, us or ns.

    Raises:
        Refusal: it is none, or may mean several.
    """
    if isinstance(value, datetime):
        return _in_zone(value, field, zone)
    if isinstance(value, bool) or value is None or value == "":
        raise Refusal("no-time", field, shown(value), "write ISO 8601 with a zone, or the time since 1970 as a number")
    if isinstance(value, int | float):
        return _since_1970(value, field, unit)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.match(text):
            return _since_1970(float(text) if "." in text else int(text), field, unit)
        return _from_text(text, field, zone)
    raise Refusal("no-time", field, shown(value), "write ISO 8601 with a zone, or the time since 1970 as a number")


def _from_text(text: str, field: str, zone: tzinfo | None) -> datetime:
    try:
        if not _TEXT.match(text):
            raise ValueError
        return _in_zone(datetime.fromisoformat(_ZERO.sub("Z", text)), field, zone)
    except (ValueError, OverflowError):
        raise Refusal(
            "no-time", field, shown(text), "write ISO 8601 with a zone, such as 2026-11-22T10:00:00Z"
        ) from None


def _in_zone(found: datetime, field: str, zone: tzinfo | None) -> datetime:
    if found.tzinfo is not None:
        try:
            return found.astimezone(UTC)
        except (OverflowError, ValueError):
            raise Refusal("no-time", field, shown(str(found)), "the year lies outside of 1 to 9999") from None
    if zone is None:
        raise Refusal(
            "no-zone", field, shown(str(found)), "write the zone (…Z), or set `source.timezone` to the one meant"
        )
    first, second = found.replace(tzinfo=zone, fold=0), found.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        # Clocks are put back (this moment comes twice) or forward (it never comes).
        raise Refusal(
            "ambiguous-time", field, shown(str(found)), f"clocks of {zone} change then; write the offset to UTC"
        )
    try:
        return first.astimezone(UTC)
    except (OverflowError, ValueError):
        raise Refusal("no-time", field, shown(str(found)), "the year lies outside of 1 to 9999") from None


def _since_1970(value: int | float, field: str, unit: str | None) -> datetime:
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal("no-time", field, shown(value), "write a finite number")
    found = unit or next((known for pattern, known in _KEY_ENDS if pattern.search(field)), None) or _by_size(value)
    if found is None:
        raise Refusal(
            "ambiguous-time",
            field,
            shown(value),
            "it is no time from 2000 to 2099 in s, ms, us or ns; set `time_unit`, or write ISO 8601",
        )
    per = _PER_SECOND[found]
    try:
        # Whole numbers stay whole: a float has no room for nanoseconds.
        micros = value * 10**6 // per if isinstance(value, int) else math.floor(value * (10**6 / per))
        return _EPOCH + timedelta(microseconds=int(micros))
    except OverflowError:
        raise Refusal("no-time", field, shown(value), f"that many {found} since 1970 is no date") from None


def _by_size(value: int | float) -> str | None:
    for unit, per in _PER_SECOND.items():
        if _FIRST_S * per <= value < _LAST_S * per:
            return unit
    return None

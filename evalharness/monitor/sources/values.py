"""Values of a decoded row as the fields of a response; what does not fit is refused, never guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from evalharness.core.production import Scalar
from evalharness.core.types import Json

from .refusal import Refusal, shown

__all__ = ["Record", "dig", "figure", "items", "mapping", "name_of", "scalar", "text", "word"]

Record: TypeAlias = Mapping[str, Json]
_MISSING_NAME = "every response needs a name of its own; set `id` to the column that holds it"


def dig(record: Record, path: str) -> Json:
    """What stands in `record` under `path`: the key itself, else step by step where it has dots; None for nothing."""
    if path in record:
        return record[path]
    found: Json = dict(record) if "." in path else None
    for step in path.split(".") if "." in path else ():
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and len(step) < 6 and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def name_of(value: Json, field: str) -> str:
    """The name of a response: text or a whole number."""
    if isinstance(value, str) and value.strip():
        return _plain(value, field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Refusal("no-id", field, shown(value), _MISSING_NAME)


def word(value: Json, field: str) -> str:
    """A short text such as the name of a model; "" where there is none, a number as its digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _plain(value, field)
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise Refusal("not-text", field, shown(value), "write text")


def text(value: Json, field: str) -> str | None:
    """A text of an input or an output, or None; its value is never shown."""
    if value is None:
        return None
    if isinstance(value, str):
        return _plain(value, field)
    raise Refusal("not-text", field, f"a {type(value).__name__}", "write text, or null")


def _plain(value: str, field: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refusal(
            "not-text", field, "half of a surrogate pair", "write whole characters, or cut texts between them"
        ) from None
    return value


def figure(value: Json, field: str, *, least: float = 0.0, most: float = math.inf) -> float:
    """A number within bounds; NaN where there is none. Texts of numbers are numbers: OTLP writes integers so."""
    if value is None:
        return math.nan
    try:
        if isinstance(value, bool):
            raise ValueError
        found = float(value) if isinstance(value, int | float | str) else math.nan
        if not isinstance(value, int | float | str):
            raise ValueError
    except (ValueError, OverflowError):
        raise Refusal("not-a-number", field, shown(value), "write a number, or null") from None
    if math.isnan(found):
        return found
    if not (least <= found <= most) or math.isinf(found):
        bounds = f"from {least:g}" + (f" to {most:g}" if math.isfinite(most) else "")
        raise Refusal("out-of-range", field, shown(value), f"it must be finite and {bounds}")
    return found


def scalar(value: Json, field: str) -> Scalar:
    """A value of an attribute: text, a number, a truth value or nothing; of lists, their texts joined by commas."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, str):
        return _plain(value, field)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return _plain(",".join(map(str, value)), field)
    raise Refusal("not-an-attribute", field, shown(value), "an attribute is text, a number or a truth value")


def mapping(value: Json, field: str) -> dict[str, Json]:
    """An object; {} for nothing."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise Refusal(
        "not-an-object", field, shown(value) if isinstance(value, list) else type(value).__name__, "write {…}"
    )


def items(value: Json, field: str) -> list[Json]:
    """A list; [] for nothing."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise Refusal("not-a-list", field, shown(value) if isinstance(value, dict) else type(value).__name__, "write […]")

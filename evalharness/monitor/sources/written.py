"""A response as a row of `response.v1`: what is read back is what was written."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import datetime

from evalharness.core.production import ProductionResponse
from evalharness.core.types import Json

__all__ = ["row_of"]

_NAMES = tuple(field.name for field in fields(ProductionResponse))


def row_of(response: ProductionResponse) -> dict[str, Json]:
    """The fields that say something, as JSON: what is not known (NaN, none, empty) is left out."""
    row: dict[str, Json] = {}
    for name in _NAMES:
        value = getattr(response, name)
        if isinstance(value, datetime):
            row[name] = value.isoformat()
        elif name == "messages":
            if value:
                row[name] = [{"role": role, "content": text} for role, text in value]
        elif name in ("scores", "attributes"):
            if value:
                row[name] = dict(value)
        elif value is not None and (value != "" or name in ("input", "output", "reasoning")) and not _unknown(value):
            row[name] = value
    return row


def _unknown(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)

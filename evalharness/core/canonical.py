"""Canonical JSON and sha256 digests: the same content gives the same key on every machine and Python."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["canonical_json", "digest", "file_digest", "to_jsonable"]


def to_jsonable(value: object) -> Any:
    """`value` as plain JSON types: dataclasses become mappings, tuples lists, non-finite floats strings.

    "nan", "inf" and "-inf" are written as those strings, since JSON has no such numbers.

    Raises:
        TypeError: for a type that has no one JSON form (sets, bytes, arbitrary objects).
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(float(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_jsonable(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def canonical_json(value: object) -> str:
    """`value` as JSON with sorted keys and no white space (the form that digests are taken of)."""
    try:
        return _ENCODER.encode(value)  # most values are plain already, and this is ten times faster
    except (TypeError, ValueError):
        return _ENCODER.encode(to_jsonable(value))


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=to_jsonable
)


def digest(value: object) -> str:
    """The sha256, 64 hexadecimal digits, of the canonical JSON of `value`.

    Lone surrogates, which broken input files can carry, are hashed as they stand instead of failing.
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()

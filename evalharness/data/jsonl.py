"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from evalharness.core.errors import Place
from evalharness.core.types import Json, Row

from .problems import Problems
from .source import numbered_lines
from .values import object_without_repeats

__all__ = ["decoder", "object_row", "read_jsonl"]

_CONSTANTS: dict[str, Json] = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_NO_GROUPS: dict[str, str] = {}


def decoder() -> json.JSONDecoder:
    """A decoder that refuses repeated keys and reads NaN, which Python's own writer makes, as missing."""
    return json.JSONDecoder(object_pairs_hook=object_without_repeats, parse_constant=_CONSTANTS.__getitem__)


def object_row(value: Json, text: str, place: Place, problems: Problems) -> Row | None:
    """The row of a decoded value, or None and a problem noted; `text` is what it was decoded from."""
    if not isinstance(value, dict):
        kind = {"list": "an array", "str": "a string", "NoneType": "null"}.get(type(value).__name__, "a bare value")
        problems.add(place, f"a row must be an object {{…}}, found {kind}")
        return None
    # Only an escape can smuggle in half of a surrogate pair; neither a tokenizer nor Parquet takes one.
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            problems.add(place, "holds half of a surrogate pair (\\ud800 to \\udfff), which is not text")
            return None
    return Row("", value, place, _NO_GROUPS)


def read_jsonl(path: str, *, encoding: str = "utf-8") -> Iterator[Row]:
    """Rows of a JSON Lines file (`.jsonl`, `.ndjson`, also `.gz`): one object a line, blank lines skipped.

    Raises:
        DataError: at the end, with the line of every row that is not an object.
    """
    problems = Problems()
    decode = decoder().decode
    for number, line in numbered_lines(Path(path), encoding=encoding, problems=problems):
        if not line.strip():
            continue
        place = Place(path, number)
        try:
            value = decode(line)
        except json.JSONDecodeError as error:
            hint = "; if the file is one JSON array, set format: json" if number == 1 and line.startswith("[") else ""
            problems.add(Place(path, number, error.colno), f"not a JSON object: {error.msg}{hint}")
            continue
        except (ValueError, RecursionError) as error:
            problems.add(place, f"not a row: {error}")
            continue
        row = object_row(value, line, place, problems)
        if row is not None:
            yield row
    problems.check()

"""JSON in answers: read strictly, out of a fence where there is one, and taken apart into its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

__all__ = ["NOT_JSON", "fields_of", "read_json", "same_json"]


class _NotJson:
    def __repr__(self) -> str:
        return "NOT_JSON"


NOT_JSON: Any = _NotJson()
"""What stands for a text that is no JSON; None is JSON's null."""

_FENCE = re.compile(r"\A\s*```[ \t]*(?:json|JSON)?[ \t]*\r?\n(.*?)\r?\n?[ \t]*```\s*\Z", re.DOTALL)
# Python may be told to read no longer integers than this (sys.set_int_max_str_digits); JSON has no limit.
_MOST_DIGITS = 640


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _whole(digits: str) -> Any:
    return int(digits) if len(digits) <= _MOST_DIGITS else Decimal(digits)


def read_json(text: str, *, fenced: bool = False) -> Any:
    """The value of `text`; `NOT_JSON` where it is no JSON by RFC 8259, or nests too deep.

    NaN and Infinity, which Python's own reader takes, are no JSON. With `fenced` a text that is one Markdown code fence
    is read by what stands in it.
    """
    inside = _FENCE.match(text) if fenced else None
    try:
        return json.loads(text if inside is None else inside.group(1), parse_constant=_refuse, parse_int=_whole)
    except (ValueError, RecursionError):
        return NOT_JSON


def same_json(first: Any, second: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0 but not true, and the order of an object's keys means nothing."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_json(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same_json, first, second))
    return (type(first) in (int, float) and type(second) in (int, float) and first == second) or (
        type(first) is type(second) and first == second
    )


def fields_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """(path, value) of each leaf: texts, numbers, true, false, null, and objects and lists with nothing in them."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from fields_of(inner, (*path, str(key)))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from fields_of(inner, (*path, index))
    else:
        yield path, value

"""Text and JSON that survive every file format: reversible escapes for what UTF-8, JSON and SQL cannot hold.

Two escapes, both invisible for ordinary content:

- **Text.** NUL and lone surrogates (broken input files carry them) are written as SUB (U+001A) and four hexadecimal
  digits; SUB itself is written twice. So every stored string is valid UTF-8 without NUL.
- **JSON.** A float that JSON lacks is written as `{"$float": "nan"}` (or "inf", "-inf"); a key that looks like that tag
  gets one more `$` in front. So the *string* "nan" stays a string.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

__all__ = ["dumps", "escape", "from_plain", "loads", "to_plain", "unescape"]

_SPECIAL = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a(\x1a|0000|d[89a-f][0-9a-f]{2})")
_TAG = "$float"
_TAG_LIKE = re.compile(r"\$+float\Z")


def escape(text: str) -> str:
    """`text` as valid UTF-8 without NUL; `unescape` gives it back. Ordinary text is returned as it stands."""
    if "\x1a" not in text and "\x00" not in text:
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _SPECIAL.sub(lambda m: "\x1a\x1a" if m[0] == "\x1a" else f"\x1a{ord(m[0]):04x}", text)


def unescape(text: str) -> str:
    """The text that `escape` was given."""
    if "\x1a" not in text:
        return text
    return _ESCAPED.sub(lambda m: "\x1a" if m[1] == "\x1a" else chr(int(m[1], 16)), text)


def to_plain(value: object) -> Any:
    """`value` (JSON types, numpy scalars, paths) as types that `json` writes strictly; `from_plain` gives it back.

    Tuples come back as lists. The order of keys is kept: where two labels tie, the first one wins.

    Raises:
        TypeError: for a type that has no JSON form.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_TAG: repr(float(value))}
    if isinstance(value, Mapping):
        return {_key(str(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, PurePath):
        return escape(value.as_posix())
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return to_plain(value.item())  # type: ignore[attr-defined]
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r:.80}")


def _key(key: str) -> str:
    return "$" + key if _TAG_LIKE.match(key) else escape(key)


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given."""
    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, dict):
        if len(value) == 1 and _TAG in value:
            return float(value[_TAG])
        return {key[1:] if _TAG_LIKE.match(key) else unescape(key): from_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    return value


def dumps(value: object) -> str:
    """`value` as one line of strict JSON; `loads` gives it back, NaN and lone surrogates included."""
    if value == {}:
        return "{}"
    try:
        # Nearly all values need no escape: let the C encoder write them, and look at what it wrote.
        text = _write(value)
        text.encode()
    except (TypeError, ValueError):
        return _write(to_plain(value))
    return _write(to_plain(value)) if any(mark in text for mark in _MARKS) else text


# `json.dumps` with arguments would make one of these for each value.
_write: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


# What a text of JSON carries if anything in it is escaped, or has to be.
_MARKS = ("\\u0000", "\\u001a", 'float"')


def loads(text: str) -> Any:
    """The value that `dumps` was given.

    Raises:
        ValueError: if `text` is not JSON.
    """
    if text == "{}":
        return {}
    value = json.loads(text)
    return from_plain(value) if any(mark in text for mark in _MARKS) else value

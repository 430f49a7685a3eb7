"""What an unquoted word of YAML means, where all readers of YAML agree; where they do not, it is refused.

YAML 1.1 and 1.2 read `no`, `012`, `1_000`, `12:30` and `2024-01-01` differently, and so do editors and programs: a
label `no` that turns into False is a wrong figure that nobody sees. Such words must be quoted.
"""

from __future__ import annotations

import re
from typing import TypeAlias

__all__ = ["AmbiguousError", "Scalar", "read_scalar"]

Scalar: TypeAlias = None | bool | int | float | str

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OLD_BOOL = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_OTHER_NUMBER = re.compile(
    r"[-+]?(?:0[0-9_]+|0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?|[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?)\Z"
)
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?\Z"
)
_MAX_DIGITS = 400


class AmbiguousError(ValueError):
    """The word must be quoted, or written otherwise; the message says how."""


def read_scalar(text: str) -> Scalar:
    """The value of the unquoted `text`.

    Raises:
        AmbiguousError: if readers of YAML differ about it, or it is a number that a suite cannot carry.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text.lower() in _OLD_BOOL and text in (text.lower(), text.upper(), text.capitalize()):
        raise AmbiguousError(
            f'an unquoted {text} is a boolean to some readers of YAML and text to others; write "{text}" in quotes '
            f"for the text, or {_OLD_BOOL[text.lower()]}"
        )
    if not text[:1].isascii() or not (text[0].isdigit() or text[0] in "+-."):
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    if _INT.match(text):
        value = int(text) if len(text) <= _MAX_DIGITS else 2**64
        if not -(2**63) <= value < 2**63:
            raise AmbiguousError(f"the number {_short(text)} has more than 64 bits; write it in quotes if it is text")
        return value
    if _OTHER_NUMBER.match(text):
        raise AmbiguousError(
            f'an unquoted {_short(text)} is read as different numbers, or as text; write "{_short(text)}" in quotes '
            f"for the text, or a plain decimal number"
        )
    if _FLOAT.match(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise AmbiguousError(f"the number {_short(text)} is too large")
        return number
    if _NOT_FINITE.match(text):
        raise AmbiguousError(f'{text} is no number that a suite can carry; write "{text}" in quotes if it is text')
    if _DATE.match(text):
        raise AmbiguousError(
            f'an unquoted {text} is a date to some readers of YAML and text to others; write "{text}" in quotes'
        )
    return text


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"

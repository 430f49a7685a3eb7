"""Where a value stands in JSON: `choices.0.text`, `$.data[0].text`, `answers["a.b"]`, or `.` for the whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion

from .concurrent import RequestFailed
from .outputs import shown

__all__ = ["WHOLE", "find", "parse_path"]

WHOLE: tuple[str, ...] = ()
_STEP = re.compile(
    r"""\.?(?:\[\s*(?P<index>-?\d+)\s*\]|\[\s*(?P<quote>["'])(?P<quoted>.*?)(?P=quote)\s*\])|\.(?P<name>[^.\[\]]+)"""
)


def parse_path(text: str) -> tuple[str, ...]:
    """The steps of the path `text`; none for `.` and `$`, the whole.

    Raises:
        UsageError: it is no path.
    """
    bare = text.strip().removeprefix("$")
    if bare in ("", "."):
        if not text.strip():
            raise UsageError("a path must not be empty; `.` is the whole reply")
        return WHOLE
    if bare[0] not in ".[":
        bare = "." + bare
    steps: list[str] = []
    at = 0
    while at < len(bare):
        match = _STEP.match(bare, at)
        if match is None:
            raise UsageError(f"{text!r} is no path: write it like `choices.0.text` or `data[0].text`")
        steps.append(next(step for step in (match["index"], match["quoted"], match["name"]) if step is not None))
        at = match.end()
    return tuple(steps)


def find(value: Any, path: tuple[str, ...]) -> Any:
    """What stands at `path` in `value`.

    Raises:
        RequestFailed: nothing does; the message says how far the path leads and what is there.
    """
    for depth, step in enumerate(path):
        before = ".".join(path[:depth]) or "the reply"
        if isinstance(value, Mapping):
            if step not in value:
                names = [str(name) for name in value]
                near = suggestion(step, names) or f"; it has: {', '.join(names) or 'nothing'}"
                raise RequestFailed(f"{before} has no {step!r}{near}")
            value = value[step]
        elif isinstance(value, list):
            if not re.fullmatch(r"-?\d{1,18}", step):
                raise RequestFailed(f"{before} is a list, so {step!r} must be a number, counted from 0")
            index = int(step)
            if not -len(value) <= index < len(value):
                raise RequestFailed(f"{before} is a list of {len(value)}, and has no element {index}")
            value = value[index]
        else:
            raise RequestFailed(f"{before} is {shown(value)}, and has no {step!r}")
    return value

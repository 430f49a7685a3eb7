"""Options that a suite gives to a metric or a probe, checked against the fields of its dataclass."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evalharness.core.errors import Place
from evalharness.core.registry import suggestion

from .node import Node
from .variables import Key
from .wording import described

__all__ = ["option_fault", "with_options"]

_UNKNOWN_OPTION = ("extra_forbidden", "unexpected_keyword_argument")


def with_options(factory: Any, options: Mapping[str, Any]) -> Any:
    """The dataclass `factory` made with `options`, whose types are checked.

    Raises:
        ValidationError: an option is unknown, wrong or missing; `option_fault` says it in words.
    """
    if not options and _needs_nothing(factory):
        return factory()
    return _checker(factory).validate_json(json.dumps(options), strict=True)


def _needs_nothing(factory: Any) -> bool:
    """Whether it has a default for each option, so that there is nothing to check: a checker takes longer to build."""
    return dataclasses.is_dataclass(factory) and all(
        not field.init or field.default is not MISSING or field.default_factory is not MISSING
        for field in dataclasses.fields(factory)
    )


@cache
def _checker(factory: Any) -> TypeAdapter[Any]:
    return TypeAdapter(factory)


def option_fault(
    what: str, name: str, factory: Any, given: Mapping[str, Any], error: ValidationError, *, more: tuple[str, ...] = ()
) -> tuple[str, str]:
    """(the option at fault, "" for all of them; what is wrong) of the `what` ("metric") called `name`.

    `more` are keys that it takes beside its fields.
    """
    errors = error.errors(include_url=False, include_input=False)
    # A misspelt option leaves another one missing: the slip itself is told first.
    first = next((e for e in errors if e["type"] in _UNKNOWN_OPTION), errors[0])
    option = str(first["loc"][0]) if first["loc"] else ""
    known = [field.name for field in dataclasses.fields(factory) if field.init]
    if first["type"] in _UNKNOWN_OPTION:
        but = f" but {', '.join(more)}" if more else ""
        has = f"; it has: {', '.join([*known, *more])}" if known else f"; it has none{but}"
        near = suggestion(option, [*known, *more]) or has
        return option, f"the {what} {name!r} has no option {option!r}{near}"
    if first["type"] == "missing" and len(first["loc"]) == 1:
        example = f"{{{name}: {{{option}: …}}}}" if what == "metric" else f"{option}: …"
        return "", f"the {what} {name!r} needs the option {option!r}: {example}"
    faults = [_Fault(e) for e in errors if e["loc"][:1] == first["loc"][:1]]
    path: Key = (option, *(step for step in first["loc"][1:] if isinstance(step, int)))
    said = described(faults, _node(given, path), path)
    return option, f"{option + ' ' if option and ' ' in said and not said.startswith(option) else ''}{said}"


class _Fault:
    def __init__(self, error: Any) -> None:
        self.type: str = error["type"]
        self.context: Mapping[str, Any] = error.get("ctx", {})
        self.message: str = error["msg"]
        self.about_key = False


def _node(value: Any, path: Iterable[str | int]) -> Node:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
    place = Place("")
    if isinstance(value, dict | list):
        return Node({} if isinstance(value, dict) else [], place)
    return Node(value, place)

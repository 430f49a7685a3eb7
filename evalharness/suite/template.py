"""Templates by their text: each is compiled once, however many rows it is rendered for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from evalharness.core.templating import Condition, Template

__all__ = ["compiled", "condition", "evaluate", "render"]


@lru_cache(maxsize=4096)
def compiled(template: str, where: str = "") -> Template:
    """The compiled template; `where` names it in messages.

    Raises:
        UsageError: if it is not a template.
    """
    return Template(template, where=where)


@lru_cache(maxsize=1024)
def _compiled_condition(expression: str) -> Condition:
    return Condition(expression)


def render(template: str, fields: Mapping[str, Any]) -> str:
    """The text of `template` over `fields`.

    Raises:
        UsageError: if a field is missing, or the sandbox refuses something.
    """
    return compiled(template).text(fields)


def evaluate(template: str, fields: Mapping[str, Any]) -> Any:
    """Like `render`, but a template that is exactly one `{{ expression }}` gives its value with its type.

    Raises:
        UsageError: if a field is missing, or the sandbox refuses something.
    """
    return compiled(template).render(fields)


def condition(expression: str, fields: Mapping[str, Any]) -> bool:
    """Whether `expression` (bare Jinja, no braces) is true of `fields`.

    Raises:
        UsageError: if a field is missing, or it is not an expression.
    """
    return _compiled_condition(expression).holds(fields)

"""Sandboxed Jinja templates over plain values: no attribute of Python's can be reached, no name may be missing.

A template that is exactly one expression, `"{{ messages }}"`, gives that expression's value with its type; any other
gives text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import UsageError

__all__ = ["Template", "environment"]


@lru_cache(maxsize=1)
def environment() -> ImmutableSandboxedEnvironment:
    """The one environment: sandboxed, strict about missing names, no HTML escaping, nothing loaded from disk."""
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


class Template:
    """A compiled template.

    Raises:
        UsageError: if `source` is not a Jinja template; the message gives its line.
    """

    __slots__ = ("_render", "names", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        env = environment()
        try:
            tree = env.parse(source)
            expression = _only_expression(tree, source)
            # Names that the template expects to be given; those of the sandbox itself (range …) are not among them.
            self.names: frozenset[str] = frozenset(meta.find_undeclared_variables(tree) - set(env.globals))
            self._render: Callable[..., Any] = (
                env.from_string(source).render
                if expression is None
                else env.compile_expression(expression, undefined_to_none=False)
            )
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            raise UsageError(f"not a template: {error}{f' (line {line} of it)' if line else ''}: {source!r}") from error

    def render(self, values: Mapping[str, Any]) -> Any:
        """The text, or for a template of exactly one expression its value.

        Raises:
            UsageError: if a name or key is missing, or the sandbox refuses something.
        """
        try:
            value = self._render(**values)
            if isinstance(value, Undefined):
                str(value)  # StrictUndefined raises here, with the message that names what is missing
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise UsageError(f"the template {self.source!r} cannot be rendered: {error}") from error
        return value

    def text(self, values: Mapping[str, Any]) -> str:
        """Like `render`, always as text."""
        value = self.render(values)
        return value if isinstance(value, str) else str(value)


def _only_expression(tree: nodes.Template, source: str) -> str | None:
    whole = source.strip()
    if not (whole.startswith("{{") and whole.endswith("}}")):
        return None
    match tree.body:
        case [nodes.Output(nodes=[node])] if not isinstance(node, nodes.TemplateData):
            return whole[2:-2].strip("+-").strip()
    return None

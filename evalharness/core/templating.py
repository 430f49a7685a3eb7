"""Templates over plain values, in the sandbox: a name that is missing is an error, never an empty text.

A template that is exactly one expression, `"{{ messages }}"`, gives that expression's value with its type; any other
gives text. One trailing line end of the source is dropped, as editors put it there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes

from .errors import UsageError
from .registry import suggestion
from .sandbox import MAX_OUTPUT, Sandbox, begin, environment, plain_data

__all__ = ["Condition", "Template", "environment"]

_RENDER_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_COMPILE_FAULTS = (TemplateError, SyntaxError, RecursionError, MemoryError, OverflowError, ValueError)
_UNDEFINED = re.compile(r"^'([^']+)' is undefined$")


class Template:
    """A compiled template.

    Raises:
        UsageError: if `source` is not a template; the message gives its line.
    """

    __slots__ = ("_lone", "_name", "_template", "names", "optional", "required", "source", "where")

    def __init__(self, source: str, *, where: str = "") -> None:
        """Compile `source`; `where` names it in messages ("" shows its beginning)."""
        self.source = source
        self.where = where or _shown(source)
        env = environment()
        begin()
        try:
            tree = env.parse(source)
            _check_names(env, tree)
            # Names that must be given, less those of the sandbox itself (range …).
            self.names: frozenset[str] = frozenset(meta.find_undeclared_variables(tree) - set(env.globals))
            # … of these, the ones that the template guards itself: `x is defined`, `x | default('')`.
            self.optional: frozenset[str] = self.names & frozenset(_guarded_names(tree))
            self.required: frozenset[str] = self.names - self.optional
            lone = _lone_expression(tree, source)
            self._lone = lone is not None
            body = tree if lone is None else _storing(lone)
            self._template = env.from_string(env.guarded(body))
            # A plain dict: Jinja's chain of mappings costs more than rendering a short prompt.
            self._template.globals = dict(env.globals)
            # `{{ name }}` needs no rendering.
            self._name = lone.name if isinstance(lone, nodes.Name) and lone.name in self.names else None
        except _COMPILE_FAULTS as error:
            line = getattr(error, "lineno", None)
            at = f", line {line} of it" if line and "\n" in source else ""
            message = error.message if isinstance(error, TemplateSyntaxError) else str(error)
            raise UsageError(
                f"not a template{at}: {_plain(message or '') or type(error).__name__}: {self.where}"
            ) from error

    @property
    def keeps_type(self) -> bool:
        """Whether the template is exactly one expression, whose value it gives."""
        return self._lone

    def render(self, values: Mapping[str, Any]) -> Any:
        """The text, or for a template of exactly one expression its value.

        Raises:
            UsageError: if a name or key is missing, or the sandbox refuses something.
        """
        begin()
        try:
            if self._name is not None and self._name in values:
                return plain_data(values[self._name])
            context = self._template.new_context(dict(values))
            parts = self._template.root_render_func(context)
            if not self._lone:
                return _joined(parts)
            for _ in parts:
                pass
            return plain_data(context.vars["result"])
        except _RENDER_FAULTS as error:
            raise UsageError(f"{_reason(error, values)}{self._line_of(error)}; template: {self.where}") from error

    def text(self, values: Mapping[str, Any]) -> str:
        """Like `render`, always as text."""
        value = self.render(values)
        return value if isinstance(value, str) else str(value)

    def _line_of(self, error: BaseException) -> str:
        if "\n" not in self.source.rstrip("\n"):
            return ""
        line = 0
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("__jinja_template__") is self._template:
                line = self._template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return f" (line {line} of the template)" if line else ""


class Condition:
    """A compiled expression that is true or false of a row: `language == 'de'`.

    Raises:
        UsageError: if `source` is not an expression.
    """

    __slots__ = ("_template", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        bare = source.strip()
        if bare.startswith("{{") and bare.endswith("}}"):
            bare = bare[2:-2]
        if not bare.strip():
            raise UsageError("not an expression: it is empty")
        try:
            self._template = Template("{{ (" + bare + ") }}", where=_shown(source))
        except UsageError as error:
            raise UsageError(str(error).replace("not a template", "not an expression", 1)) from error
        if not self._template.keeps_type:
            raise UsageError(f"not an expression: {_shown(source)}")

    @property
    def names(self) -> frozenset[str]:
        """The names that the expression asks for."""
        return self._template.names

    @property
    def required(self) -> frozenset[str]:
        """The names that must be given."""
        return self._template.required

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the expression is true of `values`.

        Raises:
            UsageError: if a name or key is missing, or the sandbox refuses something.
        """
        return bool(self._template.render(values))


def _joined(parts: Iterator[str]) -> str:
    texts: list[str] = []
    size = 0
    for part in parts:
        texts.append(part)
        size += len(part)
        if size > MAX_OUTPUT:
            raise ValueError(f"it gives more than {MAX_OUTPUT:,} characters")
    return "".join(texts)


def _lone_expression(tree: nodes.Template, source: str) -> nodes.Expr | None:
    """The expression of a template that is nothing else; blanks and line ends around it do not count."""
    whole = source.strip()
    if not (whole.startswith("{{") and whole.endswith("}}")):
        return None
    outputs = [node for node in tree.body if isinstance(node, nodes.Output)]
    if len(outputs) != len(tree.body):
        return None
    found = [
        part
        for output in outputs
        for part in output.nodes
        if not (isinstance(part, nodes.TemplateData) and not part.data.strip())
    ]
    return found[0] if len(found) == 1 and not isinstance(found[0], nodes.TemplateData) else None


def _storing(expression: nodes.Expr) -> nodes.Template:
    """A template that keeps the value of `expression` (the way of Jinja's own `compile_expression`)."""
    line = expression.lineno
    assignment = nodes.Assign(nodes.Name("result", "store", lineno=line), expression, lineno=line)
    made = nodes.Template([assignment], lineno=1)
    made.set_environment(environment())
    return made


def _check_names(env: Sandbox, tree: nodes.Template) -> None:
    """Refuse unknown filters and tests, also in branches that Jinja looks at only when they run."""
    for kind, node_type, known in (("filter", nodes.Filter, env.filters), ("test", nodes.Test, env.tests)):
        for node in tree.find_all(node_type):
            name = node.name
            if name not in known or name.startswith("_"):
                near = suggestion(name, [k for k in known if not k.startswith("_")])
                raise TemplateSyntaxError(f"unknown {kind} {name!r}{near}", node.lineno)
    for loading in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise TemplateSyntaxError("include, import and extends are not available", loading.lineno)


def _guarded_names(tree: nodes.Template) -> Iterator[str]:
    for test in tree.find_all(nodes.Test):
        if test.name in ("defined", "undefined") and isinstance(test.node, nodes.Name):
            yield test.node.name
    for applied in tree.find_all(nodes.Filter):
        if applied.name in ("default", "d") and isinstance(applied.node, nodes.Name):
            yield applied.node.name


def _reason(error: Exception, values: Mapping[str, Any]) -> str:
    message = _plain(str(error)) or type(error).__name__
    missing = _UNDEFINED.match(message) if isinstance(error, UndefinedError) else None
    if missing:
        return f"there is no field {missing[1]!r}{suggestion(missing[1], map(str, values))}{_fields(values)}"
    if isinstance(error, RecursionError):
        return "the template calls itself without end"
    return f"cannot be rendered: {message}"


def _fields(values: Iterable[str]) -> str:
    names = sorted(map(str, values))
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f" (the fields are: {', '.join(names[:20])}{more})" if names else " (there are no fields)"


def _plain(message: str) -> str:
    """`message` on one line, in the words of people who write templates and not Python."""
    return " ".join(message.split()).replace("dict object", "the mapping").replace("list object", "the list")


def _shown(source: str) -> str:
    line = " ".join(source.split())
    return repr(line if len(line) <= 80 else line[:77] + "…")

"""The Jinja sandbox of all templates: no way to Python's internals, no clock, no chance, and bounded work.

Templates come with the suite, so this guards against slips (`range(10**9)`, a loop in a loop in a loop) and against
suites from strangers. What a render may spend is counted in steps: loop rounds, calls and elements that it visits.
"""

from __future__ import annotations

import json
import operator
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

__all__ = ["MAX_OUTPUT", "MAX_STEPS", "Sandbox", "begin", "environment", "plain_data"]

MAX_OUTPUT = 10_000_000  # characters of text, elements of a list
MAX_STEPS = 1_000_000
_MAX_SECONDS = 10.0  # a step is bounded, yet a million of the largest would take hours
_MAX_WIDTH = 10_000  # of padding, indentation and number formats
_MAX_BITS = 65_536

_WIDTH = re.compile(r"[%:{][^{}%]*?(?:\d{5,}|\*)|\{[^{}]*\{")


class _Spent(threading.local):
    steps = 0
    deadline = 0.0


_spent = _Spent()


def begin() -> None:
    """Start a render: what it may spend is counted from here."""
    _spent.steps = 0
    _spent.deadline = time.monotonic() + _MAX_SECONDS


def _spend(steps: int = 1) -> None:
    _spent.steps += steps
    if _spent.steps > MAX_STEPS:
        raise SecurityError(f"it does more than {MAX_STEPS:,} steps (loop rounds, calls, elements)")
    if time.monotonic() > _spent.deadline:
        raise SecurityError(f"it takes longer than {_MAX_SECONDS:g} seconds")


def _bound(size: int) -> None:
    if size > MAX_OUTPUT:
        raise SecurityError(f"it makes a value of more than {MAX_OUTPUT:,} characters or elements")


def _bound_width(width: object) -> None:
    if isinstance(width, int) and abs(width) > _MAX_WIDTH:
        raise SecurityError(f"a width or count of more than {_MAX_WIDTH:,} is not allowed")


def _bound_format(text: str) -> None:
    if _WIDTH.search(text):
        raise SecurityError("a computed width, or one of more than 9999, is not allowed in a format")


def _weighed(value: Any) -> Any:
    """`value`, once it is known to be small when written out (lists may share parts, `[a, a]` over and over)."""
    if isinstance(value, str):
        _bound(len(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _spend()
            _weighed(key)
            _weighed(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _spend()
            _weighed(item)
    elif isinstance(value, range):
        _spend(len(value))
    return value


def _written(value: Any) -> Any:
    """What `{{ value }}` writes: plain values only, since a method or a null in a prompt is a slip."""
    if value is None:
        raise SecurityError("it would write a null; say what to write instead: {{ … or '' }}")
    if callable(value) and not isinstance(value, Undefined):
        raise SecurityError(f"it would write {_kind(value)} instead of its result; call it: {{{{ …() }}}}")
    return _weighed(value)


def plain_data(value: Any) -> Any:
    """`value` as text, numbers, lists and mappings.

    Raises:
        SecurityError: if there is anything else in it.
    """
    if isinstance(value, str):
        return "".join((value,))  # of Markup, too, a plain str
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined raises here, with the message that names what is missing
    if isinstance(value, Mapping):
        return {plain_data(key): plain_data(item) for key, item in _counted(value.items())}
    if isinstance(value, list | tuple | range | Iterator | set | frozenset):
        return [plain_data(item) for item in _counted(value)]
    if isinstance(value, bytes | date):
        return value
    raise SecurityError(f"it gives {_kind(value)}, which is not data")


def _kind(value: object) -> str:
    name = getattr(value, "__name__", "")
    return f"the method {name!r}" if callable(value) and name else f"a value of type {type(value).__name__}"


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        _spend()
        yield item


def _concat(parts: Iterable[Any]) -> str:
    texts = [str(_weighed(part)) for part in parts]
    _bound(sum(map(len, texts)))
    return "".join(texts)


class _Guards(NodeTransformer):
    """Counts the rounds of loops, and bounds what `~` puts together."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter(node.iter, "_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), "_concat")


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _sized(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def _times(left: Any, right: Any) -> Any:
    for sequence, count in ((left, right), (right, left)):
        if isinstance(count, int):
            _bound(_sized(sequence) * max(count, 0))
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _MAX_BITS:
        raise SecurityError("the product is too large a number")
    return operator.mul(left, right)


def _power(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > _MAX_BITS:
        raise SecurityError("the power is too large a number")
    return operator.pow(left, right)


def _plus(left: Any, right: Any) -> Any:
    _bound(_sized(left) + _sized(right))
    return operator.add(left, right)


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes):
        _bound_format(left if isinstance(left, str) else left.decode("latin-1"))
        _weighed(right)
    return operator.mod(left, right)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without Python's internals, where every operation is bounded; see the module."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, finalize=_written)
        self.binop_table |= {"*": _times, "**": _power, "+": _plus, "%": _modulo}
        self.globals = {
            "range": _range,
            "dict": dict,
            "namespace": self.globals["namespace"],
        }
        self.filters |= {"_counted": _counted, "_concat": _concat}
        # Chance would make two plans of one suite differ; the others write HTML or Python.
        for name in ("random", "pprint", "urlize", "xmlattr", "forceescape", "safe"):
            self.filters.pop(name, None)
        for name, guard in _GUARDED_FILTERS.items():
            self.filters[name] = _guarded(self.filters[name], guard)
        self.filters["tojson"] = _tojson

    def guarded(self, tree: nodes.Template) -> nodes.Template:
        """`tree` with its loops counted and its concatenations bounded."""
        guarded: nodes.Template = _Guards().visit(tree)
        return guarded

    def getattr(self, obj: Any, attribute: str) -> Any:
        # `answers.items` is the field of that name where the data has one, not the method of dict.
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and not isinstance(obj, type)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _bound_format(value.__self__)
        return wrapped

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        _spend()
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | bytes | int | float):
            _guard_method(owner, obj.__name__, args)
        return super().call(context, obj, *args, **kwargs)


def _range(*arguments: int) -> range:
    made = range(*arguments)
    _spend(len(made) if abs(made.stop - made.start) < 2**62 else MAX_STEPS + 1)
    return made


def _guard_method(owner: Any, name: str, args: tuple[Any, ...]) -> None:
    """Bound what a method of text or a number can make."""
    if name in ("replace", "join", "translate", "expandtabs"):
        sizes = [_sized(arg) for arg in args]
        if name == "join" and args:
            items = list(args[0]) if not isinstance(args[0], str) else args[0]
            _bound(len(owner) * len(items) + sum(map(_sized, items)))
        elif name == "replace" and len(args) >= 2:
            # An empty text is found before and after each character.
            found = owner.count(args[0]) if isinstance(args[0], type(owner)) else 0
            _bound(len(owner) + found * sizes[1])
        elif name == "translate":
            widest = max((_sized(v) for v in args[0].values()), default=1) if isinstance(args[0], Mapping) else 1
            _bound(len(owner) * max(widest, 1))
    for arg in args:
        _bound_width(arg)


def _guarded(function: Callable[..., Any], guard: Callable[..., None]) -> Callable[..., Any]:
    from functools import wraps

    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        guard(*args[passed:], **kwargs)
        return function(*args, **kwargs)

    return checked


def _guard_widths(value: Any, *args: Any, **kwargs: Any) -> None:
    _weighed(value)
    for arg in (*args, *kwargs.values()):
        _bound_width(arg)
        if isinstance(arg, str):
            _bound(len(arg) * (str(value).count("\n") + 1))


def _guard_wrap(value: Any, *args: Any, **kwargs: Any) -> None:
    for arg in (*args, *kwargs.values()):
        if isinstance(arg, str):
            _bound(len(arg) * len(str(value)))


def _guard_join(value: Any, d: Any = "", attribute: Any = None) -> None:
    if isinstance(value, list | tuple | str | range):
        _weighed(value)
        _bound(len(str(d)) * len(value))


def _guard_replace(s: Any, old: Any, new: Any, count: Any = None) -> None:
    text = str(s)
    _bound(len(text) + text.count(str(old)) * len(str(new)))


def _guard_format(value: Any, *args: Any, **kwargs: Any) -> None:
    _bound_format(str(value))
    _weighed(args)
    _weighed(kwargs)


def _guard_value(value: Any, *args: Any, **kwargs: Any) -> None:
    _weighed(value)


_GUARDED_FILTERS: dict[str, Callable[..., None]] = {
    "batch": _guard_widths,
    "center": _guard_widths,
    "format": _guard_format,
    "indent": _guard_widths,
    "join": _guard_join,
    "replace": _guard_replace,
    "slice": _guard_widths,
    "string": _guard_value,
    "wordwrap": _guard_wrap,
}


def _tojson(value: Any, indent: int | None = None) -> str:
    """JSON as it is, not escaped for HTML as Jinja's own filter does it."""
    _weighed(value)
    _bound_width(indent)
    return json.dumps(value, ensure_ascii=False, indent=indent)


@lru_cache(maxsize=1)
def environment() -> Sandbox:
    """The one sandbox."""
    return Sandbox()

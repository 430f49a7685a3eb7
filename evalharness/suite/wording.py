"""How a broken rule of the schema is said: the rule, the value found, and the remedy; secrets are never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from evalharness.core.registry import suggestion

from .node import Node
from .variables import Key

__all__ = ["EXPECTED", "Fault", "described"]

# Keys whose values are secrets: never shown.
_SECRET = ("api_key", "headers", "base_url", "url")

_PATTERNS: dict[str, str] = {
    "[A-Za-z0-9_-]": "a name has letters, digits, _ and -, begins with a letter or digit, and has at most 100",
    "[0-9a-f]{64}": "a sha256 has 64 digits 0-9 and a-f",
    "^cuda": "must be a GPU with its number: cuda:0",
    "cuda": "must be auto, cpu, mps, cuda or cuda:0",
    ":[A-Za-z_]": "must be module:function",
    "^[^=]+=": "must be column=value: language=de",
    "S*": "must be task.metric: summarise.rougeL",
}
EXPECTED: dict[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "literal_error": "",
}


class Fault(Protocol):
    """A broken rule: pydantic's name of it, its numbers, and pydantic's message."""

    type: str
    context: Mapping[str, Any]
    message: str
    about_key: bool


def described(group: Sequence[Fault], node: Node, path: Key) -> str:
    """What is wrong with `node`, for which the members of `group` each had another expectation."""
    first = group[0]
    if first.type not in EXPECTED:
        return _rule(first, node, path)
    if first.type == "literal_error" and len(group) == 1 and isinstance(node.value, str | int | float):
        return _not_listed(first.context, node, path)
    wanted: list[str] = []
    for item in group:
        name = EXPECTED.get(item.type) or str(item.context.get("expected", "")).replace("'", "")
        name = "true" if name == "True" else name
        if name and name not in wanted:
            wanted.append(name)
    return f"must be {' or '.join(wanted)}, but is {_value(node, path)}{_remedy(wanted, node)}"


def _not_listed(context: Mapping[str, Any], node: Node, path: Key) -> str:
    listed = str(context.get("expected", "")).replace(" or ", ", ")
    options = [option.strip().strip("'") for option in listed.split(", ")]
    if isinstance(node.value, str):
        near = suggestion(node.value[:60], options)
        return f"must be {_one_of(options)}, but is {_value(node, path)}{near}"
    return f"must be {_one_of(options)}, but is {_value(node, path)}"


def _one_of(options: Sequence[str]) -> str:
    return options[0] if len(options) == 1 else f"one of {', '.join(options)}"


def _rule(found: Fault, node: Node, path: Key) -> str:
    context = found.context
    value = _value(node, path)
    match found.type:
        case "value_error":
            return str(context.get("error", found.message))
        case "string_pattern_mismatch":
            rule = next((text for part, text in _PATTERNS.items() if part in context["pattern"]), "has another form")
            shown = repr(str(path[-1])) if found.about_key else value
            return f"{shown}: {rule}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"has more than {context['max_length']} characters"
        case "too_short":
            least = context["min_length"]
            return (
                f"must have at least {least} {'entry' if least == 1 else 'entries'}; it has {context['actual_length']}"
            )
        case "too_long":
            return f"must have at most {context['max_length']} entries; it has {context['actual_length']}"
        case "greater_than_equal":
            return f"must be at least {_number(context['ge'])}, but is {value}"
        case "greater_than":
            return f"must be greater than {_number(context['gt'])}, but is {value}"
        case "less_than_equal":
            return f"must be at most {_number(context['le'])}, but is {value}"
        case "less_than":
            return f"must be less than {_number(context['lt'])}, but is {value}"
        case "finite_number":
            return f"must be a finite number, but is {value}"
    # A rule that has no words of its own yet: pydantic's, without its way of speaking.
    return found.message.replace("Input should be", "must be").replace("Value error, ", "")


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(node: Node, path: Key) -> str:
    value = node.value
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "empty"
    if any(step in _SECRET for step in path if isinstance(step, str)):
        return "something else"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}…")
    return f"the boolean {str(value).lower()}" if isinstance(value, bool) else f"the number {node.raw or value}"


def _remedy(wanted: Sequence[str], node: Node) -> str:
    value = node.value
    if "text" in wanted and isinstance(value, bool | int | float):
        return f'; write "{node.raw or value}" in quotes for the text'
    if isinstance(value, str) and any(w in wanted for w in ("a whole number", "a number", "true or false")):
        words = value.strip().replace("_", "").replace(".", "", 1).lstrip("-+")
        if words.isascii() and (words.isdigit() or words in ("true", "false")):
            return "; write it without quotes"
    if "a list" in wanted and not isinstance(value, dict | list) and value is not None:
        return f"; for a single one write [{str(value)[:40]}]"
    if "a mapping" in wanted and isinstance(value, list):
        return "; write `key: value` lines without dashes"
    return ""

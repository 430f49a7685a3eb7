"""The calls of tools in an answer against those that were expected: names, arguments, order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from evalharness.core.errors import UsageError
from evalharness.core.types import FAILED_STATES, Response, Sample

from .base import PROPORTION, MeanMetric, answer_text, golds
from .json_text import NOT_JSON, read_json, same_json

__all__ = ["ToolCall", "ToolCallMatch", "calls_in"]

# OpenAI's, Anthropic's, and what Llama's models write.
_ARGUMENTS = ("arguments", "input", "parameters")
# What Hermes, Qwen and others write where no server reads it for them.
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


class ToolCall(NamedTuple):
    """A call; `arguments` are None where any will do, `NOT_JSON` where they cannot be read."""

    name: str
    arguments: Any


def calls_in(response: Response) -> tuple[ToolCall, ...]:
    """The calls that a response makes: those that its server named, else those that its text holds or is, as JSON."""
    given: Any = response.meta.get("tool_calls")
    if given is None and (single := response.meta.get("function_call")) is not None:
        given = [single]
    if given:
        return _calls(given) or ()
    text = answer_text(response)
    if tagged := _TAGGED.findall(text):
        # One that cannot be read is a call all the same, of no tool that there is.
        return tuple(call for inside in tagged for call in _calls(read_json(inside)) or (ToolCall("", NOT_JSON),))
    return (_calls(found) or ()) if (found := read_json(text, fenced=True)) is not NOT_JSON else ()


def _calls(value: Any) -> tuple[ToolCall, ...] | None:
    """A call, or a list of them, in the shapes of OpenAI's APIs and plain `{name, arguments}`; None for all else."""
    items = value if isinstance(value, list | tuple) else [value]
    found = [_call(item) for item in items]
    return None if None in found else tuple(call for call in found if call is not None)


def _call(item: Any) -> ToolCall | None:
    inner = item.get("function", item) if isinstance(item, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        return None
    arguments = next((inner[key] for key in _ARGUMENTS if key in inner), None)
    if isinstance(arguments, str):
        # A tool without parameters is called with an empty text by some servers.
        arguments = read_json(arguments) if arguments.strip() else {}
    return ToolCall(inner["name"], _plain(arguments))


def _plain(value: Any) -> Any:
    """Records give mappings and tuples where JSON has objects and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallMatch(MeanMetric):
    """Share of answers that call the expected tools with the expected arguments.

        Σ_i [calls_i match the calls of a reference] / n

    The task's `reference` holds the expected calls as JSON: `[{"name": "search", "arguments": {"q": "tea"}}]`, one call
    without the list, `[]` for no call at all, or the name alone for a call with any arguments. Arguments are compared
    as JSON values: 1 is 1.0, the order of keys means nothing. The calls are those that the server named; where it named
    none, those that the text of the answer is, as JSON, or holds between `<tool_call>` and `</tool_call>`. Arguments
    are an object or its JSON text, under `arguments`, `input` or `parameters`.

    Options:
        mode: strict wants the same calls in the same order; unordered the same calls in any order; subset those of the
            reference among others.
        arguments: exact wants the same ones; subset lets the answer have further ones; ignore looks at names alone.

    Source: the matching modes of the Berkeley Function Calling Leaderboard and LangChain's trajectory evaluators
    (strict, unordered, superset), written anew.
    """

    mode: Literal["strict", "unordered", "subset"] = "strict"
    arguments: Literal["exact", "subset", "ignore"] = "exact"

    name = "tool_call_match"
    interval = PROPORTION
    total = "correct"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [
            None
            if not golds(sample)
            else float(
                response.status not in FAILED_STATES
                and any(self._matches(calls_in(response), _expected(sample, gold)) for gold in golds(sample))
            )
            for sample, response in zip(samples, responses, strict=True)
        ]

    def _matches(self, calls: Sequence[ToolCall], expected: Sequence[ToolCall]) -> bool:
        if self.mode == "strict":
            return len(calls) == len(expected) and all(map(self._same, calls, expected))
        if self.mode == "unordered" and len(calls) != len(expected):
            return False
        return _assigned([[self._same(call, wanted) for call in calls] for wanted in expected])

    def _same(self, call: ToolCall, expected: ToolCall) -> bool:
        if call.name != expected.name:
            return False
        if self.arguments == "ignore" or expected.arguments is None:
            return True
        given, wanted = ({} if side is None else side for side in (call.arguments, expected.arguments))
        if self.arguments == "subset" and isinstance(given, dict) and isinstance(wanted, dict):
            return all(key in given and same_json(given[key], value) for key, value in wanted.items())
        return given is not NOT_JSON and same_json(given, wanted)


def _assigned(fits: Sequence[Sequence[bool]]) -> bool:
    """Whether each row can have a column of its own that fits it (augmenting paths)."""
    owner: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in tried:
                tried.add(column)
                if column not in owner or place(owner[column], tried):
                    owner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(fits)))


def _expected(sample: Sample, gold: str) -> tuple[ToolCall, ...]:
    """The calls of a reference; a text that is no JSON is the name of one."""
    value = read_json(gold)
    if value is NOT_JSON and not gold.lstrip().startswith(("[", "{")):
        return (ToolCall(gold.strip(), None),)
    calls = None if value is NOT_JSON else (ToolCall(value, None),) if isinstance(value, str) else _calls(value)
    if calls is None or any(call.arguments is not None and not isinstance(call.arguments, dict) for call in calls):
        raise UsageError(
            f"sample {sample.id!r}: its reference {gold[:80]!r} is no list of calls; write "
            f"{json.dumps([{'name': 'search', 'arguments': {'q': 'tea'}}])}"
        )
    return calls

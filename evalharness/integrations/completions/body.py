"""Reads the bodies of requests: each field checked, what is not supported refused by name, nothing ignored in silence.

`user`, `store`, `metadata`, `service_tier` and `parallel_tool_calls` change nothing that a model answers and are let
pass; so is every field whose value is what the server does anyway (`best_of` like `n`, `presence_penalty: 0`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.core.registry import suggestion
from evalharness.core.types import Message

from .errors import ApiError

__all__ = ["ChatBody", "CompletionBody", "chat_body", "completion_body"]

_MAX_CHOICES = 128
_MAX_TOP = 1000
_ROLES = ("system", "user", "assistant", "tool")
# Fields of OpenAI's interface that no value but these is supported of.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "suffix": (None, ""),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "logit_bias": (None, {}),
}
_NEUTRAL_CHAT: dict[str, tuple[object, ...]] = {
    **{key: value for key, value in _NEUTRAL.items() if key != "suffix"},
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "reasoning_effort": (None,),
    "web_search_options": (None,),
}
_IGNORED = frozenset({"user", "store", "metadata", "service_tier", "parallel_tool_calls", "safety_identifier"})

_Prompt = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Common:
    """What both kinds of request say of how text is generated; `max_tokens` None is what the model has room for.

    `stream` asks for the answer in events, `include_usage` for one that counts the tokens.
    """

    model: str | None
    max_tokens: int | None
    temperature: float
    top_p: float | None
    top_k: int | None
    stop: tuple[str, ...]
    seed: int | None
    n: int
    stream: bool
    include_usage: bool


@dataclass(frozen=True, slots=True)
class CompletionBody:
    """A request to `/v1/completions`; `logprobs` None asks for none."""

    common: Common
    prompts: tuple[_Prompt, ...]
    echo: bool
    logprobs: int | None

    @property
    def is_read_only(self) -> bool:
        """Whether one pass answers it: nothing is written, or the likeliest token alone, with its score."""
        written = self.common.max_tokens or 0
        return written == 0 or (written == 1 and self.logprobs is not None and self.common.temperature == 0)


@dataclass(frozen=True, slots=True)
class ChatBody:
    """A request to `/v1/chat/completions`."""

    common: Common
    turns: tuple[Message, ...]


def completion_body(body: object) -> CompletionBody:
    """The request that `body`, parsed JSON, makes.

    Raises:
        ApiError: a field is missing, wrong, unknown or not supported.
    """
    fields = _Fields(body)
    prompts = _prompts(fields.take("prompt"))
    echo = fields.flag("echo")
    logprobs = fields.whole("logprobs", None, low=0, high=_MAX_TOP)
    max_tokens = fields.whole("max_tokens", 16, low=0)
    common = _common(fields, max_tokens)
    best_of = fields.whole("best_of", None, low=1)
    if best_of not in (None, common.n):
        raise ApiError(
            f"best_of must be n, which is {common.n}, not {best_of}: all texts that are written are answered; "
            "leave it out",
            param="best_of",
        )
    fields.end(_NEUTRAL)
    if common.n > 1 and max_tokens == 0:
        raise ApiError("n: more than one choice of nothing generated (max_tokens is 0); leave it out", param="n")
    return CompletionBody(common, prompts, echo, logprobs)


def chat_body(body: object) -> ChatBody:
    """The request that `body`, parsed JSON, makes.

    Raises:
        ApiError: a field is missing, wrong, unknown or not supported.
    """
    fields = _Fields(body)
    turns = _turns(fields.take("messages"))
    newer = fields.whole("max_completion_tokens", None, low=1)
    older = fields.whole("max_tokens", None, low=1)
    common = _common(fields, newer if newer is not None else older)
    fields.end(_NEUTRAL_CHAT)
    return ChatBody(common, turns)


def _common(fields: _Fields, max_tokens: int | None) -> Common:
    stream = fields.flag("stream")
    return Common(
        model=fields.text("model"),
        max_tokens=max_tokens,
        temperature=fields.number("temperature", 1.0, low=0.0, high=100.0),
        top_p=fields.number("top_p", None, low=0.0, high=1.0, above=True),
        top_k=fields.whole("top_k", None, low=1),
        stop=fields.texts("stop"),
        seed=fields.whole("seed", None, low=0),
        n=fields.whole("n", 1, low=1, high=_MAX_CHOICES),
        stream=stream,
        include_usage=_include_usage(fields.take("stream_options"), stream=stream),
    )


def _include_usage(options: object, *, stream: bool) -> bool:
    if options is None:
        return False
    if not stream:
        raise ApiError("stream_options go with stream: true; leave them out", param="stream_options")
    if not isinstance(options, dict) or set(options) - {"include_usage"}:
        raise ApiError(
            f"stream_options must be {{include_usage: true or false}}, not {_shown(options)}", param="stream_options"
        )
    wanted = options.get("include_usage")
    if wanted is not None and not isinstance(wanted, bool):
        raise ApiError(
            f"stream_options.include_usage must be true or false, not {_shown(wanted)}", param="stream_options"
        )
    return bool(wanted)


class _Fields:
    """The fields of a JSON object, each taken once; null is the same as not given."""

    def __init__(self, body: object) -> None:
        if not isinstance(body, dict):
            raise ApiError(f"the body must be a JSON object, not {_kind(body)}")
        self._left: dict[str, Any] = dict(body)
        self._known: list[str] = []

    def take(self, name: str) -> Any:
        self._known.append(name)
        return self._left.pop(name, None)

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise ApiError(f"{name} must be true or false, not {_shown(value)}", param=name)
        return bool(value)

    def text(self, name: str) -> str | None:
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise ApiError(f"{name} must be a text, not {_shown(value)}", param=name)
        return value

    def whole(self, name: str, default: Any, *, low: int, high: int | None = None) -> Any:
        value = self.take(name)
        if value is None:
            return default
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value
        if not fits or (high is not None and value > high):
            span = f"of {low} or more" if high is None else f"from {low} to {high}"
            raise ApiError(f"{name} must be a whole number {span}, not {_shown(value)}", param=name)
        return value

    def number(self, name: str, default: Any, *, low: float, high: float, above: bool = False) -> Any:
        value = self.take(name)
        if value is None:
            return default
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not (low < value if above else low <= value) or value > high:
            span = f"above {low:g} and at most {high:g}" if above else f"from {low:g} to {high:g}"
            raise ApiError(f"{name} must be a number {span}, not {_shown(value)}", param=name)
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.take(name)
        found = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise ApiError(f"{name} must be a text or a list of texts, not {_shown(value)}", param=name)
        for text in found:
            if any("\ud800" <= sign <= "\udfff" for sign in text):
                raise ApiError(f"{name}: half of a surrogate pair is no text: {_shown(text)}", param=name)
        return tuple(text for text in found if text)

    def end(self, neutral: Mapping[str, tuple[object, ...]]) -> None:
        """Refuse what is left: fields that are not supported, and those that there are not."""
        for name, value in self._left.items():
            if name in _IGNORED:
                continue
            if name in neutral:
                # 0 == False in Python, not in JSON.
                if any(
                    value == other and isinstance(value, bool) == isinstance(other, bool) for other in neutral[name]
                ):
                    continue
                raise ApiError(f"{name}: {_shown(value)} is not supported by this server; leave it out", param=name)
            near = suggestion(name, [*self._known, *neutral])
            raise ApiError(f"unknown field {name!r}{near or '; leave it out'}", param=name, code="unknown_parameter")


def _prompts(value: object) -> tuple[_Prompt, ...]:
    """One prompt or several: a text, texts, a list of token ids, or lists of them."""
    if value is None:
        raise ApiError(
            "prompt is missing: a text, a list of texts, a list of token ids or lists of them", param="prompt"
        )
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not value:
        raise ApiError(f"prompt must be a text, texts, token ids or lists of them, not {_shown(value)}", param="prompt")
    if _is_ids(value):
        return (tuple(value),)
    if all(isinstance(item, str) for item in value):
        return tuple(value)
    for index, item in enumerate(value):
        if not _is_ids(item):
            raise ApiError(
                f"prompt[{index}] must be what the others are, texts or lists of token ids (at least one), "
                f"not {_shown(item)}",
                param="prompt",
            )
    return tuple(map(tuple, value))


def _is_ids(value: object) -> bool:
    # bool is an int to Python; type() is also the fastest check of thousands.
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _turns(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise ApiError(f"messages must be a list of turns, at least one, not {_shown(value)}", param="messages")
    return tuple(_turn(f"messages[{index}]", item) for index, item in enumerate(value))


def _turn(place: str, item: object) -> Message:
    if not isinstance(item, dict) or item.get("role") not in _ROLES:
        found = _shown(item.get("role")) if isinstance(item, dict) else _shown(item)
        raise ApiError(f"{place} needs a role, one of {', '.join(_ROLES)}, not {found}", param=f"{place}.role")
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(_part(f"{place}.content[{index}]", part) for index, part in enumerate(content))
    if not isinstance(content, str):
        raise ApiError(f"{place}.content must be a text, not {_shown(content)}", param=f"{place}.content")
    for key in sorted(set(item) - {"role", "content", "name", "refusal"}):
        if item[key] not in (None, []):
            raise ApiError(f"{place}.{key} is not supported: turns are texts", param=f"{place}.{key}")
    return Message(item["role"], content)


def _part(place: str, part: object) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, dict) else part
    raise ApiError(f"{place}: only parts of type text are supported, not {_shown(kind)}", param=place)


def _kind(value: object) -> str:
    names: Sequence[tuple[type, str]] = (
        (dict, "an object"),
        (list, "a list"),
        (str, "a text"),
        (bool, "true or false"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null" if value is None else "a number")


def _shown(value: object) -> str:
    """`value` in a message: short ones as they are, others by what they are."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{_kind(value)} ({text[:40]}…)"

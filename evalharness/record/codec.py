"""Responses and prompts as plain JSON values and back, without loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..core.types import STATUSES, LogLikelihood, Message, Prompt, Response
from .text import dumps, loads

__all__ = ["prompt_from_json", "prompt_to_json", "response_from_json", "response_to_json"]

# Fields at these values are left out; none of them can be told from an absent field in `Response`.
_DEFAULTS: dict[str, object] = {
    "status": "ok",
    "text": None,
    "answer": None,
    "error": None,
    "finish_reason": None,
    "input_tokens": None,
    "output_tokens": None,
    "latency_s": None,
    "n_retries": 0,
    "created_utc": "",
}
_FIELDS = frozenset(f.name for f in fields(Response))


def response_to_json(response: Response) -> str:
    """`response` as one line of strict JSON; `response_from_json` gives it back, floats to the last bit."""
    plain: dict[str, object] = {"key": response.key}
    for name, default in _DEFAULTS.items():
        value = getattr(response, name)
        if value != default:
            plain[name] = value
    if response.loglikelihoods:
        plain["loglikelihoods"] = [
            (float(x.total), int(x.n_tokens), bool(x.is_greedy)) for x in response.loglikelihoods
        ]
    if response.label_probabilities:
        plain["label_probabilities"] = {k: float(v) for k, v in response.label_probabilities.items()}
    if response.meta:
        plain["meta"] = response.meta
    return dumps(plain)


def response_from_json(text: str) -> Response:
    """The response that `response_to_json` was given.

    Raises:
        ValueError: if `text` is not such a response.
    """
    try:
        plain: Any = loads(text)
        if (
            plain.get("status", "ok") not in STATUSES
            or not isinstance(plain["key"], str)
            or not plain.keys() <= _FIELDS
        ):
            raise ValueError("its fields are not those of a response")
        plain["loglikelihoods"] = tuple(LogLikelihood(*item) for item in plain.get("loglikelihoods", ()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a stored response: {error}") from error
    return Response(**plain)


def prompt_to_json(prompt: Prompt) -> str:
    """`prompt` as JSON: a string, or a list of {role, content} turns."""
    if isinstance(prompt, str):
        return dumps(prompt)
    return dumps([{"role": turn.role, "content": turn.content} for turn in prompt])


def prompt_from_json(text: str) -> Prompt:
    """The prompt that `prompt_to_json` was given."""
    plain: Any = loads(text)
    return plain if isinstance(plain, str) else turns(plain)


def turns(plain: list[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Chat turns from their {role, content} mappings."""
    return tuple(Message(turn["role"], turn["content"]) for turn in plain)

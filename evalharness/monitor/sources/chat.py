"""Messages of chats, in the forms in which the APIs and the conventions of telemetry write them.

OpenAI: {role, content: text or parts {type, text}}; Anthropic: blocks {type: text | thinking | tool_use | tool_result};
OpenTelemetry GenAI: {role, parts: [{type: text | reasoning | tool_call | tool_call_response, content}]}. Pictures,
sounds, files and calls of tools are no text and are left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from evalharness.core.types import Json

from .refusal import Refusal
from .values import mapping, text

__all__ = ["Turn", "answer_of", "chat", "decoded", "prompt_of", "turn"]

_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "summary_text", "refusal"})
_REASONING_TYPES = frozenset({"reasoning", "thinking", "reasoning_text"})


class Turn(NamedTuple):
    """A message: who speaks, the text, and what a model thought before it."""

    role: str
    text: str
    reasoning: str = ""


def decoded(value: Json, field: str) -> Json:
    """`value`, read as JSON if it is a text of an object or a list: spans carry structures as texts."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        found: Json = json.loads(value)
    except (ValueError, RecursionError):
        raise Refusal(
            "not-json",
            field,
            f"a text of {len(value)} signs",
            "write the messages as JSON, uncut (see the limits of attributes in the exporter)",
        ) from None
    return found


def chat(value: Json, field: str, *, role: str = "user") -> tuple[Turn, ...]:
    """The turns of a list of messages; one text is one turn of `role`."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (Turn(role, text(value, field) or ""),)
    if not isinstance(value, list):
        value = [value]
    return tuple(turn(item, f"{field}.{place}", role=role) for place, item in enumerate(value))


def turn(value: Json, field: str, *, role: str = "user") -> Turn:
    """One message."""
    if isinstance(value, str):
        return Turn(role, text(value, field) or "")
    message = mapping(value, field)
    said = message.get("role")
    texts: list[str] = []
    thoughts: list[str] = []
    parts = message.get("parts", message.get("content"))
    if parts is None and isinstance(message.get("text"), str):
        parts = message["text"]
    _gather(parts, f"{field}.content", texts, thoughts)
    for key in ("reasoning_content", "reasoning"):
        if isinstance(message.get(key), str):
            thoughts.append(text(message[key], key) or "")
            break
    if not texts and isinstance(message.get("refusal"), str):
        texts.append(text(message["refusal"], f"{field}.refusal") or "")
    role = (text(said, f"{field}.role") if isinstance(said, str) else None) or role
    return Turn(role, "".join(texts), "\n".join(thoughts))


def _gather(parts: Json, field: str, texts: list[str], thoughts: list[str], depth: int = 0) -> None:
    if parts is None:
        return
    if isinstance(parts, str):
        texts.append(text(parts, field) or "")
        return
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        raise Refusal("not-text", field, f"a {type(parts).__name__}", "write text, or a list of parts")
    for part in parts:
        if isinstance(part, str):
            texts.append(text(part, field) or "")
        elif isinstance(part, dict):
            _part(part, field, texts, thoughts, depth)


def _part(part: dict[str, Json], field: str, texts: list[str], thoughts: list[str], depth: int) -> None:
    kind = str(part.get("type", "text"))
    if kind in _TEXT_TYPES:
        found = next((part[key] for key in ("text", "content", "refusal") if isinstance(part.get(key), str)), None)
        texts.append(text(found, field) or "")
    elif kind in _REASONING_TYPES:
        found = next((part[key] for key in ("content", "text", "thinking") if isinstance(part.get(key), str)), None)
        thoughts.append(text(found, field) or "")
    elif kind in ("tool_call_response", "tool_result") and depth == 0:
        # What a tool answered is what the model was told.
        answer = next((part[key] for key in ("response", "result", "content") if part.get(key) is not None), None)
        if isinstance(answer, str | list):
            _gather(answer, field, texts, thoughts, 1)


def prompt_of(turns: Sequence[Turn]) -> str | None:
    """The text of the last turn of the user; without one, of the last turn; None of no turns."""
    said = [turn.text for turn in turns if turn.role in ("user", "human")]
    return said[-1] if said else (turns[-1].text if turns else None)


def answer_of(turns: Sequence[Turn]) -> tuple[str | None, str | None]:
    """(text, reasoning) of the first answer: a model may give several, and the first one is what is looked at."""
    return (turns[0].text, turns[0].reasoning or None) if turns else (None, None)

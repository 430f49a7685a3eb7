"""Reads an OpenAI-style reply: text, state, tokens, and what else it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from evalharness.core.types import Json, Response, Status

from .concurrent import RequestFailed
from .outputs import shown, status_of

__all__ = ["answer_of", "first_choice", "kept_of_reply", "tokens_of"]

_KEPT_OF_REPLY = ("id", "model", "system_fingerprint")
# Parts of the counts of tokens: of chat and completions, and of the Responses API.
_DETAILS = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
)
_KEPT_OF_MESSAGE = {
    "reasoning_content": "reasoning_content",
    "reasoning": "reasoning_content",  # the name that OpenRouter and newer vLLM give it
    "tool_calls": "tool_calls",
    "function_call": "function_call",
    "refusal": "refusal",
}


def first_choice(reply: Any) -> Mapping[str, Any]:
    """The first of the reply's choices.

    Raises:
        RequestFailed: there is none; the message says what is there.
    """
    if not isinstance(reply, Mapping):
        raise RequestFailed(f"the reply must be a JSON object; got {shown(reply)}")
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        said = reply.get("error")
        detail = f"it says: {shown(said, most=300)}" if said else f"it has: {', '.join(map(str, reply)) or 'nothing'}"
        raise RequestFailed(f"the reply has no choices; {detail}; is this an OpenAI-compatible server?")
    found: Mapping[str, Any] = choices[0]
    return found


def answer_of(
    key: str, reply: Any, *, api: Literal["chat", "completions"], n_retries: int, latency_s: float | None
) -> Response:
    """The response in `reply`, the parsed JSON.

    Raises:
        RequestFailed: there is no answer in it; the message says what is there.
    """
    choice = first_choice(reply)
    message = choice.get("message") if api == "chat" else {"content": choice.get("text")}
    if not isinstance(message, Mapping) or (api == "completions" and not isinstance(choice.get("text"), str)):
        field = "message" if api == "chat" else "text"
        other = "completions" if api == "chat" else "chat"
        raise RequestFailed(
            f"the reply's choice has no {field}, but: {', '.join(map(str, choice)) or 'nothing'}; "
            f"perhaps the server wants `api: {other}`"
        )
    reason = choice.get("finish_reason")
    finish_reason = reason if isinstance(reason, str) else None
    refusal = message.get("refusal")
    text = _content(message.get("content"))
    status: Status = "refusal" if refusal else status_of(finish_reason)
    usage = reply.get("usage")
    counts: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
    return Response(
        key=key,
        status=status,
        # A refusal in words is what the model said; it is scored as its answer and counted apart.
        text=refusal if isinstance(refusal, str) and not text else text,
        finish_reason=finish_reason,
        input_tokens=tokens_of(counts, "prompt_tokens"),
        output_tokens=tokens_of(counts, "completion_tokens"),
        latency_s=latency_s,
        n_retries=n_retries,
        meta=_meta(reply, message, counts),
    )


def _content(content: object) -> str:
    """The text of a message: none is empty, and parts are joined."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text", "") if isinstance(part, Mapping) else part for part in content]
        if all(isinstance(part, str) for part in parts):
            return "".join(parts)
    raise RequestFailed(f"the content of the message must be text; got {shown(content)}")


def tokens_of(usage: Mapping[str, Any], field: str) -> int | None:
    """The number of tokens under `field`; None where the server does not say it."""
    value = usage.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def kept_of_reply(reply: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Json]:
    """What is kept of a reply whatever its answer: who gave it, and the tokens that were reasoning or from a cache."""
    kept: dict[str, Json] = {field: reply[field] for field in _KEPT_OF_REPLY if reply.get(field) is not None}
    for group, field in _DETAILS:
        details = usage.get(group)
        if isinstance(details, Mapping) and details.get(field):
            kept[field] = details[field]
    return kept


def _meta(reply: Mapping[str, Any], message: Mapping[str, Any], usage: Mapping[str, Any]) -> Mapping[str, Json]:
    kept = kept_of_reply(reply, usage)
    for field, name in _KEPT_OF_MESSAGE.items():
        if message.get(field):
            kept.setdefault(name, message[field])
    return kept

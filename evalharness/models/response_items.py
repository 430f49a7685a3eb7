"""Reads the reply of OpenAI's Responses API: the text of its messages, and apart from it reasoning and tool calls.

`output` is a list of items. The `output_text` parts of its messages, joined, are the answer, as in OpenAI's own client;
`refusal` parts make it a refusal. `reasoning` items go to `meta.reasoning_content` (their text, else their summary),
`function_call` items to `meta.tool_calls`; of items of other types `meta.output_items` names the type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evalharness.core.types import Json, Response, Status

from .concurrent import RequestFailed
from .outputs import shown
from .replies import kept_of_reply, tokens_of

__all__ = ["response_of"]

_UNFINISHED = {
    "queued": "it is not answered yet; leave `background` out of extra_body",
    "in_progress": "it is not answered yet; leave `background` out of extra_body",
    "cancelled": "it was cancelled at the server",
    "failed": "the server failed",
}
# Of an incomplete response: what its reason makes of it.
_STATES: Mapping[str, Status] = {"max_output_tokens": "truncated", "content_filter": "refusal"}


def response_of(key: str, reply: Any, *, n_retries: int, latency_s: float | None) -> Response:
    """The response in `reply`, the parsed JSON.

    Raises:
        RequestFailed: there is no answer in it; the message says what is there.
    """
    if not isinstance(reply, Mapping):
        raise RequestFailed(f"the reply must be a JSON object; got {shown(reply)}")
    state = reply.get("status")
    said = reply.get("error")
    if isinstance(state, str) and state in _UNFINISHED:
        detail = said.get("message") if isinstance(said, Mapping) else said
        raise RequestFailed(
            f"the response is {state}{f': {shown(detail, most=300)}' if detail else ''}; {_UNFINISHED[state]}"
        )
    items = reply.get("output")
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        detail = f"it says: {shown(said, most=300)}" if said else f"it has: {', '.join(map(str, reply)) or 'nothing'}"
        other = "; perhaps the server wants `api: chat`" if "choices" in reply else ""
        raise RequestFailed(f"the reply has no output; {detail}; does the server have /responses?{other}")
    text = "".join(_parts(items, "message", "output_text", "text"))
    refusal = "".join(_parts(items, "message", "refusal", "refusal"))
    details = reply.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    status: Status = _STATES.get(str(reason), "truncated") if state == "incomplete" else "ok"
    counts = reply.get("usage")
    usage: Mapping[str, Any] = counts if isinstance(counts, Mapping) else {}
    return Response(
        key=key,
        status="refusal" if refusal else status,
        # A refusal in words is what the model said; it is scored as its answer and counted apart.
        text=text or refusal,
        finish_reason=str(reason or state) if reason or isinstance(state, str) else None,
        input_tokens=tokens_of(usage, "input_tokens"),
        output_tokens=tokens_of(usage, "output_tokens"),
        latency_s=latency_s,
        n_retries=n_retries,
        meta=kept_of_reply(reply, usage) | _meta(items, refusal),
    )


def _parts(
    items: list[Mapping[str, Any]], kind: str, part_kind: str, field: str, *, under: str = "content"
) -> Iterator[str]:
    """The texts of all parts of one type in items of one type."""
    for item in items:
        parts = item.get(under)
        if item.get("type") != kind or not isinstance(parts, list):
            continue
        for part in parts:
            if isinstance(part, Mapping) and part.get("type") == part_kind:
                if not isinstance(part.get(field), str):
                    raise RequestFailed(f"a part of type {part_kind} must have a text; got {shown(part)}")
                yield part[field]


def _meta(items: list[Mapping[str, Any]], refusal: str) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    reasoning = "\n\n".join(_parts(items, "reasoning", "reasoning_text", "text")) or "\n\n".join(
        _parts(items, "reasoning", "summary_text", "text", under="summary")
    )
    if reasoning:
        kept["reasoning_content"] = reasoning
    calls: list[Json] = [dict(item) for item in items if item.get("type") == "function_call"]
    if calls:
        kept["tool_calls"] = calls
    if refusal:
        kept["refusal"] = refusal
    others: list[Json] = [
        str(item.get("type")) for item in items if item.get("type") not in ("message", "reasoning", "function_call")
    ]
    if others:
        kept["output_items"] = others
    return kept

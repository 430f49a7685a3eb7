"""Reads a reply of the messages API: text, state, tokens, and what else it says; whole or as a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evalharness.core.types import Json, Response, Status

from .concurrent import RequestFailed
from .outputs import shown
from .streams import StreamedObject

__all__ = ["MessageStream", "answer_of"]

_STATUS_OF: dict[str, Status] = {
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    # The server interrupted a long turn of its own tools, and would go on if asked: what is there is no whole answer.
    "pause_turn": "truncated",
    "refusal": "refusal",
}
_KEPT_OF_REPLY = ("id", "model", "stop_sequence", "stop_details")
# All are tokens that the model read; the API counts each under one name only.
_INPUT_TOKENS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def answer_of(key: str, reply: Any, *, n_retries: int, latency_s: float | None) -> Response:
    """The response in `reply`, the parsed JSON.

    `text` is the text blocks and nothing else. Thoughts stand in `meta.reasoning_content`, tool calls, in the shape
    that OpenAI's replies have, in `meta.tool_calls`, and blocks of any other type in `meta.other_blocks`.

    Raises:
        RequestFailed: there is no answer in it; the message says what is there.
    """
    if not isinstance(reply, Mapping):
        raise RequestFailed(f"the reply must be a JSON object; got {shown(reply)}")
    blocks = reply.get("content")
    if not isinstance(blocks, list) or not all(isinstance(block, Mapping) for block in blocks):
        said = reply.get("error")
        detail = f"it says: {shown(said, most=300)}" if said else f"it has: {', '.join(map(str, reply)) or 'nothing'}"
        raise RequestFailed(
            f"the reply has no list of content blocks; {detail}; does this server speak Anthropic's API?"
        )
    reason = reply.get("stop_reason")
    finish_reason = reason if isinstance(reason, str) else None
    usage = reply.get("usage")
    counts: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
    read = [_tokens(counts, field) for field in _INPUT_TOKENS]
    return Response(
        key=key,
        status=_STATUS_OF.get(finish_reason or "", "ok"),
        text=_text(blocks),
        finish_reason=finish_reason,
        input_tokens=None if read[0] is None else sum(n or 0 for n in read),
        output_tokens=_tokens(counts, "output_tokens"),
        latency_s=latency_s,
        n_retries=n_retries,
        meta=_meta(reply, blocks, counts),
    )


def _text(blocks: Sequence[Mapping[str, Any]]) -> str:
    parts = [block.get("text") for block in blocks if block.get("type") == "text"]
    if not all(isinstance(part, str) for part in parts):
        raise RequestFailed(f"the text of a block must be text; got {shown(blocks)}")
    return "".join(map(str, parts))


def _tokens(usage: Mapping[str, Any], field: str) -> int | None:
    value = usage.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _meta(
    reply: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]], usage: Mapping[str, Any]
) -> Mapping[str, Json]:
    kept: dict[str, Json] = {field: reply[field] for field in _KEPT_OF_REPLY if reply.get(field) is not None}
    thoughts = [block.get("thinking") for block in blocks if block.get("type") == "thinking"]
    if thought := "".join(part for part in thoughts if isinstance(part, str)):
        kept["reasoning_content"] = thought
    if calls := [_call(block) for block in blocks if block.get("type") == "tool_use"]:
        kept["tool_calls"] = calls
    # Of thoughts that are kept secret there is nothing to read.
    known = ("text", "thinking", "redacted_thinking", "tool_use")
    if others := [dict(block) for block in blocks if block.get("type") not in known]:
        kept["other_blocks"] = others
    if cached := _tokens(usage, "cache_read_input_tokens"):
        kept["cached_tokens"] = cached
    if written := _tokens(usage, "cache_creation_input_tokens"):
        kept["cache_write_tokens"] = written
    return kept


def _call(block: Mapping[str, Any]) -> Json:
    given = block.get("input")
    # Arguments that max_tokens has cut are no JSON: they are kept as they came.
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}


class MessageStream(StreamedObject):
    """The events of a streamed message: a beginning, blocks in deltas, and an end."""

    # What deltas of a block are called, and which field of the block they add to.
    _TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}  # noqa: RUF012

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[Any, dict[str, Any]] = {}
        self._inputs: dict[Any, str] = {}

    def add(self, event: Mapping[str, Any]) -> bool:
        match event:
            case {"type": "message_start", "message": Mapping() as message}:
                self._message = dict(message)
                self._count(message.get("usage"))
            case {"type": "content_block_start", "index": int(index), "content_block": Mapping() as block}:
                self._blocks[index] = dict(block)
                return block.get("type") == "tool_use" or any(block.get(field) for field in self._TEXTS.values())
            case {"type": "content_block_delta", "index": int(index), "delta": Mapping() as delta}:
                return self._add_delta(index, delta)
            case {"type": "message_delta"}:
                if isinstance(changed := event.get("delta"), Mapping):
                    self._message.update(changed)
                    self.finished = self.finished or bool(changed.get("stop_reason"))
                self._count(event.get("usage"))
            case {"type": "message_stop"}:
                self.complete()
        # Pings, ends of blocks and what a later version may add say nothing new.
        return False

    def _add_delta(self, index: int, delta: Mapping[str, Any]) -> bool:
        block = self._blocks.setdefault(index, {"type": "text", "text": ""})
        match delta:
            case {"type": "input_json_delta", "partial_json": str(piece)}:
                self._inputs[index] = self._inputs.get(index, "") + piece
                return bool(piece)
            case {"type": "citations_delta", "citation": citation}:
                cited = block.get("citations")
                block["citations"] = [*(cited if isinstance(cited, list) else ()), citation]
            case {"type": str(kind)} if isinstance(more := delta.get(field := self._TEXTS.get(kind, "")), str):
                begun = block.get(field)
                block[field] = (begun if isinstance(begun, str) else "") + more
                return bool(more) and field != "signature"
        return False

    def _count(self, usage: object) -> None:
        """Counts are totals so far: the last one holds."""
        if isinstance(usage, Mapping):
            self._usage.update({field: value for field, value in usage.items() if value is not None})

    def reply(self) -> Any:
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        for index, text in self._inputs.items():
            if text:
                self._blocks[index]["input"] = _parsed(text)
        return {**self._message, "content": blocks, "usage": self._usage}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text

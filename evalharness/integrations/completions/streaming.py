"""Answers as server-sent events, in the chunks of OpenAI's interface.

A text is computed in one batch with those of other requests and is known when it is finished: it goes out as one
piece, with its end. Clients that ask for streams work; they see nothing sooner.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiohttp import web

__all__ = ["chunks_of", "send_chunks"]


def chunks_of(whole: Mapping[str, Any], *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The chunks of the answer `whole`: each choice by itself, and with `include_usage` the counts at the end."""
    is_chat = whole["object"] == "chat.completion"
    head = {**whole, "object": "chat.completion.chunk" if is_chat else whole["object"]}
    del head["choices"], head["usage"]
    if include_usage:
        head["usage"] = None
    for choice in whole["choices"]:
        for part in _parts(choice) if is_chat else [choice]:
            yield {**head, "choices": [part]}
    if include_usage:
        yield {**head, "choices": [], "usage": whole["usage"]}


def _parts(choice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A choice of a chat: its message, and its end."""
    common = {"index": choice["index"], "logprobs": choice["logprobs"]}
    yield {**common, "delta": choice["message"], "finish_reason": None}
    yield {**common, "delta": {}, "finish_reason": choice["finish_reason"]}


async def send_chunks(request: web.Request, chunks: Iterable[Mapping[str, Any]]) -> web.StreamResponse:
    """Send `chunks` as the answer to `request`, and the event that ends them."""
    reply = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    )
    # A client that has gone away wants no answer.
    with contextlib.suppress(ConnectionError):
        await reply.prepare(request)
        for chunk in chunks:
            await reply.write(b"data: %s\n\n" % json.dumps(chunk).encode())
        await reply.write(b"data: [DONE]\n\n")
        await reply.write_eof()
    return reply

"""Answers of Anthropic's Messages API: bare, as results of message batches, or in pairs with their requests.

An answer names no time: the log must, beside it, and the source says where with `event_time`.
"""

from __future__ import annotations

import math
from typing import Any

from evalharness.core.production import ProductionResponse

from .chat import answer_of, chat, prompt_of, turn
from .context import Context, Converted, Left
from .exchanges import Exchange, base_fields, error_of, unwrapped
from .refusal import Refusal
from .values import Record, figure, mapping, word

__all__ = ["anthropic_response"]


def anthropic_response(record: Record, context: Context) -> Converted:
    """The response of a line.

    Raises:
        Refusal: it is no message, result of a batch, or pair; or nothing says when it was.
    """
    exchange = _exchange(record)
    body = exchange.body
    if "content" not in body and exchange.error is None:
        raise Refusal(
            "no-answer", "content", f"keys {', '.join(map(str, list(body)[:6])) or 'none'}",
            "a line is a message, a result of a message batch, or {request, response}",
        )  # fmt: skip
    fields = base_fields(exchange, context, created=None)
    if fields is None:
        return Left.OUTSIDE
    usage = mapping(body.get("usage"), "usage")
    parts = {
        name: figure(usage.get(key), f"usage.{key}")
        for name, key in (
            ("fresh", "input_tokens"),
            ("read", "cache_read_input_tokens"),
            ("written", "cache_creation_input_tokens"),
        )
    }
    fields |= {
        "model": word(body.get("model") or exchange.request.get("model"), "model"),
        "operation": "chat",
        "finish_reason": word(body.get("stop_reason"), "stop_reason"),
        "error": exchange.error,
        # Anthropic counts what came from or went to the cache apart; here, as in OpenTelemetry, input is all of it.
        "input_tokens": sum(count for count in parts.values() if not math.isnan(count))
        if not math.isnan(parts["fresh"])
        else math.nan,
        "cached_tokens": parts["read"],
        "output_tokens": figure(usage.get("output_tokens"), "usage.output_tokens"),
    }
    if context.content:
        fields |= _texts(exchange)
    return ProductionResponse(**fields)


def _exchange(record: Record) -> Exchange:
    if "result" in record:
        result = mapping(record.get("result"), "result")
        kind = result.get("type")
        error = None
        if kind != "succeeded":
            error = error_of(result.get("error")) if kind == "errored" else word(kind, "result.type") or "error"
        return Exchange(record, {}, mapping(result.get("message"), "result.message"), error)
    found = unwrapped(record)
    if found is None:
        found = Exchange(record, {}, record, None)
    if found.body.get("type") == "error":
        return found._replace(error=found.error or error_of(found.body))
    return found


def _texts(exchange: Exchange) -> dict[str, Any]:
    system = exchange.request.get("system")
    said_first = [turn({"role": "system", "content": system}, "request.system")] if system is not None else []
    turns = (*said_first, *chat(exchange.request.get("messages"), "request.messages"))
    said = [turn(dict(exchange.body), "content", role="assistant")] if "content" in exchange.body else []
    output, reasoning = answer_of(said)
    return {
        "messages": tuple((one.role, one.text) for one in turns),
        "input": prompt_of(turns),
        "output": output,
        "reasoning": reasoning,
    }

"""The JSON Schema (draft 2020-12) of `response.v1`: a row of a log that is read without any settings."""

from __future__ import annotations

from typing import Final

from evalharness.core.types import Json

from .rows import SCHEMA

__all__ = ["response_schema"]

_TIME: Final[Json] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "number", "description": "seconds, milliseconds, microseconds or nanoseconds since 1970"},
    ]
}
_WORD: Final[Json] = {"type": ["string", "null"]}
_LEAST_ZERO: Final[Json] = {"type": ["number", "null"], "minimum": 0}
_FIELDS: Final[dict[str, tuple[Json, str]]] = {
    "id": ({"type": ["string", "integer"], "minLength": 1}, "Names the response; the same name again is a duplicate."),
    "event_time": (_TIME, "When the answer was complete, with its zone."),
    "ingest_time": ({"anyOf": [_TIME, {"type": "null"}]}, "When the log received it: tells what came late."),
    "service": (_WORD, "The service that asked."),
    "model": (_WORD, "The model that answered, as precisely as it is known."),
    "operation": (_WORD, "What was asked for: chat, text_completion, classify."),
    "conversation": (_WORD, "Names what responses belong together: a conversation, a customer."),
    "input": (_WORD, "The text of the last turn of the user."),
    "output": (_WORD, "The text of the answer."),
    "messages": (
        {
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "properties": {"role": {"type": "string"}, "content": {"type": ["string", "array", "null"]}},
            },
        },
        "The whole chat that was sent; the input is taken from it where there is none.",
    ),
    "reasoning": (_WORD, "What the model thought before it answered."),
    "finish_reason": (_WORD, "Why the answer ended: stop, length, tool_calls, content_filter."),
    "error": (_WORD, "The type of the error; null where there was none."),
    "latency_s": (_LEAST_ZERO, "Seconds from the request to the end of the answer."),
    "time_to_first_token_s": (_LEAST_ZERO, "Seconds from the request to the first token."),
    "input_tokens": (_LEAST_ZERO, "Tokens read, those from a cache included."),
    "output_tokens": (_LEAST_ZERO, "Tokens written, those of reasoning included."),
    "cached_tokens": (_LEAST_ZERO, "Tokens of the input that came from a cache."),
    "reasoning_tokens": (_LEAST_ZERO, "Tokens of the output that are reasoning."),
    "cost_usd": (_LEAST_ZERO, "What the answer cost, in US dollars."),
    "label": (_WORD, "The true answer, where it is known."),
    "prediction": (_WORD, "Of a classifier: the class that was chosen."),
    "probability": ({"type": ["number", "null"], "minimum": 0, "maximum": 1}, "Of a classifier: the chosen class's."),
    "scores": (
        {"type": ["object", "null"], "additionalProperties": {"type": ["number", "null"]}},
        "Figures that production itself gave the answer, by name.",
    ),
    "attributes": (
        {
            "type": ["object", "null"],
            "additionalProperties": {"type": ["string", "number", "boolean", "null", "array"]},
        },
        "What windows may be divided by: language, region, tier.",
    ),
}


def response_schema() -> dict[str, Json]:
    """The schema as an object. Other keys than these are allowed, and not read unless the source names them."""
    properties: dict[str, Json] = {"schema": {"const": SCHEMA, "description": "The version of this schema."}}
    for name, (kind, description) in _FIELDS.items():
        properties[name] = {**(kind if isinstance(kind, dict) else {}), "description": description}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "One response of production, as it is read here: a line of JSON Lines, or a row of Parquet.",
        "type": "object",
        "properties": properties,
        "required": ["id", "event_time"],
        "additionalProperties": True,
    }

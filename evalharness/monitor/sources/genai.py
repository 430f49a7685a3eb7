"""Spans and log records of the OpenTelemetry conventions for generative AI, v1.41, as responses.

The conventions are in development and have changed their names often. `ALIASES` lists, for each of today's names, those
that came before (v1.27 to v1.40, deprecated), those of the repository that the conventions moved to after v1.41, and
those that widespread instrumentations (OpenLLMetry, OpenLIT) wrote in the meantime; the first that is there counts.

Sources: open-telemetry/semantic-conventions, model/gen-ai (registry, deprecated/registry, deprecated/events);
open-telemetry/semantic-conventions-genai, docs/gen-ai (spans, events, input and output messages).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from evalharness.core.production import ProductionResponse
from evalharness.core.types import Json

from .chat import Turn, answer_of, chat, decoded, prompt_of, turn
from .context import Context, Converted, Left
from .refusal import Refusal
from .span import Span
from .values import figure, name_of, scalar, word

__all__ = ["ALIASES", "DETAILS", "common_fields", "found_in", "genai_response"]

DETAILS: Final = "gen_ai.client.inference.operation.details"
"""The event that carries a whole exchange, apart from traces."""

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "gen_ai.provider.name": ("gen_ai.system",),
    "gen_ai.operation.name": ("llm.request.type",),
    "gen_ai.request.model": ("llm.request.model",),
    "gen_ai.response.model": ("llm.response.model",),
    "gen_ai.response.finish_reasons": (
        "gen_ai.response.finish_reason",
        "llm.response.finish_reason",
        "llm.response.stop_reason",
    ),
    "gen_ai.conversation.id": ("session.id", "traceloop.association.properties.session_id"),
    "gen_ai.response.time_to_first_chunk": ("gen_ai.server.time_to_first_token", "server.time_to_first_token"),
    "gen_ai.usage.input_tokens": ("gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    "gen_ai.usage.output_tokens": ("gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
    "gen_ai.usage.cache_read.input_tokens": ("gen_ai.usage.cache_read_input_tokens",),
    "gen_ai.usage.reasoning.output_tokens": ("gen_ai.usage.reasoning_tokens",),
    "gen_ai.usage.cost": ("gen_ai.cost.usd",),
}

_PROVIDERS: Final = {
    "xai": "x_ai",
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
}
_ANSWERS: Final = frozenset({"chat", "text_completion", "generate_content", "completion"})
_MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_INDEXED: Final = re.compile(r"gen_ai\.(prompt|completion)\.([0-9]{1,5})\.(role|content|finish_reason)\Z", re.ASCII)
_FIGURES: Final = {
    "time_to_first_token_s": "gen_ai.response.time_to_first_chunk",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "cost_usd": "gen_ai.usage.cost",
}


def found_in(attributes: Mapping[str, Json], name: str) -> Json:
    """The value of an attribute under today's name, or the first of its aliases that is there."""
    for key in (name, *ALIASES.get(name, ())):
        if (value := attributes.get(key)) is not None:
            return _PROVIDERS.get(value, value) if name == "gen_ai.provider.name" and isinstance(value, str) else value
    return None


def genai_response(span: Span, context: Context) -> Converted:
    """The response of a span or of a log record; spans of tools, agents, embeddings and all else are left out."""
    if context.source.signal == "logs" and span.name != DETAILS:
        return Left.OTHER
    operation = found_in(span.attributes, "gen_ai.operation.name")
    model = found_in(span.attributes, "gen_ai.response.model") or found_in(span.attributes, "gen_ai.request.model")
    if operation is None and model is None:
        return Left.OTHER
    if operation is not None and not (isinstance(operation, str) and operation in _ANSWERS):
        return Left.OTHER
    fields = common_fields(span, context, "gen_ai.conversation.id")
    if isinstance(fields, Left):
        return fields
    fields |= {
        "model": word(model, "gen_ai.response.model"),
        "operation": word(operation, "gen_ai.operation.name"),
        "finish_reason": _finish_reason(span),
        "scores": _scores(span),
    }
    fields |= {name: figure(found_in(span.attributes, key), key) for name, key in _FIGURES.items()}
    if context.content:
        turns, answers = _content(span)
        fields["messages"] = tuple((turn.role, turn.text) for turn in turns)
        fields["input"] = prompt_of(turns)
        fields["output"], fields["reasoning"] = answer_of(answers)
    return ProductionResponse(**fields)


def common_fields(span: Span, context: Context, conversation: str) -> dict[str, Any] | Left:
    """What both conventions share: id, times, service, conversation, error, and the attributes that are kept."""
    source = context.source
    by = source.event_time or "end_time"
    unit = "ns" if span.nanos else None
    if by in ("end_time", "start_time"):
        written = span.end if by == "end_time" else span.start
        # Zero is how OTLP writes that a time is not known.
        event_time = context.moment(None if written in (0, "0") else written, by, unit=unit)
    else:
        event_time = context.moment(_anywhere(span, by), by)
    if not context.within(event_time):
        return Left.OUTSIDE
    found: dict[str, Any] = {
        "event_time": event_time,
        "service": word(span.resource.get("service.name"), "service.name"),
    }
    if source.id is not None:
        found["id"] = name_of(_anywhere(span, source.id), source.id)
    else:
        found["id"] = name_of(span.span_id, "span_id")
    if span.observed not in (None, "", "0", 0):
        found["ingest_time"] = context.moment(span.observed, "observed_time", unit=unit)
    named = source.conversation or conversation
    value = _anywhere(span, named)
    found["conversation"] = None if value in (None, "") else word(value, named)
    if all(at not in (None, 0, "0") for at in (span.start, span.end)) and span.start is not span.end:
        ended, began = (
            context.moment(span.end, "end_time", unit=unit),
            context.moment(span.start, "start_time", unit=unit),
        )
        found["latency_s"] = figure((ended - began).total_seconds(), "end_time - start_time")
    found["error"] = _error(span)
    found["attributes"] = {name: scalar(_anywhere(span, column), column) for name, column in context.columns.items()}
    return found


def _anywhere(span: Span, name: str) -> Json:
    found = found_in(span.attributes, name)
    return span.resource.get(name) if found is None else found


def _error(span: Span) -> str | None:
    # The message of an error may repeat what was asked: its type is what is kept.
    for attributes in (span.attributes, *(event.attributes for event in span.events if event.name == "exception")):
        for key in ("error.type", "exception.type"):
            if attributes.get(key) not in (None, ""):
                return word(attributes[key], key)
    return "error" if span.failed else None


def _finish_reason(span: Span) -> str:
    key = "gen_ai.response.finish_reasons"
    value = decoded(found_in(span.attributes, key), key)
    if value is None:
        value = span.attributes.get("gen_ai.completion.0.finish_reason")
    for event in span.events if value is None else ():
        if event.name == "gen_ai.choice":
            value = event.attributes.get("finish_reason")
    if value in (None, []):
        value = _said_with_the_answer(span)
    if isinstance(value, list):
        value = value[0] if value else None
    return word(value, key)


def _said_with_the_answer(span: Span) -> Json:
    """The finish reason of the first output message that has one: no content, and read where content is not kept."""
    key = "gen_ai.output.messages"
    for attributes in (span.attributes, *(event.attributes for event in span.events if event.name == DETAILS)):
        # A text that the exporter cut is refused where content is wanted; of it nothing else is.
        messages = _loose(attributes.get(key), key)
        for message in messages if isinstance(messages, list) else ():
            reason = message.get("finish_reason") if isinstance(message, Mapping) else None
            if isinstance(reason, str):
                return reason
    return None


def _scores(span: Span) -> dict[str, float]:
    found: dict[str, float] = {}
    for event in span.events:
        name = event.attributes.get("gen_ai.evaluation.name")
        if event.name == "gen_ai.evaluation.result" and isinstance(name, str):
            score = figure(event.attributes.get("gen_ai.evaluation.score.value"), name, least=-math.inf)
            if not math.isnan(score):
                found[word(name, "gen_ai.evaluation.name")] = score
    return found


def _content(span: Span) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """(what was asked, the answers), from wherever this version of the conventions puts them."""
    places = [span.attributes, *(event.attributes for event in span.events if event.name == DETAILS)]
    turns: tuple[Turn, ...] = ()
    answers: tuple[Turn, ...] = ()
    for attributes in places:
        if (value := attributes.get("gen_ai.system_instructions")) is not None and not turns:
            said = decoded(value, "gen_ai.system_instructions")
            turns = (turn({"role": "system", "content": said}, "gen_ai.system_instructions"),)
        if (value := attributes.get("gen_ai.input.messages")) is not None:
            turns += chat(decoded(value, "gen_ai.input.messages"), "gen_ai.input.messages")
        if (value := attributes.get("gen_ai.output.messages")) is not None:
            key = "gen_ai.output.messages"
            answers = chat(decoded(value, key), key, role="assistant")
    older, older_answers = _older_content(span)
    return turns or older, answers or older_answers


def _older_content(span: Span) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """Content as it was written before v1.37: an event a message, or indexed attributes, or one attribute of JSON."""
    turns: list[Turn] = []
    answers: list[Turn] = []
    for event in span.events:
        if event.name in _MESSAGE_EVENTS:
            turns.append(turn(_structured(event.attributes), event.name, role=_MESSAGE_EVENTS[event.name]))
        elif event.name == "gen_ai.choice":
            message = event.attributes.get("message", dict(event.attributes))
            answers.append(turn(_structured(decoded(message, "message")), event.name, role="assistant"))
        elif event.name == "gen_ai.content.prompt":
            turns += chat(_loose(event.attributes.get("gen_ai.prompt"), "gen_ai.prompt"), "gen_ai.prompt")
        elif event.name == "gen_ai.content.completion":
            key = "gen_ai.completion"
            answers += chat(_loose(event.attributes.get(key), key), key, role="assistant")
    if not turns:
        turns += _indexed(span.attributes, "prompt", "user")
        turns = turns or [*chat(_loose(span.attributes.get("gen_ai.prompt"), "gen_ai.prompt"), "gen_ai.prompt")]
    if not answers:
        answers += _indexed(span.attributes, "completion", "assistant")
        key = "gen_ai.completion"
        answers = answers or [*chat(_loose(span.attributes.get(key), key), key, role="assistant")]
    return tuple(turns), tuple(answers)


def _structured(value: Json | Mapping[str, Json]) -> Json:
    if not isinstance(value, Mapping):
        return value
    return {key: decoded(item, key) if key == "content" and _parts(item) else item for key, item in value.items()}


def _parts(value: Json) -> bool:
    return isinstance(value, str) and value.startswith('[{"type"')


def _loose(value: Json, key: str) -> Json:
    """JSON where it is JSON; instrumentations of that time wrote Python's own notation, too, which stays a text."""
    try:
        return decoded(value, key)
    except Refusal:
        return value


def _indexed(attributes: Mapping[str, Json], side: str, role: str) -> list[Turn]:
    gathered: dict[int, dict[str, Json]] = {}
    for key, value in attributes.items():
        if (match := _INDEXED.match(key)) and match[1] == side:
            gathered.setdefault(int(match[2]), {})[match[3]] = value
    return [turn(_structured(gathered[place]), f"gen_ai.{side}.{place}", role=role) for place in sorted(gathered)]

"""Spans of the OpenInference conventions (Phoenix, Arize) as responses; only those of the kind LLM are answers.

Source: Arize-ai/openinference, spec/semantic_conventions.md. Lists are flattened into attributes with an index, such as
llm.input_messages.0.message.content; nested attributes, as exports write them, are flattened first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from evalharness.core.production import ProductionResponse
from evalharness.core.types import Json

from .chat import Turn, answer_of, prompt_of
from .context import Context, Converted, Left
from .genai import common_fields
from .span import Span, flattened
from .values import figure, text, word

__all__ = ["openinference_response"]

_MESSAGE: Final = re.compile(
    r"llm\.(input|output)_messages\.([0-9]{1,5})\.message\.(role|content|contents\.([0-9]{1,5})\.message_content\.(type|text))\Z",
    re.ASCII,
)
_PLAIN: Final = re.compile(r"llm\.(prompts|choices)\.([0-9]{1,5})\.(?:prompt|completion)\.text\Z", re.ASCII)
_SCORE: Final = re.compile(
    r"(annotations|evaluations)\.([0-9]{1,5})\.(?:annotation|evaluation)\.(name|score)\Z", re.ASCII
)
_FIGURES: Final = {
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "cached_tokens": "llm.token_count.prompt_details.cache_read",
    "reasoning_tokens": "llm.token_count.completion_details.reasoning",
    "cost_usd": "llm.cost.total",
}


def openinference_response(span: Span, context: Context) -> Converted:
    """The response of a span of the kind LLM; spans of other kinds are left out."""
    kind = span.attributes.get("openinference.span.kind")
    if not isinstance(kind, str):
        nested = span.attributes.get("openinference")
        kind = flattened({"openinference": nested}).get("openinference.span.kind") if nested else None
    if not isinstance(kind, str) or kind.upper() != "LLM":
        return Left.OTHER
    fields = common_fields(span, context, "session.id")
    if isinstance(fields, Left):
        return fields
    attributes = flattened(span.attributes)
    model = next(
        (
            attributes[key]
            for key in ("llm.response.model_name", "llm.model_name", "llm.request.model_name")
            if key in attributes
        ),
        None,
    )
    fields |= {
        "model": word(model, "llm.model_name"),
        "operation": "llm",
        "finish_reason": word(attributes.get("llm.finish_reason"), "llm.finish_reason"),
        "scores": _scores(attributes),
    }
    fields |= {name: figure(attributes.get(key), key) for name, key in _FIGURES.items()}
    if context.content:
        turns = _turns(attributes, "input", "user")
        answers = _turns(attributes, "output", "assistant")
        fields["messages"] = tuple((turn.role, turn.text) for turn in turns)
        asked, (output, reasoning) = prompt_of(turns), answer_of(answers)
        fields["input"] = asked if asked is not None else text(attributes.get("input.value"), "input.value")
        fields["output"] = output if output is not None else text(attributes.get("output.value"), "output.value")
        fields["reasoning"] = reasoning
    return ProductionResponse(**fields)


def _turns(attributes: Mapping[str, Json], side: str, role: str) -> list[Turn]:
    said: dict[int, dict[str, str]] = {}
    parts: dict[tuple[int, int], dict[str, str]] = {}
    for key, value in attributes.items():
        if not key.startswith("llm."):
            continue
        if (match := _MESSAGE.match(key)) and match[1] == side:
            message = said.setdefault(int(match[2]), {})
            if match[4] is not None:
                parts.setdefault((int(match[2]), int(match[4])), {})[match[5]] = text(value, key) or ""
            else:
                message[match[3]] = text(value, key) or ""
        elif (match := _PLAIN.match(key)) and (match[1] == "prompts") == (side == "input"):
            said.setdefault(int(match[2]), {})["content"] = text(value, key) or ""
    return [_turn(said[place], [parts[at] for at in sorted(parts) if at[0] == place], role) for place in sorted(said)]


def _turn(message: Mapping[str, str], parts: list[dict[str, str]], role: str) -> Turn:
    texts = [part.get("text", "") for part in parts if part.get("type", "text") == "text"]
    thoughts = [part.get("text", "") for part in parts if part.get("type") == "reasoning"]
    content = message.get("content")
    return Turn(message.get("role") or role, content if content is not None else "".join(texts), "\n".join(thoughts))


def _scores(attributes: Mapping[str, Json]) -> dict[str, float]:
    found: dict[tuple[str, str], dict[str, Json]] = {}
    for key, value in attributes.items():
        if match := _SCORE.match(key):
            found.setdefault((match[1], match[2]), {})[match[3]] = value
    read = {
        word(entry["name"], "annotation.name"): figure(entry.get("score"), "score", least=-math.inf)
        for entry in found.values()
        if isinstance(entry.get("name"), str)
    }
    return {name: score for name, score in read.items() if not math.isnan(score)}

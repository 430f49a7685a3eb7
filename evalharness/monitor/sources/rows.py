"""`response.v1`: rows whose columns are the fields of a response, or are named in the source's `fields`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from evalharness.core.production import ProductionResponse
from evalharness.core.types import Json

from .chat import chat, decoded, prompt_of
from .context import Context, Converted, Left
from .refusal import Refusal, shown
from .values import Record, dig, figure, mapping, name_of, scalar, text, word

__all__ = ["SCHEMA", "row_response"]

SCHEMA: Final = "response.v1"
_WORDS: Final = ("service", "model", "operation", "finish_reason")
_TEXTS: Final = ("input", "output", "reasoning")
_MAY_BE_NONE: Final = ("conversation", "error", "label", "prediction")
_FIGURES: Final = (
    "latency_s",
    "time_to_first_token_s",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
)


def row_response(record: Record, context: Context) -> Converted:
    """The response of a row.

    Raises:
        Refusal: the row has no id or time, or a field of the wrong kind.
    """
    source = context.source
    at = {"id": source.id, "event_time": source.event_time, "conversation": source.conversation}
    columns = {**source.fields, **{name: column for name, column in at.items() if column is not None}}

    def get(name: str) -> tuple[Json, str]:
        column = columns.get(name, name)
        return (dig(record, column) if name in columns else record.get(name)), column

    version = record.get("schema")
    if version is not None and version != SCHEMA and "schema" not in columns.values():
        raise Refusal("other-schema", "schema", shown(version), f"this evalharness reads {SCHEMA}")
    event_time = context.moment(*get("event_time"))
    if not context.within(event_time):
        return Left.OUTSIDE
    found: dict[str, Any] = {"id": name_of(*get("id")), "event_time": event_time}
    ingested, column = get("ingest_time")
    if ingested is not None:
        found["ingest_time"] = context.moment(ingested, column)
    for name in _WORDS:
        found[name] = word(*get(name))
    for name in _MAY_BE_NONE:
        value, column = get(name)
        found[name] = None if value is None else word(value, column)
    for name in _FIGURES:
        found[name] = figure(*get(name))
    found["cost_usd"] = figure(*get("cost_usd"))
    found["probability"] = figure(*get("probability"), most=1.0)
    found["scores"] = _scores(*get("scores"))
    found["attributes"] = _attributes(record, get("attributes"), context)
    if context.content:
        found |= {name: text(*get(name)) for name in _TEXTS}
        value, column = get("messages")
        turns = chat(decoded(value, column), column)
        found["messages"] = tuple((turn.role, turn.text) for turn in turns)
        if found["input"] is None:
            found["input"] = prompt_of(turns)
    return ProductionResponse(**found)


def _scores(value: Json, field: str) -> Mapping[str, float]:
    # A column of a table holds an object as text.
    scores = mapping(decoded(value, field), field)
    read = {name: figure(score, f"{field}.{name}", least=-math.inf) for name, score in scores.items()}
    return {name: score for name, score in read.items() if not math.isnan(score)}


def _attributes(record: Record, given: tuple[Json, str], context: Context) -> Mapping[str, Any]:
    value, field = given
    found = {name: scalar(item, f"{field}.{name}") for name, item in mapping(decoded(value, field), field).items()}
    for name, column in context.columns.items():
        if name not in found or column != name:
            found[name] = scalar(dig(record, column), column)
    return found

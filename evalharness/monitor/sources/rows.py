"""`response.v1`: rows whose columns are the fields of a response, or are named in the source's `fields`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from evalharness.core.production import ProductionResponse
from evalharness.core.types import Json
from evalharness.suite.source_entry import Source

from .chat import chat, decoded, prompt_of
from .context import Context, Converted, Left
from .refusal import Refusal, shown
from .values import Record, dig, figure, mapping, name_of, scalar, text, word

__all__ = ["SCHEMA", "row_converter"]

SCHEMA: Final = "response.v1"
_READERS: Final[dict[str, Callable[[Json, str], Any]]] = {
    **dict.fromkeys(
        ("service", "model", "operation", "finish_reason", "conversation", "error", "label", "prediction"), word
    ),
    **dict.fromkeys(
        (
            "latency_s",
            "time_to_first_token_s",
            "input_tokens",
            "output_tokens",
            "cached_tokens",
            "reasoning_tokens",
            "cost_usd",
        ),
        figure,
    ),
    "probability": lambda value, field: figure(value, field, most=1.0),
    "scores": lambda value, field: _scores(value, field),
}
_TEXTS: Final[dict[str, Callable[[Json, str], Any]]] = dict.fromkeys(("input", "output", "reasoning"), text)


def row_converter(source: Source) -> Callable[[Record, Context], Converted]:
    """What makes responses of the rows of `source`; where each field is found is settled once for all of them.

    It raises a `Refusal` for a row that has no id or time, or a field of the wrong kind.
    """
    at = {"id": source.id, "event_time": source.event_time, "conversation": source.conversation}
    columns = {**source.fields, **{name: column for name, column in at.items() if column is not None}}
    readers = {**_READERS, **_TEXTS} if source.content else _READERS
    plan = [(name, columns.get(name, name), reader) for name, reader in readers.items()]
    id_column, time_column = columns.get("id", "id"), columns.get("event_time", "event_time")
    ingest_column = columns.get("ingest_time", "ingest_time")
    messages_column, attributes_column = columns.get("messages", "messages"), columns.get("attributes", "attributes")
    names_schema = "schema" in columns.values()

    def convert(record: Record, context: Context) -> Converted:
        version = record.get("schema")
        if version is not None and version != SCHEMA and not names_schema:
            raise Refusal("other-schema", "schema", shown(version), f"this evalharness reads {SCHEMA}")
        event_time = context.moment(dig(record, time_column), time_column)
        if not context.within(event_time):
            return Left.OUTSIDE
        found: dict[str, Any] = {"id": name_of(dig(record, id_column), id_column), "event_time": event_time}
        if (ingested := dig(record, ingest_column)) is not None:
            found["ingest_time"] = context.moment(ingested, ingest_column)
        for name, column, reader in plan:
            # What is missing has its value in the type itself.
            if (value := record[column] if column in record else dig(record, column)) is not None:
                found[name] = reader(value, column)
        given = dig(record, attributes_column)
        if given is not None or context.columns:
            found["attributes"] = _attributes(record, given, attributes_column, context)
        if source.content and (value := dig(record, messages_column)) is not None:
            turns = chat(decoded(value, messages_column), messages_column)
            found["messages"] = tuple((turn.role, turn.text) for turn in turns)
            if found.get("input") is None:
                found["input"] = prompt_of(turns)
        return ProductionResponse(**found)

    return convert


def _scores(value: Json, field: str) -> Mapping[str, float]:
    # A column of a table holds an object as text.
    scores = mapping(decoded(value, field), field)
    read = {word(name, field): figure(score, f"{field}.{name}", least=-math.inf) for name, score in scores.items()}
    return {name: score for name, score in read.items() if not math.isnan(score)}


def _attributes(record: Record, value: Json, field: str, context: Context) -> Mapping[str, Any]:
    found = {
        word(name, field): scalar(item, f"{field}.{name}")
        for name, item in mapping(decoded(value, field), field).items()
    }
    for name, column in context.columns.items():
        if name not in found or column != name:
            found[name] = scalar(dig(record, column), column)
    return found

"""A span of a trace, or a log record, whichever way it was encoded, and flat: the raw material of two conventions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from evalharness.core.types import Json

from .refusal import Refusal, shown
from .values import Record, items, mapping

__all__ = ["Span", "SpanEvent", "flattened", "is_otlp", "logs_of", "span_of_row", "spans_of"]

_OK_STATUS: Final = frozenset({None, 0, 1, "0", "1", "", "UNSET", "OK", "STATUS_CODE_UNSET", "STATUS_CODE_OK"})
_DEEPEST: Final = 40


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened during a span."""

    name: str
    attributes: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Span:
    """`start` and `end` are as they were written: with `nanos`, nanoseconds since 1970. A log record has one time."""

    span_id: Json
    start: Json
    end: Json
    attributes: Mapping[str, Json]
    resource: Mapping[str, Json] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    failed: bool = False
    name: str = ""
    trace_id: Json = None
    observed: Json = None
    nanos: bool = False


def is_otlp(record: Record) -> bool:
    """Whether a decoded object is a message of OTLP rather than one span."""
    return any(key in record for key in ("resourceSpans", "resource_spans", "resourceLogs", "resource_logs"))


def spans_of(record: Record) -> Iterator[Span | Refusal]:
    """The spans of a message of OTLP/JSON, one after the other; what has no form of one is a refusal."""
    for resource, group in _groups(record, "resourceSpans", "scopeSpans", "instrumentationLibrarySpans"):
        yield from (_guarded(_span, item, resource) for item in items(_either(group, "spans"), "spans"))


def logs_of(record: Record) -> Iterator[Span | Refusal]:
    """The log records of a message of OTLP/JSON."""
    for resource, group in _groups(record, "resourceLogs", "scopeLogs"):
        yield from (_guarded(_log, item, resource) for item in items(_either(group, "logRecords"), "logRecords"))


def _groups(record: Record, *keys: str) -> Iterator[tuple[dict[str, Json], dict[str, Json]]]:
    for place, outer in enumerate(items(_either(record, keys[0]), keys[0])):
        whole = mapping(outer, f"{keys[0]}.{place}")
        resource = _attributes(mapping(whole.get("resource"), "resource").get("attributes"), "resource.attributes")
        inner = next((found for key in keys[1:] if (found := _either(whole, key)) is not None), None)
        for group in items(inner, keys[1]):
            yield resource, mapping(group, keys[1])


def _guarded(make: object, item: Json, resource: dict[str, Json]) -> Span | Refusal:
    try:
        found: Span = make(mapping(item, "span"), resource)  # type: ignore[operator]
    except Refusal as refusal:
        return refusal
    return found


def _span(span: dict[str, Json], resource: dict[str, Json]) -> Span:
    status = mapping(span.get("status"), "status")
    events = [mapping(event, "events") for event in items(span.get("events"), "events")]
    return Span(
        span_id=_either(span, "spanId"),
        trace_id=_either(span, "traceId"),
        name=_text(span.get("name")),
        start=_either(span, "startTimeUnixNano"),
        end=_either(span, "endTimeUnixNano"),
        attributes=_attributes(span.get("attributes"), "attributes"),
        resource=resource,
        events=tuple(
            SpanEvent(_text(event.get("name")), _attributes(event.get("attributes"), "events.attributes"))
            for event in events
        ),
        failed=_failed(status.get("code")),
        nanos=True,
    )


def _log(log: dict[str, Json], resource: dict[str, Json]) -> Span:
    attributes = _attributes(log.get("attributes"), "attributes")
    name = _text(_either(log, "eventName")) or _text(attributes.get("event.name"))
    body = _value(log.get("body"), "body") if log.get("body") is not None else None
    if isinstance(body, dict):
        # Before events had a body of attributes, their fields stood in the body of the record.
        attributes = {**body, **attributes}
    time = _either(log, "timeUnixNano")
    observed = _either(log, "observedTimeUnixNano")
    when = observed if time in (None, "", "0", 0) else time
    return Span(
        _either(log, "spanId"), None, when, attributes, resource, name=name, trace_id=_either(log, "traceId"),
        observed=observed, nanos=True,
    )  # fmt: skip


def _either(record: Record, key: str) -> Json:
    """The value under `key`, or under its spelling with underscores: writers of OTLP/JSON differ."""
    if key in record:
        return record[key]
    return record.get(re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", key))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _failed(code: Json) -> bool:
    return not isinstance(code, dict | list) and code not in _OK_STATUS


def _attributes(value: Json, name: str) -> dict[str, Json]:
    """Attributes as a plain object: OTLP writes them as a list of keys and typed values."""
    if isinstance(value, dict):
        return value
    found: dict[str, Json] = {}
    for pair in items(value, name):
        entry = mapping(pair, name)
        key = entry.get("key")
        if not isinstance(key, str):
            raise Refusal("not-otlp", name, shown(key), "an attribute is {key: text, value: {…Value: …}}")
        found[key] = _value(entry.get("value"), key)
    return found


def _value(value: Json, key: str, depth: int = 0) -> Json:
    """The plain value of an AnyValue."""
    if depth > _DEEPEST:
        raise Refusal("not-otlp", key, f"more than {_DEEPEST} levels", "write flatter attributes")
    if value is None:
        return None
    typed = mapping(value, key)
    for kind in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if (found := _either(typed, kind)) is not None:
            return found
    if (found := _either(typed, "intValue")) is not None:
        try:
            return int(found) if isinstance(found, str) else found
        except ValueError:
            raise Refusal("not-otlp", key, shown(found), "an intValue is a whole number, or the text of one") from None
    if (found := _either(typed, "arrayValue")) is not None:
        return [_value(item, key, depth + 1) for item in items(mapping(found, key).get("values"), key)]
    if (found := _either(typed, "kvlistValue")) is not None:
        pairs = [mapping(item, key) for item in items(mapping(found, key).get("values"), key)]
        return {str(pair.get("key")): _value(pair.get("value"), key, depth + 1) for pair in pairs}
    return None


def span_of_row(record: Record) -> Span:
    """A span that stands by itself: what the SDKs print, and tables of spans such as Phoenix writes.

    Attributes are an object `attributes`, nested or with dots, or columns whose names begin with `attributes.`.
    """
    context = mapping(record.get("context"), "context")
    attributes = flattened(mapping(record.get("attributes"), "attributes"))
    for key, value in record.items():
        if key.startswith("attributes.") and value is not None:
            attributes |= flattened({key.removeprefix("attributes."): value})
    resource = mapping(record.get("resource"), "resource")
    status = record.get("status")
    code = status.get("status_code", status.get("code")) if isinstance(status, dict) else record.get("status_code")
    events = [mapping(event, "events") for event in items(record.get("events"), "events")]
    return Span(
        span_id=_bare(_first(context.get("span_id"), record.get("context.span_id"), record.get("span_id"))),
        trace_id=_bare(_first(context.get("trace_id"), record.get("context.trace_id"), record.get("trace_id"))),
        name=_text(record.get("name")),
        start=_first(record.get("start_time"), record.get("startTimeUnixNano")),
        end=_first(record.get("end_time"), record.get("endTimeUnixNano")),
        attributes=attributes,
        resource=mapping(resource.get("attributes", resource), "resource"),
        events=tuple(
            SpanEvent(_text(event.get("name")), mapping(event.get("attributes"), "events.attributes"))
            for event in events
        ),
        failed=_failed(code),
    )


def _bare(name: Json) -> Json:
    """A name in hexadecimal without the 0x that SDKs print: a span has one name, however it came."""
    return name.removeprefix("0x") if isinstance(name, str) else name


def _first(*values: Json) -> Json:
    return next((value for value in values if value is not None), None)


def flattened(value: Record) -> dict[str, Json]:
    """Objects within objects, and lists of objects, as one object whose keys have dots; lists stay besides."""
    found: dict[str, Json] = {}
    waiting: list[tuple[str, Json, int]] = [(key, item, 0) for key, item in reversed(list(value.items()))]
    while waiting:
        key, item, depth = waiting.pop()
        if isinstance(item, dict) and item and depth < _DEEPEST:
            waiting += [(f"{key}.{name}", inner, depth + 1) for name, inner in reversed(list(item.items()))]
        elif isinstance(item, list) and item and all(isinstance(one, dict) for one in item) and depth < _DEEPEST:
            found[key] = item
            waiting += [(f"{key}.{place}", one, depth + 1) for place, one in reversed(list(enumerate(item)))]
        else:
            found[key] = item
    return found

"""From a source to its rows, and from rows to responses: which transport and which format go together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from evalharness.core.errors import Place
from evalharness.suite.source_entry import Source

from .anthropic import anthropic_response
from .context import Context, Converted
from .files import Item, find_files, json_records, kind_of
from .genai import genai_response
from .openai import openai_response
from .openinference import openinference_response
from .refusal import Refusal
from .rows import row_converter
from .span import Span, is_otlp, logs_of, span_of_row, spans_of

__all__ = ["as_stored", "converter", "records", "spans_in"]

_SPANS: Final[dict[str, Callable[[Span, Context], Converted]]] = {
    "otel-genai": genai_response,
    "openinference": openinference_response,
}
_APIS: Final[dict[str, Callable[[Any, Context], Converted]]] = {
    "openai": openai_response,
    "anthropic": anthropic_response,
}


def converter(source: Source) -> Callable[[Any, Context], Converted]:
    """What makes responses of the records of `source`."""
    return {**_SPANS, **_APIS}.get(source.format) or row_converter(source)


def as_stored(source: Source) -> Source:
    """`source` as its rows lie: what was received has been read already, and lies there as responses."""
    if source.receive is None:
        return source
    keys = ("content", "redact", "redact_timeout_s", "max_record_bytes")
    return Source(path=source.receive, **{key: getattr(source, key) for key in keys})


def records(source: Source, start: datetime, end: datetime, *, base: Path) -> Iterator[tuple[Place, Any]]:
    """(place, row, span or refusal) of everything in the source that may belong to [start, end).

    Raises:
        UsageError: a file or database is not there, or a query is none.
    """
    if source.url is not None and source.query is not None:
        from .sql import sql_records

        yield from sql_records(source.url, source.query, start, end)
        return
    torn = source.receive is not None
    source = as_stored(source)
    files = find_files(source.path or (), base=base)
    if source.format == "duckdb":
        from .duck import duck_records

        yield from duck_records(files, source.query, start, end, time=_time_column(source))
        return
    for file in files:
        yield from _of_file(file, source, start, end, torn=torn)


def _time_column(source: Source) -> str:
    return source.event_time or source.fields.get("event_time", "event_time")


def _of_file(file: Path, source: Source, start: datetime, end: datetime, *, torn: bool) -> Iterator[tuple[Place, Any]]:
    kind = kind_of(file)
    of_spans = source.format in _SPANS
    if kind == "protobuf" and of_spans:
        from .otlp_proto import proto_spans

        yield from proto_spans(file, signal=source.signal, max_bytes=source.max_record_bytes)
        return
    rows: Iterator[tuple[Place, Item]]
    if kind == "parquet":
        from .parquet import parquet_records

        time = _time_column(source) if not of_spans else source.event_time or "end_time"
        rows = parquet_records(file, time=time, start=start, end=end)
    else:
        rows = json_records(file, max_bytes=source.max_record_bytes, torn=torn)
    if not of_spans:
        yield from rows
        return
    for place, row in rows:
        if isinstance(row, Refusal):
            yield place, row
        else:
            yield from ((place, span) for span in spans_in(row, source.signal))


def spans_in(row: Any, signal: str) -> Iterator[Span | Refusal]:
    """The spans or log records of a message of OTLP/JSON, or the one span that the row is."""
    try:
        if is_otlp(row):
            yield from logs_of(row) if signal == "logs" else spans_of(row)
        else:
            yield span_of_row(row)
    except Refusal as refusal:
        yield refusal

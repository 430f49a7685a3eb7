"""OTLP in protobuf: one message a file, or messages with their lengths before them, read a resource at a time.

Lengths are four bytes, the highest first, as the collector's file exporter writes them, or a varint, as protobuf's own
`writeDelimitedTo` does. A message is the field 1 again and again (its resources), so that even a file that is one
message need not be held in memory.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from evalharness.core.errors import MissingExtraError, Place, UsageError
from evalharness.core.types import Json
from evalharness.core.unpacked import open_bytes

from .refusal import Refusal, shown
from .span import Span, SpanEvent

__all__ = ["message_spans", "proto_spans"]

_RESOURCE: Final = 0x0A  # field 1, with a length
_ERROR_STATUS: Final = 2


def proto_spans(file: Path, *, signal: str, max_bytes: int) -> Iterator[tuple[Place, Span | Refusal]]:
    """The spans or log records of a file; the number of a place is the message's, from 1."""
    try:
        with open_bytes(file) as handle:
            framing = _framing(handle)
            handle.seek(0)
            if framing is None:
                value = "no messages of OTLP, nor lengths and messages"
                remedy = "write OTLP as protobuf (packed by gzip, or not at all) or as JSON"
                yield Place(str(file)), Refusal("not-otlp", "file", value, remedy)
                return
            for number, message in enumerate(framing(handle, max_bytes), start=1):
                place = Place(str(file), number)
                if isinstance(message, Refusal):
                    yield place, message
                else:
                    yield from ((place, span) for span in message_spans(message, signal=signal))
    except EOFError as error:
        yield Place(str(file)), Refusal("damaged-file", "file", shown(str(error)), "the file is cut; copy it again")
    except OSError as error:
        raise UsageError(f"source: {file} cannot be read: {error.strerror or error}") from error


def message_spans(message: bytes, *, signal: str) -> Iterator[Span | Refusal]:
    """The spans or log records of one export request in protobuf."""
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        raise MissingExtraError("opentelemetry-proto", "monitor", purpose="OTLP in protobuf") from error
    request: Any = ExportLogsServiceRequest() if signal == "logs" else ExportTraceServiceRequest()
    try:
        request.ParseFromString(message)
    except (DecodeError, RuntimeError):
        yield Refusal("not-otlp", "message", f"{len(message)} bytes", "write an export request of traces or logs")
        return
    for group in request.resource_logs if signal == "logs" else request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_logs if signal == "logs" else group.scope_spans:
            if signal == "logs":
                yield from (_log(record, resource) for record in scope.log_records)
            else:
                yield from (_span(span, resource) for span in scope.spans)


def _span(span: Any, resource: dict[str, Json]) -> Span:
    return Span(
        span_id=span.span_id.hex() or None,
        trace_id=span.trace_id.hex() or None,
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        resource=resource,
        events=tuple(SpanEvent(event.name, _attributes(event.attributes)) for event in span.events),
        failed=span.status.code == _ERROR_STATUS,
        nanos=True,
    )


def _log(record: Any, resource: dict[str, Json]) -> Span:
    attributes = _attributes(record.attributes)
    body = _value(record.body)
    named = getattr(record, "event_name", "") or attributes.get("event.name")
    when = record.time_unix_nano or record.observed_time_unix_nano
    return Span(
        span_id=record.span_id.hex() or None,
        trace_id=record.trace_id.hex() or None,
        name=named if isinstance(named, str) else "",
        start=None,
        end=when,
        attributes={**body, **attributes} if isinstance(body, dict) else attributes,
        resource=resource,
        observed=record.observed_time_unix_nano,
        nanos=True,
    )


def _attributes(pairs: Any) -> dict[str, Json]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Json:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    found: Json = getattr(value, kind)
    return found


_Framing = Callable[[IO[bytes], int], Iterator[bytes | Refusal]]


def _framing(handle: IO[bytes]) -> _Framing | None:
    """How a file is cut into messages. Each way is walked over the first lengths: only one of them fits."""
    head = handle.read(1)
    if not head:
        return _one_message
    handle.seek(0)
    if head[0] == _RESOURCE and _walks(handle, _tagged_size):
        return _one_message
    handle.seek(0)
    if _walks(handle, _fixed_size):
        return lambda handle, most: _pieces(handle, _fixed_size, most)
    handle.seek(0)
    if _walks(handle, _varint):
        return lambda handle, most: _pieces(handle, _varint, most)
    return None


def _walks(handle: IO[bytes], size_of: Callable[[IO[bytes]], int | None], steps: int = 64) -> bool:
    """Whether lengths lead from message to message to the end of the file, or over the first `steps` of them.

    What a length leads to must begin as a message does: with its first resource. Empty messages say nothing.
    """
    seen = False
    for _ in range(steps):
        try:
            size = size_of(handle)
        except EOFError:
            return False
        if size is None:
            return seen
        if size:
            first = handle.read(1)
            if not first or (size_of is not _tagged_size and first[0] != _RESOURCE):
                return False
            seen = True
            handle.seek(size - 1, 1)
    return seen


def _fixed_size(handle: IO[bytes]) -> int | None:
    head = handle.read(4)
    if not head:
        return None
    if len(head) < 4:
        raise EOFError("a length is cut")
    found: int = struct.unpack(">I", head)[0]
    return found


def _varint(handle: IO[bytes]) -> int | None:
    found = shift = 0
    while byte := handle.read(1):
        found |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return found
        shift += 7
        if shift > 35:
            break
    if not shift:
        return None
    raise EOFError("a length is cut, or none")


def _tagged_size(handle: IO[bytes]) -> int | None:
    tag = handle.read(1)
    if not tag:
        return None
    if tag[0] != _RESOURCE:
        raise EOFError("another field than a resource's")
    size = _varint(handle)
    if size is None:
        raise EOFError("a length is cut")
    return size


def _pieces(handle: IO[bytes], size_of: Callable[[IO[bytes]], int | None], most: int) -> Iterator[bytes | Refusal]:
    while (size := size_of(handle)) is not None:
        if size > most:
            yield Refusal("too-long", "message", f"{size:,} bytes", "raise `max_record_bytes` if that is a message")
            handle.seek(size, 1)
            continue
        data = handle.read(size)
        if len(data) < size:
            raise EOFError(f"a message of {size} bytes ends after {len(data)}")
        yield data


def _one_message(handle: IO[bytes], most: int) -> Iterator[bytes | Refusal]:
    for piece in _pieces(handle, _tagged_size, most):
        yield piece if isinstance(piece, Refusal) else bytes([_RESOURCE]) + _as_varint(len(piece)) + piece


def _as_varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(found) + bytes([number])

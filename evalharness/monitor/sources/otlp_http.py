"""Bodies of OTLP/HTTP: requests unpacked and read, answers and errors written, in JSON or protobuf as the client asked.

Source: the OTLP specification 1.x, OTLP/HTTP: an answer has the encoding of its request; a request of which only a part
was taken is answered 200 with `partial_success`, and must not be sent again; 400 carries a google.rpc.Status; what may
be sent again is answered 429, 502, 503 or 504.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Final, Literal

from evalharness.core.types import Json

from .refusal import Refusal
from .span import Span

__all__ = ["BadRequest", "Encoding", "answer_body", "encoding_of", "error_body", "request_spans", "unpacked"]

Encoding = Literal["application/json", "application/x-protobuf"]

_REJECTED: Final = {"traces": "rejectedSpans", "logs": "rejectedLogRecords"}


class BadRequest(Exception):
    """A request that is answered with an error: its HTTP status, and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def encoding_of(content_type: str) -> Encoding:
    """How a body is encoded, by its header.

    Raises:
        BadRequest: neither as JSON nor as protobuf.
    """
    if content_type == "application/json":
        return "application/json"
    if content_type in ("application/x-protobuf", "application/protobuf"):
        return "application/x-protobuf"
    raise BadRequest(415, f"Content-Type {content_type[:60]!r}: send application/json or application/x-protobuf")


def unpacked(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body without its compression; no more than `most` bytes are ever unpacked.

    Raises:
        BadRequest: an unknown compression, a damaged body, or too much.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadRequest(415, f"Content-Encoding {encoding[:40]!r}: send gzip, or no compression")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise BadRequest(400, f"the body is not gzip: {error}") from None
    if len(found) > most or unpacker.unconsumed_tail:
        raise BadRequest(413, f"the body is larger than {most:,} bytes when unpacked; send smaller batches")
    if not unpacker.eof:
        raise BadRequest(400, "the body is cut: gzip's end is missing")
    return found


def request_spans(body: bytes, encoding: Encoding, signal: str) -> Iterator[Span | Refusal]:
    """The spans or log records of a request.

    Raises:
        BadRequest: it is not one.
    """
    if encoding == "application/json":
        from .records import spans_in

        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(400, f"the body is not JSON: {str(error)[:100]}") from None
        if not isinstance(message, dict):
            raise BadRequest(400, "the body is no export request: it must be an object")
        key = "resourceSpans" if signal == "traces" else "resourceLogs"
        if message and not {key, key.replace("S", "_s").replace("L", "_l")} & message.keys():
            raise BadRequest(400, f"the body is no export request: it has no {key}")
        yield from spans_in(message, signal) if message else ()
        return
    from .otlp_proto import message_spans

    for item in message_spans(body, signal=signal):
        if isinstance(item, Refusal):
            raise BadRequest(400, "the body is no export request in protobuf")
        yield item


def answer_body(encoding: Encoding, signal: str, rejected: int, message: str) -> bytes:
    """The answer to a request that was taken, less `rejected` of its items."""
    if encoding == "application/json":
        # Integers of 64 bits are texts in protobuf's JSON.
        partial: Json = {_REJECTED[signal]: str(rejected), "errorMessage": message}
        return json.dumps({"partialSuccess": partial} if rejected else {}).encode()
    if not rejected:
        return b""
    # partial_success = 1 {rejected = 1, error_message = 2}, alike for traces and logs.
    inner = b"\x08" + _varint(rejected) + _text(2, message)
    return b"\x0a" + _varint(len(inner)) + inner


def error_body(encoding: Encoding, message: str, code: int = 3) -> bytes:
    """A google.rpc.Status; the code 3 is INVALID_ARGUMENT, 14 UNAVAILABLE."""
    if encoding == "application/json":
        return json.dumps({"code": code, "message": message}).encode()
    return b"\x08" + _varint(code) + _text(2, message)


def _text(field: int, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(found) + bytes([number])

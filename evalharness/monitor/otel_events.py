"""Scores as OpenTelemetry events `gen_ai.evaluation.result` (semantic conventions of generative AI, v1.41).

They go through the outbox, as messages of alerts do: put in by the interval's own transaction, sent later, and sent
again under the same ids where nobody knows whether they arrived (`evalharness.event.id`).
"""

from __future__ import annotations

import base64
import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from evalharness.core.canonical import digest
from evalharness.core.errors import MissingExtraError
from evalharness.suite.otel_entry import OtelEvents

from .outbox import enqueue

__all__ = ["EVENT", "EvaluationResult", "as_otlp", "as_protobuf", "enqueue_results", "logs_url"]

EVENT: Final = "gen_ai.evaluation.result"
_IN_ONE: Final = 500
_INFO: Final = 9


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """One score: of a response (`response_id`), or of an interval. A value that is not known (NaN) is left out.

    `trace_id` and `span_id` (hexadecimal) name the span of the response, where it is known.
    """

    name: str
    time: datetime
    value: float = float("nan")
    label: str = ""
    explanation: str = ""
    response_id: str = ""
    error: str = ""
    trace_id: str = ""
    span_id: str = ""


def enqueue_results(
    connection: Connection, monitor: str, target: OtelEvents, results: Sequence[EvaluationResult], now: datetime
) -> tuple[str, ...]:
    """Put `results` into the outbox, 500 to a message; returns the messages' keys.

    The same results of a monitor make the same keys, so they must be put in once: with the interval that has them.
    """
    keys = []
    service = target.service_name or monitor
    for start in range(0, len(results), _IN_ONE):
        part = results[start : start + _IN_ONE]
        key = digest(["otel", monitor, start, now.isoformat(), [list(map(str, _fields(one))) for one in part]])[:32]
        enqueue(
            connection,
            key=key,
            monitor=monitor,
            stream=digest(["otel", monitor, key])[:32],  # events have times of their own: no order between messages
            channel="otel",
            target=target.model_dump_json(),
            kind="evaluations",
            body=json.dumps(as_otlp(part, service=service, key=key), ensure_ascii=False, allow_nan=False),
            now=now,
        )
        keys.append(key)
    return tuple(keys)


def as_otlp(results: Sequence[EvaluationResult], *, service: str, key: str) -> dict[str, Any]:
    """An `ExportLogsServiceRequest` of OTLP in its JSON form."""
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": [_attribute("service.name", service)]},
                "scopeLogs": [
                    {
                        "scope": {"name": "evalharness"},
                        "logRecords": [_record(one, f"{key}-{i}") for i, one in enumerate(results)],
                    }
                ],
            }
        ]
    }


def as_protobuf(body: dict[str, Any]) -> bytes:
    """The same request in its binary form.

    Raises:
        MissingExtraError: if opentelemetry-proto is not installed.
    """
    try:
        from google.protobuf.json_format import ParseDict
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    except ModuleNotFoundError as error:
        raise MissingExtraError("opentelemetry-proto", "monitor", purpose="events in OTLP's binary form") from error
    body = copy.deepcopy(body)
    for record in _records(body):
        # OTLP's JSON writes ids in hexadecimal, where JSON of protobuf has base64.
        for name in ("traceId", "spanId"):
            if name in record:
                record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
    text: bytes = ParseDict(body, ExportLogsServiceRequest()).SerializeToString()
    return text


def logs_url(url: str) -> str:
    """Where logs are posted."""
    return url if url.rstrip("/").endswith("/v1/logs") else f"{url.rstrip('/')}/v1/logs"


def _records(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in body["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            yield from scope["logRecords"]


def _fields(result: EvaluationResult) -> tuple[object, ...]:
    return (result.name, result.time.isoformat(), result.value, result.label, result.response_id, result.span_id)


def _record(result: EvaluationResult, identity: str) -> dict[str, Any]:
    given = {
        "gen_ai.evaluation.name": result.name,
        "gen_ai.evaluation.score.value": result.value if math.isfinite(result.value) else None,
        "gen_ai.evaluation.score.label": result.label or None,
        "gen_ai.evaluation.explanation": result.explanation or None,
        "gen_ai.response.id": result.response_id or None,
        "error.type": result.error or None,
        "evalharness.event.id": identity,
    }
    nanos = str(int(result.time.timestamp()) * 10**9 + result.time.microsecond * 1000)
    record = {
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "eventName": EVENT,
        "severityNumber": _INFO,
        "attributes": [_attribute(name, value) for name, value in given.items() if value is not None],
    }
    if _is_id(result.trace_id, 32):
        record["traceId"] = result.trace_id.lower()
        if _is_id(result.span_id, 16):
            record["spanId"] = result.span_id.lower()
    return record


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and all(c in "0123456789abcdefABCDEF" for c in text)


def _attribute(name: str, value: str | float) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value} if isinstance(value, str) else {"doubleValue": value}}

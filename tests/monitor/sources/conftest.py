"""The same few answers, written as each of the formats and transports would."""

from __future__ import annotations

import gzip
import json
import sqlite3
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.monitor.sources import Reading, read
from evalharness.suite.source_entry import Source

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
END = START + timedelta(hours=1)


@dataclass(frozen=True)
class Fact:
    """What every format can say of an answer."""

    id: str
    at: datetime
    asked: str = "Where is my parcel?"
    said: str = "It is on its way."
    model: str = "support-7b"
    conversation: str = "c-1"
    input_tokens: int = 12
    output_tokens: int = 7
    latency_s: float = 1.5
    finish: str = "stop"


def facts_of(*minutes: float) -> list[Fact]:
    return [
        Fact(
            f"{n:016x}",
            START + timedelta(minutes=minute),
            asked=f"Question {n}?",
            said=f"Answer {n}.",
            conversation=f"c-{n // 2}",
        )
        for n, minute in enumerate(minutes, start=1)
    ]


def nanos(at: datetime) -> str:
    return str(int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000)


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_typed(item) for item in value]}}
    return {"kvlistValue": {"values": [{"key": key, "value": _typed(item)} for key, item in value.items()]}}


def otlp(spans: Iterable[dict[str, Any]], service: str = "shop") -> dict[str, Any]:
    """A message of OTLP/JSON as the collector writes it; each span is {spanId, start, end, attributes, …}."""
    made = []
    for span in spans:
        rest = {key: value for key, value in span.items() if key not in ("attributes", "events")}
        events = [
            {**event, "attributes": [{"key": k, "value": _typed(v)} for k, v in event.get("attributes", {}).items()]}
            for event in span.get("events", ())
        ]
        attributes = [{"key": key, "value": _typed(value)} for key, value in span["attributes"].items()]
        made.append(
            {"traceId": "ab" * 16, "name": "chat", "kind": 3, **rest, "attributes": attributes, "events": events}
        )
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "test"}, "spans": made}]}]}


def genai_span(fact: Fact) -> dict[str, Any]:
    return {
        "spanId": fact.id,
        "startTimeUnixNano": nanos(fact.at - timedelta(seconds=fact.latency_s)),
        "endTimeUnixNano": nanos(fact.at),
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "support",
            "gen_ai.response.model": fact.model,
            "gen_ai.conversation.id": fact.conversation,
            "gen_ai.response.finish_reasons": [fact.finish],
            "gen_ai.usage.input_tokens": fact.input_tokens,
            "gen_ai.usage.output_tokens": fact.output_tokens,
            "gen_ai.input.messages": json.dumps(
                [
                    {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
                    {"role": "user", "parts": [{"type": "text", "content": fact.asked}]},
                ]
            ),
            "gen_ai.output.messages": json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": fact.said}], "finish_reason": fact.finish}]
            ),
        },
    }


def inference_span(fact: Fact) -> dict[str, Any]:
    return genai_span(fact) | {
        "attributes": {
            "openinference.span.kind": "LLM",
            "llm.model_name": fact.model,
            "session.id": fact.conversation,
            "llm.finish_reason": fact.finish,
            "llm.token_count.prompt": fact.input_tokens,
            "llm.token_count.completion": fact.output_tokens,
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "Be kind.",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.content": fact.asked,
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": fact.said,
            "input.value": json.dumps({"messages": ["…"]}),
        }
    }


def row(fact: Fact) -> dict[str, Any]:
    return {
        "id": fact.id,
        "event_time": fact.at.isoformat(),
        "service": "shop",
        "model": fact.model,
        "conversation": fact.conversation,
        "input": fact.asked,
        "output": fact.said,
        "finish_reason": fact.finish,
        "latency_s": fact.latency_s,
        "input_tokens": fact.input_tokens,
        "output_tokens": fact.output_tokens,
    }


def openai_pair(fact: Fact) -> dict[str, Any]:
    return {
        "event_time": fact.at.isoformat(),
        "conversation": fact.conversation,
        "service": "shop",
        "latency_s": fact.latency_s,
        "request": {
            "model": "support",
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": fact.asked}],
        },
        "response": {
            "id": fact.id,
            "object": "chat.completion",
            "created": int(fact.at.timestamp()),
            "model": fact.model,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": fact.said}, "finish_reason": fact.finish}
            ],
            "usage": {"prompt_tokens": fact.input_tokens, "completion_tokens": fact.output_tokens, "total_tokens": 19},
        },
    }


def anthropic_pair(fact: Fact) -> dict[str, Any]:
    return {
        "event_time": fact.at.isoformat(),
        "conversation": fact.conversation,
        "service": "shop",
        "latency_s": fact.latency_s,
        "request": {"model": "support", "system": "Be kind.", "messages": [{"role": "user", "content": fact.asked}]},
        "response": {
            "id": fact.id,
            "type": "message",
            "role": "assistant",
            "model": fact.model,
            "content": [{"type": "text", "text": fact.said}],
            "stop_reason": fact.finish,
            "usage": {
                "input_tokens": fact.input_tokens - 4,
                "cache_read_input_tokens": 4,
                "output_tokens": fact.output_tokens,
            },
        },
    }


def lines(path: Path, objects: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in objects))
    return path


def protobuf(message: dict[str, Any]) -> bytes:
    """OTLP/JSON as protobuf, by protobuf's own reader of JSON (ids are base64 there, and hexadecimal in OTLP)."""
    import base64

    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    copy = json.loads(json.dumps(message))
    for group in copy["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                for key in ("spanId", "traceId"):
                    span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    return json_format.ParseDict(copy, ExportTraceServiceRequest()).SerializeToString()


def _sqlite(folder: Path, facts: list[Fact]) -> dict[str, Any]:
    file = folder / "log.sqlite3"
    file.unlink(missing_ok=True)
    connection = sqlite3.connect(file)
    columns = list(row(Fact("1", START)))
    connection.execute(f"CREATE TABLE answers ({', '.join(columns)})")
    connection.executemany(
        f"INSERT INTO answers VALUES ({', '.join('?' * len(columns))})",
        [tuple((row(fact) | {"event_time": f"{fact.at:%Y-%m-%d %H:%M:%S.%f}"}).values()) for fact in facts],
    )
    connection.commit()
    connection.close()
    query = "SELECT * FROM answers WHERE event_time >= :start AND event_time < :end ORDER BY rowid"
    return {"url": f"sqlite:///{file}", "query": query, "format": "sql", "timezone": "UTC"}


def _parquet(folder: Path, facts: list[Fact]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [row(fact) | {"event_time": fact.at} for fact in facts]
    path = folder / "log.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return path


def _delimited(folder: Path, facts: list[Fact], prefix: Callable[[int], bytes]) -> Path:
    path = folder / "log.pb"
    messages = [protobuf(otlp([genai_span(fact)])) for fact in facts]
    path.write_bytes(b"".join(prefix(len(message)) + message for message in messages))
    return path


def _varint(number: int) -> bytes:
    head = b""
    while number > 127:
        head += bytes([number & 127 | 128])
        number >>= 7
    return head + bytes([number])


def _gzipped(path: Path) -> Path:
    packed = path.with_suffix(path.suffix + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


def _one_message(folder: Path, facts: list[Fact]) -> Path:
    path = folder / "log.otlp"
    path.write_bytes(protobuf({"resourceSpans": [otlp([genai_span(fact)])["resourceSpans"][0] for fact in facts]}))
    return path


def _document(folder: Path, facts: list[Fact]) -> Path:
    path = folder / "trace.json"
    path.write_text(json.dumps(otlp(map(genai_span, facts)), indent=2))
    return path


WRITERS: dict[str, Callable[[Path, list[Fact]], dict[str, Any]]] = {
    "jsonl": lambda folder, facts: {"path": str(lines(folder / "log.jsonl", map(row, facts)))},
    "jsonl-gz": lambda folder, facts: {"path": str(_gzipped(lines(folder / "log.jsonl", map(row, facts))))},
    "parquet": lambda folder, facts: {"path": str(_parquet(folder, facts))},
    "duckdb": lambda folder, facts: {"path": str(_parquet(folder, facts)), "format": "duckdb"},
    "sql": _sqlite,
    "otlp-json-lines": lambda folder, facts: {
        "path": str(lines(folder / "traces.jsonl", (otlp([genai_span(fact)]) for fact in facts))),
        "format": "otel-genai",
    },
    "otlp-json-document": lambda folder, facts: {"path": str(_document(folder, facts)), "format": "otel-genai"},
    "otlp-collector": lambda folder, facts: {
        "path": str(_delimited(folder, facts, lambda size: struct.pack(">I", size))),
        "format": "otel-genai",
    },
    "otlp-delimited": lambda folder, facts: {"path": str(_delimited(folder, facts, _varint)), "format": "otel-genai"},
    "otlp-message": lambda folder, facts: {"path": str(_one_message(folder, facts)), "format": "otel-genai"},
    "otlp-message-gz": lambda folder, facts: {
        "path": str(_gzipped(_one_message(folder, facts))),
        "format": "otel-genai",
    },
    "openinference": lambda folder, facts: {
        "path": str(lines(folder / "traces.jsonl", (otlp([inference_span(fact)]) for fact in facts))),
        "format": "openinference",
    },
    "openai": lambda folder, facts: {
        "path": str(lines(folder / "log.jsonl", map(openai_pair, facts))),
        "format": "openai",
    },
    "anthropic": lambda folder, facts: {
        "path": str(lines(folder / "log.jsonl", map(anthropic_pair, facts))),
        "format": "anthropic",
    },
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Source]:
    """Writes facts in one of the formats; gives the source that reads them."""

    def made(facts: list[Fact], **options: Any) -> Source:
        return Source(**WRITERS[request.param](tmp_path, facts), **options)

    return made


@pytest.fixture
def reading() -> Callable[..., Reading]:
    """A reading of one hour that has come to its end, with `responses`, all that it gave."""

    def made(
        source: Source, *, start: datetime = START, end: datetime = END, base: Path = Path(), **options: Any
    ) -> Any:
        found = read(source, start, end, base=base, **options)
        found.responses = [response for batch in found.batches() for response in batch]  # type: ignore[attr-defined]
        return found

    return made


@pytest.fixture
def make() -> Any:
    """The helpers above, for tests that write files of their own."""
    from types import SimpleNamespace

    return SimpleNamespace(
        START=START, END=END, Fact=Fact, facts_of=facts_of, nanos=nanos, otlp=otlp, genai_span=genai_span,
        inference_span=inference_span, row=row, openai_pair=openai_pair, anthropic_pair=anthropic_pair, lines=lines,
        protobuf=protobuf,
    )  # fmt: skip

"""Scores as OpenTelemetry events: read back by OpenTelemetry's own definitions, sent as messages are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from evalharness.monitor.alerts import DeliveryError, deliver
from evalharness.monitor.channels import Channels
from evalharness.monitor.otel_events import EvaluationResult, as_otlp, as_protobuf, enqueue_results, logs_url
from evalharness.record import RunRegistry
from evalharness.record.database import writing
from evalharness.suite.otel_entry import OtelEvents

NOW = datetime(2026, 3, 1, 0, 0, 0, 123456, tzinfo=UTC)
RESULTS = [
    EvaluationResult(
        "summarise.rougeL", NOW, 0.5, "good", "close to the reference", "resp-1", trace_id="AB" * 16, span_id="cd" * 8
    ),
    EvaluationResult("error.rate", NOW, error="no_data", trace_id="not one"),
]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RunRegistry]:
    with RunRegistry.open(reports=tmp_path / "reports", environ={}, clock=lambda: NOW) as opened:
        yield opened


class Client:
    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []

    def send(self, method: str, url: str, *, body: bytes, headers: dict[str, str], **_: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise DeliveryError("503")
        self.sent.append((url, body, headers))


def test_the_binary_form_is_read_by_opentelemetry() -> None:
    pytest.importorskip("opentelemetry.proto")
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest.FromString(as_protobuf(as_otlp(RESULTS, service="bot", key="k")))
    [resource] = request.resource_logs
    assert resource.resource.attributes[0].value.string_value == "bot"
    one, other = resource.scope_logs[0].log_records
    assert one.event_name == "gen_ai.evaluation.result"
    assert one.time_unix_nano == 1772323200123456000
    assert (one.trace_id.hex(), one.span_id.hex()) == ("ab" * 16, "cd" * 8)
    said = {a.key: a.value.string_value or a.value.double_value for a in one.attributes}
    assert said == {
        "gen_ai.evaluation.name": "summarise.rougeL",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "good",
        "gen_ai.evaluation.explanation": "close to the reference",
        "gen_ai.response.id": "resp-1",
        "evalharness.event.id": "k-0",
    }
    assert {a.key for a in other.attributes} == {"gen_ai.evaluation.name", "error.type", "evalharness.event.id"}
    assert other.trace_id == b""


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_an_endpoint_gets_them_once_it_answers(registry: RunRegistry, form: str) -> None:
    target = OtelEvents(url="http://127.0.0.1:4318/", format=form, headers={"X-Key": "${env:KEY}"})  # type: ignore[arg-type]
    with writing(registry.engine) as connection:
        keys = enqueue_results(connection, "bot", target, RESULTS * 300, NOW)
    assert len(keys) == 2
    client = Client(failures=1)
    transport = Channels({"KEY": "secret"}, client=client)  # type: ignore[arg-type]
    first = deliver(registry, lambda: NOW, transport)
    assert (first.n_sent, first.n_failed) == (1, 1)
    assert deliver(registry, lambda: NOW.replace(hour=1), transport).n_sent == 1
    [url] = {url for url, _, _ in client.sent}
    assert url == "http://127.0.0.1:4318/v1/logs"
    assert client.sent[0][2]["X-Key"] == "secret"
    if form == "json":
        bodies = [json.loads(body) for _, body, _ in client.sent]
        records = [r for b in bodies for r in b["resourceLogs"][0]["scopeLogs"][0]["logRecords"]]
        assert len(records) == 600
        assert len({str(record["attributes"][-1]) for record in records}) == 600  # no id twice


def test_a_file_gets_a_line(registry: RunRegistry, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with writing(registry.engine) as connection:
        enqueue_results(connection, "bot", OtelEvents(path=str(path)), RESULTS, NOW)
    deliver(registry, lambda: NOW, Channels({}))
    [line] = path.read_text(encoding="utf-8").splitlines()
    key = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"][-1]["value"]["stringValue"]
    assert json.loads(line) == as_otlp(RESULTS, service="bot", key=key.removesuffix("-0"))


def test_a_file_that_cannot_be_written_waits(registry: RunRegistry, tmp_path: Path) -> None:
    with writing(registry.engine) as connection:
        enqueue_results(connection, "bot", OtelEvents(path=str(tmp_path / "no" / "f")), RESULTS, NOW)
    assert deliver(registry, lambda: NOW, Channels({})).n_failed == 1


def test_where_logs_are_posted() -> None:
    assert logs_url("http://h:4318/v1/logs") == "http://h:4318/v1/logs"
    assert logs_url("http://h/otlp") == "http://h/otlp/v1/logs"


@pytest.mark.parametrize(
    "values", [{}, {"url": "http://h", "path": "p"}, {"url": "http://h", "headers": {"Authorization": "Bearer x"}}]
)
def test_one_target_and_no_secret(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OtelEvents(**values)

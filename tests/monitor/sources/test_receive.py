"""The receiver, over a real socket: what it answers, what it writes, and what is read back."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from evalharness.monitor.sources.receive import Receiver, serving
from evalharness.monitor.sources.spool import SpoolWriter
from evalharness.suite.source_entry import Source

JSON = {"Content-Type": "application/json"}
PROTO = {"Content-Type": "application/x-protobuf"}
NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


def exchange(
    folder: Path, *posts: tuple[str, bytes, dict[str, str]], spool: SpoolWriter | None = None, at_once: bool = False,
    token: str | None = None, max_bytes: int = 500_000, **options: Any,
) -> list[tuple[int, bytes, Any]]:  # fmt: skip
    """(status, body, headers) of each post, one after the other."""

    async def all_of() -> list[tuple[int, bytes, Any]]:
        source = Source(receive=str(folder), **{"format": "otel-genai", **options})
        listening = socket.create_server(("127.0.0.1", 0))
        with spool or SpoolWriter(folder, clock=lambda: NOW) as writer:
            receiver = Receiver(source, writer, clock=lambda: NOW, token=token, max_bytes=max_bytes)
            runner = await serving(receiver, listening)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            try:
                async with aiohttp.ClientSession() as client:

                    async def one(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, Any]:
                        async with client.post(url + path, data=body, headers=headers) as answer:
                            return answer.status, await answer.read(), answer.headers

                    if at_once:
                        return list(await asyncio.gather(*(one(*post) for post in posts)))
                    return [await one(*post) for post in posts]
            finally:
                await runner.cleanup()

    return asyncio.run(all_of())


def stored(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]


def test_what_is_received_is_read_back(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    facts = make.facts_of(5, 10, 15, 61)
    as_json = json.dumps(make.otlp([make.genai_span(facts[0])])).encode()
    posts = [
        ("/v1/traces", as_json, JSON),
        ("/v1/traces", make.protobuf(make.otlp([make.genai_span(facts[1])])), PROTO),
        (
            "/v1/traces",
            gzip.compress(make.protobuf(make.otlp(map(make.genai_span, facts[2:])))),
            PROTO | {"Content-Encoding": "gzip"},
        ),
        ("/v1/traces", as_json, JSON),  # sent again
    ]
    answers = exchange(tmp_path, *posts, content=True)
    assert [status for status, _, _ in answers] == [200] * 4
    assert [body for _, body, _ in answers] == [b"{}", b"", b"", b"{}"]
    assert [headers["Content-Type"] for _, _, headers in answers] == [
        "application/json", "application/x-protobuf", "application/x-protobuf", "application/json"
    ]  # fmt: skip
    found = reading(Source(receive=str(tmp_path), format="otel-genai", content=True))
    assert [response.id for response in found.responses] == [fact.id for fact in facts[:3]]
    assert [response.output for response in found.responses] == [fact.said for fact in facts[:3]]
    assert all(response.ingest_time == NOW for response in found.responses)
    assert (found.counts.duplicates, found.counts.outside, found.counts.late) == (1, 1, 0)
    # The same as the file would have said.
    direct = reading(
        Source(path=str(make.lines(tmp_path.parent / "direct.jsonl", [make.otlp(map(make.genai_span, facts))])),
               format="otel-genai", content=True)
    )  # fmt: skip
    assert direct.digest == found.digest


def test_texts_never_reach_the_disk_unless_asked_for(tmp_path: Path, make: Any) -> None:
    fact = make.Fact("a" * 16, NOW, asked="I am ann@corp.de", said="Hello ann@corp.de")
    post = ("/v1/traces", json.dumps(make.otlp([make.genai_span(fact)])).encode(), JSON)
    exchange(tmp_path / "off", post)
    (row,) = stored(tmp_path / "off")
    assert "ann" not in json.dumps(row)
    assert row["model"] == "support-7b"
    exchange(tmp_path / "on", post, content=True, redact=("email",))
    (row,) = stored(tmp_path / "on")
    assert (row["input"], row["output"]) == ("I am [email]", "Hello [email]")


def test_a_part_that_cannot_be_read_is_a_partial_success(tmp_path: Path, make: Any) -> None:
    good, bad = (make.genai_span(fact) for fact in make.facts_of(5, 10))
    bad["endTimeUnixNano"] = "0"
    other = make.genai_span(make.facts_of(5)[0]) | {"attributes": {"http.request.method": "GET"}}
    message = make.otlp([good, bad, other])
    as_json, as_proto = exchange(
        tmp_path, ("/v1/traces", json.dumps(message).encode(), JSON), ("/v1/traces", make.protobuf(message), PROTO)
    )
    assert as_json[0] == as_proto[0] == 200
    partial = json.loads(as_json[1])["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "no-time" in partial["errorMessage"]
    decoded = ExportTraceServiceResponse.FromString(as_proto[1])
    assert decoded.partial_success.rejected_spans == 1
    assert decoded.partial_success.error_message == partial["errorMessage"]
    assert len(stored(tmp_path)) == 2


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b'{"resourceMetrics": []}', JSON, 400),
        (b"\xff\xff\xff", PROTO, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", JSON | {"Content-Encoding": "br"}, 415),
        (b"nothing packed", JSON | {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}" * 400, mtime=0)[:-10], JSON | {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"0" * 10_000_000, mtime=0), JSON | {"Content-Encoding": "gzip"}, 413),
        (b"0" * 900_000, JSON, 413),
    ],
)
def test_a_bad_request_is_answered_and_nothing_is_written(
    tmp_path: Path, body: bytes, headers: dict[str, str], status: int
) -> None:
    ((found, answer, answered),) = exchange(tmp_path, ("/v1/traces", body, headers))
    assert found == status
    if answered["Content-Type"] == "application/json":
        assert json.loads(answer)["message"]
    else:
        assert answer[:2] == b"\x08\x03"  # Status.code = INVALID_ARGUMENT
    assert stored(tmp_path) == []


def test_an_empty_request_is_taken(tmp_path: Path) -> None:
    answers = exchange(tmp_path, ("/v1/traces", b"{}", JSON), ("/v1/traces", b"", PROTO), ("/v1/logs", b"{}", JSON))
    assert [status for status, _, _ in answers] == [200, 200, 200]


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    answers = exchange(
        tmp_path,
        ("/v1/traces", b"{}", JSON),
        ("/v1/traces", b"{}", JSON | {"Authorization": "Bearer wrong"}),
        ("/v1/traces", b"{}", JSON | {"Authorization": "Bearer right"}),
        token="right",
    )
    assert [status for status, _, _ in answers] == [401, 401, 200]


def test_a_full_disk_is_no_acknowledgement(tmp_path: Path, make: Any) -> None:
    class Full(SpoolWriter):
        full = True

        def append(self, lines: bytes) -> None:
            if self.full:
                Full.full = False
                raise OSError(28, "No space left on device")
            super().append(lines)

    post = ("/v1/traces", json.dumps(make.otlp([make.genai_span(make.facts_of(5)[0])])).encode(), JSON)
    first, second = exchange(tmp_path, post, post, spool=Full(tmp_path, clock=lambda: NOW))
    assert (first[0], second[0]) == (503, 200)
    assert first[2]["Retry-After"]
    assert len(stored(tmp_path)) == 1


def test_many_clients_at_once_lose_nothing(tmp_path: Path, make: Any) -> None:
    facts = make.facts_of(*[n / 10 for n in range(60)])
    posts = [("/v1/traces", make.protobuf(make.otlp([make.genai_span(fact)])), PROTO) for fact in facts]
    assert {status for status, _, _ in exchange(tmp_path, *posts, at_once=True)} == {200}
    assert sorted(row["id"] for row in stored(tmp_path)) == sorted(fact.id for fact in facts)


def test_log_records_of_whole_exchanges(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    (fact,) = make.facts_of(5)
    span = make.otlp([make.genai_span(fact)])["resourceSpans"][0]
    record = {
        "timeUnixNano": make.nanos(fact.at),
        "observedTimeUnixNano": make.nanos(fact.at),
        "eventName": "gen_ai.client.inference.operation.details",
        "spanId": fact.id,
        "attributes": span["scopeSpans"][0]["spans"][0]["attributes"],
    }
    noise = record | {"eventName": "app.started", "spanId": "b" * 16}
    body = {"resourceLogs": [{"resource": span["resource"], "scopeLogs": [{"logRecords": [noise, record]}]}]}
    post = ("/v1/logs", json.dumps(body).encode(), JSON)
    exchange(tmp_path / "logs", post, content=True, signal="logs")
    (row,) = stored(tmp_path / "logs")
    assert (row["id"], row["output"], row["service"]) == (fact.id, fact.said, "shop")
    exchange(tmp_path / "traces", post, content=True)
    assert stored(tmp_path / "traces") == []
    file = make.lines(tmp_path / "logs.jsonl", [body])
    found = reading(Source(path=str(file), format="otel-genai", signal="logs", content=True))
    assert [response.output for response in found.responses] == [fact.said]
    assert found.counts.other == 1


def test_files_are_closed_by_size_and_by_age(tmp_path: Path) -> None:
    now = NOW
    with SpoolWriter(tmp_path, clock=lambda: now, max_bytes=10, max_age_s=60) as spool:
        spool.append(b'{"id": 1}\n')
        now += timedelta(seconds=1)
        spool.append(b'{"id": 2}\n')  # the first is full
        now += timedelta(seconds=61)
        spool.append(b"{}\n")  # the second is full and old
        now += timedelta(seconds=59)
        spool.append(b"{}\n")
        now += timedelta(seconds=1)
        spool.append(b"{}\n")  # the third is old
    assert [file.read_text() for file in sorted(tmp_path.iterdir())] == [
        '{"id": 1}\n',
        '{"id": 2}\n',
        "{}\n{}\n",
        "{}\n",
    ]


def test_what_a_crash_cut_off_is_passed_over(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    one, two = map(make.row, make.facts_of(5, 10))
    (tmp_path / "responses-1.jsonl").write_text(json.dumps(one) + "\n" + json.dumps(two)[:40])
    found = reading(Source(receive=str(tmp_path), format="otel-genai"))
    assert (found.counts.kept, found.counts.quarantined) == (1, 0)
    # A log that another program writes is not known to be cut: that is said.
    assert reading(Source(path=str(tmp_path))).counts.quarantined == 1


def test_a_write_that_fails_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    spool = SpoolWriter(tmp_path, clock=lambda: NOW)
    spool.append(b"{}\n")

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input/output"):
            spool.append(b'{"id": "lost"}\n')
    spool.append(b'{"id": 2}\n')  # shorter: nothing of the other may stand after it
    spool.close()
    (file,) = tmp_path.iterdir()
    assert file.read_text() == '{}\n{"id": 2}\n'


def test_no_more_than_the_limit_is_ever_unpacked() -> None:
    import tracemalloc

    from evalharness.monitor.sources.otlp_http import BadRequest, unpacked

    bomb = gzip.compress(b"0" * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest):
            unpacked(bomb, "gzip", most=100_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert unpacked(gzip.compress(b"0" * 100_000), "gzip", most=100_000) == b"0" * 100_000

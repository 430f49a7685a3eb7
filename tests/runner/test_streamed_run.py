"""The time to the first token on its way: from a streamed answer to the figure, the record and the response store."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import evalharness

SUITE = """\
version: 1
name: streamed
models:
  api: {backend: BACKEND, model: x, base_url: "URL", stream: STREAM}
datasets:
  lines: {rows: [{id: a, q: one}, {id: b, q: two}, {id: c, q: three}]}
tasks:
  - id: copy
    dataset: lines
    prompt: "{{ q }}"
    reference: "hello"
    metrics: [exact_match, ttft_p50_s, ttft_p95_s]
gates:
  rules: [{metric: copy.ttft_p95_s, at_most: 60}]
"""
CHAT = [
    {"choices": [{"delta": {"content": "hel"}}]},
    {"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]},
]
MESSAGE = [
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        events = MESSAGE if self.path.endswith("/messages") else CHAT
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
        kind = "text/event-stream"
        if not asked.get("stream"):
            body, kind = (
                b'{"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}',
                "application/json",
            )
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _run(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, backend: str = "openai", stream: bool = True) -> Any:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-planted")
    text = SUITE.replace("URL", url).replace("BACKEND", backend).replace("STREAM", str(stream).lower())
    Path("suite.yaml").write_text(text, encoding="utf-8")
    return evalharness.run("suite.yaml")


def _figure(record: Any, metric: str) -> float:
    return float(next(r.value for r in record.results if r.metric == metric))


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_the_time_to_the_first_token_is_a_figure_and_survives_the_store(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    first = _run(tmp_path, url, monkeypatch, backend)
    assert _figure(first, "exact_match") == 1.0
    assert 0 < _figure(first, "ttft_p50_s") <= _figure(first, "ttft_p95_s") <= _figure(first, "latency_p95_s")
    times = [json.loads(meta)["ttft_s"] if isinstance(meta, str) else meta["ttft_s"] for meta in first.samples().meta]
    assert len(times) == 3
    again = _run(tmp_path, url, monkeypatch, backend)
    assert again.manifest.execution["n_asked"] == 0
    assert _figure(again, "ttft_p95_s") == _figure(first, "ttft_p95_s")


def test_answers_are_shared_by_streamed_and_whole_runs(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _run(tmp_path, url, monkeypatch, stream=False)
    assert math.isnan(_figure(whole, "ttft_p50_s"))
    streamed = _run(tmp_path, url, monkeypatch)
    assert streamed.manifest.execution["n_asked"] == 0

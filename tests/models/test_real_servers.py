"""Servers that others wrote, each in a process of its own: `transformers serve`, and the echo backend of llm-katan."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.served]

START_S = 120.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def running(command: list[str], *, port: int, folder: Path, **environment: str) -> Iterator[str]:
    """The address of the server that `command` starts, once it is healthy."""
    url, log = f"http://127.0.0.1:{port}", folder / f"server-{port}.log"
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HOME": str(folder), **environment}
    with (
        log.open("ab") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env=settings) as process,
    ):
        try:
            until = time.monotonic() + START_S
            while not _is_healthy(url):
                assert process.poll() is None, f"it ended:\n{log.read_text(errors='replace')}"
                assert time.monotonic() < until, f"it does not answer:\n{log.read_text(errors='replace')}"
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}: install the dev extra")


# ── llm-katan: both formats, injected faults ──────────────────────────────────────────────────────────────────────

KEY = "katan-planted-key"
ECHO = """\
version: 1
name: echoed
models:
  served: {{backend: {backend}, model: tiny, base_url: "{url}", api_key: "${{env:KATAN_KEY}}", stream: {stream},
           concurrency: 16, max_retries: {retries}}}
datasets:
  lines: {{path: lines.jsonl, id: id}}
tasks:
  - id: copy
    dataset: lines
    prompt: "{{{{ line }}}}"
    extract: "(?s)\\nUser: (.*)$"
    reference: "{{{{ line }}}}"
    metrics: [exact_match]
"""
N = 200


@pytest.fixture
def katan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`with katan(*options) as url`: the echo backend, which wants the key."""
    needs("llm_katan", "fastapi", "uvicorn")
    monkeypatch.setenv("KATAN_KEY", KEY)
    lines = (f'{{"id": "{i}", "line": "line {i}: Grüße, 北京 👍🏽"}}\n' for i in range(N))
    (tmp_path / "lines.jsonl").write_text("".join(lines), encoding="utf-8")

    @contextmanager
    def start(*options: str, port: int | None = None) -> Iterator[str]:
        port = port or free_port()
        command = [sys.executable, "-m", "llm_katan.cli", "--model", "tiny", "--backend", "echo", "--device", "cpu"]
        command += ["--providers", "openai,anthropic", "--validate-keys", "--api-keys", f"openai={KEY},anthropic={KEY}"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--disable-dashboard", "--max-concurrent", "64"]
        command += ["--stats-file", str(tmp_path / "stats.json"), "--log-level", "ERROR", *options]
        with running(command, port=port, folder=tmp_path) as url:
            yield url

    return start


def echo_suite(folder: Path, url: str, backend: str = "openai", *, stream: bool = False, retries: int = 12) -> Path:
    path = folder / "suite.yaml"
    base_url = f"{url}/v1" if backend == "openai" else url
    path.write_text(ECHO.format(url=base_url, backend=backend, stream=str(stream).lower(), retries=retries), "utf-8")
    return path


def n_answered(url: str) -> int:
    """How many requests the server says that it answered."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        found = re.search(r"^llm_katan_requests_total\{.*\} (\d+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found.group(1))


def assert_all_answered_once(record: Any, n: int = N) -> None:
    rows = list(record.iter_samples())
    assert Counter(row.sample.id for row in rows) == Counter(str(i) for i in range(n))
    assert {row.response.status for row in rows} == {"ok"}
    (figure,) = [result for result in record.results if result.metric == "exact_match"]
    assert (figure.value, figure.n) == (1.0, n)


@pytest.mark.parametrize(
    ("backend", "stream"), [("openai", False), ("openai", True), ("anthropic", False), ("anthropic", True)]
)
def test_a_server_that_fails_at_a_fifth_of_the_requests(
    katan: Callable[..., Any], tmp_path: Path, backend: str, stream: bool
) -> None:
    with katan("--error-rate", "0.2") as url:
        record = evalharness.run(echo_suite(tmp_path, url, backend, stream=stream), reports=tmp_path / "reports")
        assert n_answered(url) == N
    assert_all_answered_once(record)
    execution = record.manifest.execution
    assert (execution["n_asked"], execution["n_failed"]) == (N, 0)
    # 0.25 for each request are expected.
    assert N * 0.1 < execution["n_retries"] < N * 0.5
    assert execution["n_retries"] == sum(row.response.n_retries for row in record.iter_samples())
    tokens = [(row.response.input_tokens, row.response.output_tokens) for row in record.iter_samples()]
    assert all(read and written for read, written in tokens)


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_a_server_that_takes_only_three_at_once(katan: Callable[..., Any], tmp_path: Path, backend: str) -> None:
    with katan("--max-inflight", "3", "--latency-ms", "10") as url:
        record = evalharness.run(echo_suite(tmp_path, url, backend), reports=tmp_path / "reports")
        assert n_answered(url) == N
    assert_all_answered_once(record)
    assert record.manifest.execution["n_retries"] > 0


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_a_rate_limit_that_is_used_up_stops_the_run_and_the_same_command_continues_it(
    katan: Callable[..., Any], tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    suite = echo_suite(tmp_path, f"http://127.0.0.1:{port}", backend, retries=1)
    command = ["run", str(suite), "--reports", str(tmp_path / "reports")]
    with katan("--rate-limit-after", "50", port=port) as url:
        assert main(command) == 3
        assert n_answered(url) == 50
    said = " ".join(capsys.readouterr().err.split())
    assert "is down: 10 requests in a row got no answer; the last one: HTTP 429" in said
    assert f"50 of {N} requests are answered and kept; run the same command again to ask only the rest" in said
    assert KEY not in said
    with katan(port=port) as url:
        record = evalharness.run(suite, reports=tmp_path / "reports")
        assert n_answered(url) == N - 50
    assert_all_answered_once(record)
    assert record.manifest.execution["n_from_store"] == 50


def test_a_wrong_key_is_said_and_not_shown(
    katan: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KATAN_KEY", "another-planted-key")
    with katan() as url:
        # The server repeats the key that it got in its answer.
        assert main(["validate", str(echo_suite(tmp_path, url)), "--live"]) == 2
    said = capsys.readouterr().err
    assert "HTTP 401" in said
    assert "check the value of the environment variable KATAN_KEY" in said
    assert "another-planted-key" not in said


# ── transformers serve ────────────────────────────────────────────────────────────────────────────────────────────

PROMPTS = ["The capital of France is", "naïve café 北京 🙂", "Question: numbers 12345 Answer:", "A film that is"]
SERVED = """\
version: 1
name: served
models:
  ours: {{backend: hf-causal, path: "{path}", device: cpu, dtype: float32}}
  whole: {{backend: openai, api: {api}, model: "{path}", base_url: "{url}/v1", concurrency: 2}}
  stream: {{backend: openai, api: {api}, model: "{path}", base_url: "{url}/v1", concurrency: 2, stream: true}}
datasets:
  lines: {{rows: [{rows}]}}
tasks:
  - id: {task}
    dataset: lines
    {question}
    generate: {{max_tokens: 12}}
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama with a chat template."""
    pytest.importorskip("torch", reason="needs the hf extra")
    path = Path(__file__).parent / "huggingface" / "conftest.py"
    spec = importlib.util.spec_from_file_location("hf_test_models", path)
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    folder = tmp_path_factory.mktemp("served") / "tiny-llama"
    maker.make_model("llama", "causal").save_pretrained(folder)
    maker.make_tokenizer("plain", template=maker.TEMPLATE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def transformers_server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    needs("fastapi", "uvicorn", "openai")
    port = free_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(checkpoint), "--device", "cpu"]
    command += ["--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port=port, folder=tmp_path_factory.mktemp("transformers-serve")) as url:
        yield url


def served_suite(folder: Path, url: str, checkpoint: Path, *, api: str, question: str, more: str = "") -> Path:
    path = folder / "suite.yaml"
    rows = ", ".join(f'{{q: "{prompt}"}}' for prompt in PROMPTS)
    text = SERVED.format(path=checkpoint, url=url, api=api, rows=rows, task="write", question=question)
    path.write_text(text + more, encoding="utf-8")
    return path


@pytest.mark.model
@pytest.mark.parametrize(
    ("api", "question"),
    [
        ("completions", 'prompt: "{{ q }}"'),
        ("chat", 'messages: [{role: system, content: Be brief.}, {role: user, content: "{{ q }}"}]'),
    ],
)
def test_transformers_serve_writes_what_our_own_backend_writes(
    transformers_server: str, checkpoint: Path, tmp_path: Path, api: str, question: str
) -> None:
    suite = served_suite(tmp_path, transformers_server, checkpoint, api=api, question=question)
    record = evalharness.run(suite, reports=tmp_path / "reports")
    found: dict[str, dict[str, Any]] = {}
    for row in record.iter_samples():
        found.setdefault(row.request.model, {})[row.sample.id] = row.response
    assert len(found["ours"]) == len(PROMPTS)
    assert all(response.text for response in found["ours"].values())
    for name in ("whole", "stream"):
        for sample_id, ours in found["ours"].items():
            theirs = found[name][sample_id]
            assert (theirs.status, theirs.text) == (ours.status, ours.text), theirs.error
            assert (theirs.input_tokens, theirs.output_tokens) == (ours.input_tokens, ours.output_tokens)


@pytest.mark.model
def test_validate_says_what_transformers_serve_ignores(
    transformers_server: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choices = """\
  - id: pick
    dataset: lines
    model: [whole]
    prompt: "{{ q }}"
    choices: [" Paris", " Berlin"]
    target: "0"
"""
    suite = served_suite(
        tmp_path, transformers_server, checkpoint, api="completions", question='prompt: "{{ q }}"', more=choices
    )
    assert main(["validate", str(suite), "--live"]) == 2
    captured = capsys.readouterr()
    assert "whole (loglikelihood): does not work" in captured.out
    assert "models.whole: loglikelihood: the server does not repeat the prompt: it ignores `echo`" in captured.err
    assert "whole (generate): " in captured.out
    assert "stream (generate): " in captured.out
    schema = "    generate: {max_tokens: 12, json_schema: {type: object}}\n"
    question = 'model: [whole]\n    messages: [{role: user, content: "{{ q }}"}]\n' + schema
    suite = served_suite(tmp_path, transformers_server, checkpoint, api="chat", question=question)
    suite.write_text(suite.read_text("utf-8").replace("    generate: {max_tokens: 12}\n", ""), "utf-8")
    assert main(["validate", str(suite), "--live"]) == 2
    assert "models.whole: generate: the server ignores `json_schema`" in capsys.readouterr().err


@pytest.mark.model
def test_the_client_of_openai_reads_what_we_serve(checkpoint: Path, tmp_path: Path) -> None:
    """Whole and as a stream: the same text, the same counts."""
    needs("openai")
    port = free_port()
    command = [sys.executable, "-m", "evalharness", "serve", str(checkpoint), "--device", "cpu", "--port", str(port)]
    script = """
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
asked = dict(model="tiny-llama", messages=[{"role": "user", "content": "The capital"}], max_tokens=8, temperature=0)
whole = client.chat.completions.create(**asked)
chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert text == whole.choices[0].message.content, (text, whole)
assert chunks[-1].usage == whole.usage, (chunks[-1], whole.usage)
assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
one = client.completions.create(model="tiny-llama", prompt="The", max_tokens=8, temperature=0)
parts = list(client.completions.create(model="tiny-llama", prompt="The", max_tokens=8, temperature=0, stream=True))
assert "".join(p.choices[0].text for p in parts) == one.choices[0].text
"""
    here = str(Path(evalharness.__file__).parents[1])
    with running(command, port=port, folder=tmp_path, EVALHARNESS_CACHE=str(tmp_path), PYTHONPATH=here) as url:
        done = subprocess.run([sys.executable, "-c", script, f"{url}/v1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

"""A judge behind an OpenAI-compatible server: structured output, retries, fingerprints, cost; and the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.cli.main import main

SUITE = """\
version: 1
name: served
models:
  candidate: {{backend: fake, reply: "{{{{ prompt }}}}"}}
  judge:
    backend: openai
    model: judge-latest
    base_url: {url}
    price: {{input: 1.0, output: 2.0}}
    {more}
datasets: {{d: {{rows: [{{id: a, q: one}}, {{id: b, q: two}}, {{id: c, q: three}}]}}}}
tasks:
  - id: ask
    dataset: d
    prompt: "{{{{ q }}}}"
    metrics: [{{llm_judge: {{as: f, model: judge, rubric: r{options}}}}}]
"""


class Judge:
    """A server and what it was asked; `script` are the states of its first replies."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.script: list[int] = []
        self.fingerprint = "fp_1"
        self.reply = '{"reason": "fine", "score": 4}'
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                judge.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                status = judge.script.pop(0) if judge.script else 200
                body = {
                    "model": "judge-2026",
                    "system_fingerprint": judge.fingerprint,
                    "choices": [{"message": {"content": judge.reply}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
                }
                data = json.dumps(body).encode() if status == 200 else b"{}"
                self.send_response(status)
                self.send_header("retry-after", "0")
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    monkeypatch.chdir(tmp_path)
    found = Judge()
    yield found
    found.server.shutdown()
    found.server.server_close()


def write(judge: Judge, *, options: str = "", more: str = "max_retries: 1") -> str:
    Path("suite.yaml").write_text(SUITE.format(url=judge.url, options=options, more=more), "utf-8")
    return "suite.yaml"


def value(record: Any, name: str) -> Any:
    return next(r for r in record.results if r.metric == name)


def test_the_judge_is_held_to_a_schema_and_its_cost_stands_apart(judge: Judge) -> None:
    record = evalharness.run(write(judge))
    assert value(record, "f").value == 4.0
    body = judge.bodies[0]
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["max_tokens"]) == (0.0, 1024)
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["score"] == {"type": "integer", "enum": [1, 2, 3, 4, 5]}
    usage = record.manifest.execution["usage"]["models"]
    assert usage["judge"]["cost_usd"] == pytest.approx(3 * (100 + 20) / 1e6)
    assert usage["candidate"]["cost_usd"] is None
    assert value(record, "cost_usd").n == 0 or value(record, "cost_usd").value != value(record, "cost_usd").value
    assert any("the judge 'judge' is not pinned" in note for note in record.manifest.notes)
    assert record.manifest.execution["returned"]["judge"][0]["system_fingerprint"] == "fp_1"


def test_a_server_that_knows_no_schema_is_asked_without(judge: Judge) -> None:
    evalharness.run(write(judge, options=", structured: false"))
    assert all("response_format" not in body for body in judge.bodies)


def test_the_settings_of_the_judge_win_but_for_the_schema(judge: Judge) -> None:
    generate = "generate: {temperature: 0.5, max_tokens: 50, seed: 7, repeats: 9, json_schema: {type: object}}"
    evalharness.run(write(judge, more=generate, options=", repeats: 2"))
    assert len(judge.bodies) == 6
    assert {body["seed"] for body in judge.bodies} == {7, 8}
    assert {(body["temperature"], body["max_tokens"]) for body in judge.bodies} == {(0.5, 50)}
    assert "score" in judge.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]


def test_a_completions_server_gets_one_text(judge: Judge) -> None:
    evalharness.run(write(judge, more="api: completions"), overrides=["execution.on_error=exclude"])
    assert judge.bodies[0]["prompt"].startswith("You judge a text by a rubric.")
    assert judge.bodies[0]["prompt"].endswith("The JSON object:\n")


def test_a_changed_fingerprint_of_the_judge_is_disclosed(judge: Judge) -> None:
    evalharness.run(write(judge), limit=2)
    judge.fingerprint = "fp_2"
    record = evalharness.run("suite.yaml")
    (note,) = (note for note in record.manifest.notes if "changed within this run" in note)
    assert "what answers as model 'judge'" in note
    assert "fp_1" in note
    assert "fp_2" in note


def test_a_judge_that_fails_is_asked_again_by_the_next_run_alone(
    judge: Judge, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(judge, more="max_retries: 0")
    judge.script = [500]
    assert main(["run", path, "--quiet"]) == 3
    captured = capsys.readouterr()
    assert "1 requests got no usable answer and 1 answers got no usable verdict" in captured.err
    assert "ask on candidate: 1 failed" in captured.err
    assert "f, judged by judge: the judge could not be asked" in captured.err
    assert len(judge.bodies) == 3
    assert main(["run", path, "--quiet"]) == 0
    assert len(judge.bodies) == 4


def test_validate_shows_what_a_judge_reads_and_live_asks_it(judge: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(judge)
    assert main(["validate", path]) == 0
    out = capsys.readouterr().out
    assert "note: the judge 'judge' is not pinned" in out
    assert "3 requests in all, and up to 3 to judges" in out
    assert "ask.f judged by judge: 1 verdict an answer" in out
    assert "<<<begin" in out
    assert judge.bodies == []
    assert main(["validate", path, "--live"]) == 0
    assert "judge (generate): " in capsys.readouterr().out
    (body,) = judge.bodies
    assert body["max_tokens"] == 16
    assert "response_format" in body
    judge.script = [400]
    assert main(["validate", path, "--live"]) == 2
    assert "models.judge: generate:" in capsys.readouterr().err


def test_plan_and_dry_run_know_the_judge(judge: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(judge)
    for arguments in (["plan", path], ["run", path, "--dry-run"]):
        assert main(arguments) == 0
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("ask.f"))
        assert line.split()[1:5] == ["judge", "3", "0", "3"]
        assert "$" in line
    assert judge.bodies == []
    assert main(["plan", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["work"][1]["task"] == "ask.f"


def test_a_budget_needs_the_price_of_the_judge(judge: Judge, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(judge)
    text = Path(path).read_text("utf-8").replace("    price: {input: 1.0, output: 2.0}\n", "")
    Path(path).write_text(text + "execution: {budget_usd: 1}\n", "utf-8")
    assert main(["validate", path]) == 2
    assert "that of 'judge-latest' is not known" in capsys.readouterr().err

"""`validate`: levels, what it shows, and how fast it is."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evalharness.cli.main import main

SUITE = """\
version: 1
name: demo
models:
  m: {backend: fake, reply: "echo {{ prompt }}"}
datasets:
  d: {path: d.jsonl, groups: [lang]}
tasks:
  - {id: ask, dataset: d, prompt: "Q: {{ q }}\\nA:", reference: "{{ a }}", metrics: [bleu]}
  - id: talk
    dataset: d
    messages: [{role: system, content: Be brief.}, {role: user, content: "{{ q }}"}]
  - {id: pick, dataset: d, prompt: "{{ q }}", choices: ["no", "yes"], target: "{{ l }}", metrics: [f1_binary]}
"""
ROWS = [{"q": "one", "a": "x", "l": 1, "lang": "de"}, {"q": "two", "a": "y", "l": 0, "lang": "en"}]


class Result:
    """What one call of `evalharness validate` gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def run(text: str, *more: str) -> Result:
        (tmp_path / "suite.yaml").write_text(text, "utf-8")
        code = main(["validate", str(tmp_path / "suite.yaml"), *more])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def test_a_good_suite_reaches_data_and_shows_a_sample_of_each_task(validate: Callable[..., Result]) -> None:
    result = validate(SUITE)
    assert (result.code, result.err) == (0, "")
    lines = [line.rstrip() for line in result.out.splitlines()]
    assert lines[0] == "✓ syntax      demo: 1 model, 1 dataset, 3 tasks"
    assert lines[1].startswith("✓ references")
    assert lines[2] == "✓ data        d 2 rows; 6 requests in all"
    assert lines[-1] == "level reached: data (--live asks each model once)"
    for shown in (
        "ask on m: generate, 2 samples",
        "| Q: one",
        "| A:",
        "reference: x",
        "[system]",
        "| Be brief.",
        "-> choice: yes",
    ):
        assert any(shown in line for line in lines), shown


@pytest.mark.parametrize(
    ("old", "new", "more", "reached", "says"),
    [
        ("name: demo", "nam: demo", (), "none", "did you mean 'name'"),
        ("[bleu]", "[blue]", (), "syntax", "did you mean 'bleu'"),
        ("path: d.jsonl", "path: e.jsonl", (), "references", "e.jsonl"),
        ("{{ a }}", "{{ b }}", (), "references", "there is no field 'b'"),
        ("{{ l }}", "{{ q }}", (), "references", "none of the choices"),
        (
            'reference: "{{ a }}"',
            'reference: "{{ a }}", few_shot: {dataset: d, n: 2}',
            (),
            "references",
            "suite.yaml:8:5 ",
        ),
        ("[f1_binary]", "[{f1_binary: {positive: maybe}}]", (), "references", "maybe"),
    ],
)
def test_it_says_how_far_it_came(
    old: str, new: str, more: tuple[str, ...], reached: str, says: str, validate: Callable[..., Result]
) -> None:
    result = validate(SUITE.replace(old, new), *more)
    assert result.code == 2
    assert f"level reached: {reached}\n" in result.out
    assert says in result.err
    assert "✗" in result.out


@pytest.mark.parametrize(("level", "lines"), [("syntax", 2), ("references", 3)])
def test_it_stops_where_it_is_told(level: str, lines: int, validate: Callable[..., Result]) -> None:
    result = validate(SUITE.replace("path: d.jsonl", "path: e.jsonl"), "--level", level)
    assert result.code == 0
    assert len(result.out.splitlines()) == lines
    assert result.out.endswith(f"level reached: {level}\n")


def test_all_rows_are_rendered_not_just_the_one_that_is_shown(validate: Callable[..., Result], tmp_path: Path) -> None:
    with (tmp_path / "d.jsonl").open("a") as handle:
        handle.write('{"q": "three", "l": 0, "lang": "de"}\n')
    result = validate(SUITE)
    assert result.code == 2
    assert "d.jsonl:3" in result.err


def test_live_asks_each_model_once_for_each_kind(validate: Callable[..., Result]) -> None:
    result = validate(SUITE, "--live")
    assert result.code == 0
    assert "m (generate): echo Q: one\\nA:" in result.out
    assert "m (loglikelihood): log-likelihood -" in result.out
    assert result.out.endswith("✓ models      1 model answered\nlevel reached: models\n")


def test_live_asks_what_an_explanation_asks_of_its_model(validate: Callable[..., Result]) -> None:
    text = """
version: 1
name: s
models: {m: {backend: fake, reply: "x"}}
datasets: {d: {rows: [{q: one, a: x}]}}
tasks:
  - {id: sort, dataset: d, model: m, classify: "{{ q }}"}
  - {id: ask, dataset: d, prompt: "{{ q }}", reference: "{{ a }}"}
"""
    for of, kind in (("sort", "classify"), ("ask", "loglikelihood")):
        result = validate(f"{text}  - {{id: why, explain: shap, of: {of}}}\n", "--live")
        assert result.code == 0, result.err
        assert f"m ({kind}): " in result.out
        assert "(study)" not in result.out


def test_a_server_is_told_how_it_may_classify(validate: Callable[..., Result]) -> None:
    text = """
version: 1
name: s
models: {m: {backend: http, url: "http://127.0.0.1:9/score", response: scores}}
datasets: {d: {rows: [{q: one}]}}
tasks: [{id: sort, dataset: d, classify: "{{ q }}"}]
"""
    assert "set `kind: classify` for it if its endpoint answers with labels" in validate(text).err
    text = text.replace("response:", "kind: classify, response:")
    assert validate(text, "--level", "references").code == 0
    assert "a stream has pieces" in validate(text.replace("response:", "stream: true, response:")).err


def test_live_reports_a_model_that_cannot_be_reached(
    validate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_KEY", "very-secret-value")
    text = SUITE.replace(
        '{backend: fake, reply: "echo {{ prompt }}"}',
        '{backend: http, url: "http://127.0.0.1:9/ask?key=${env:DEMO_KEY}", max_retries: 0, timeout_s: 5}',
    ).split("  - {id: pick")[0]
    result = validate(text, "--live")
    assert result.code == 2
    assert "level reached: data" in result.out
    assert "models.m: " in result.err
    assert "very-secret-value" not in result.err + result.out


class Server:
    """Takes `echo`, `logprobs` and `response_format` and ignores them; keeps what it was sent."""

    said = "fine"

    def __init__(self) -> None:
        bodies = self.bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                choice = {"text": " fine", "message": {"content": Server.said}, "finish_reason": "stop"}
                body = json.dumps({"choices": [choice]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def deaf() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_live_finds_a_server_that_ignores_echo_for_a_few_tokens(validate: Callable[..., Result], deaf: Server) -> None:
    model = f'{{backend: openai, api: completions, model: x, base_url: "{deaf.url}"}}'
    text = SUITE.replace('{backend: fake, reply: "echo {{ prompt }}"}', model)
    text = (
        text.replace("  - id: talk\n", "  - id: talk\n    model: other\n")
        .replace("datasets:", "  other: {backend: fake}\ndatasets:", 1)
        .replace("id: ask,", "id: ask, model: m,")
        .replace("id: pick,", "id: pick, model: m,")
    )
    result = validate(text, "--live")
    assert result.code == 2
    assert "    servers are asked 2 short questions, for 16 tokens at most each\n" in result.out
    assert "    m (generate):  fine\n" in result.out
    assert "    m (loglikelihood): does not work, see below\n" in result.out
    assert "    other (generate): " in result.out
    assert "models.m: loglikelihood: the server does not repeat the prompt: it ignores `echo`" in result.err
    assert "level reached: data" in result.out
    assert [body["max_tokens"] for body in deaf.bodies] == [16, 0]


@pytest.mark.parametrize(
    ("kind", "said", "ignored"),
    [
        ("object", "Here it is: {}", True),
        ("object", "[1]", True),
        ("object", ' {"a', False),
        ("array", "[1", False),
        ("number", "fine", False),  # begins as `false` does: more cannot be told from so little
        ("number", "It is 3", True),
    ],
)
def test_live_finds_a_server_that_ignores_a_schema(
    validate: Callable[..., Result], deaf: Server, monkeypatch: pytest.MonkeyPatch, kind: str, said: str, ignored: bool
) -> None:
    monkeypatch.setattr(Server, "said", said)
    text = f"""\
version: 1
name: demo
models:
  m: {{backend: openai, model: x, base_url: "{deaf.url}"}}
datasets:
  d: {{path: d.jsonl}}
tasks:
  - {{id: ask, dataset: d, prompt: "{{{{ q }}}}", generate: {{json_schema: {{type: {kind}}}}}}}
"""
    result = validate(text, "--live")
    assert result.code == (2 if ignored else 0)
    assert ("models.m: generate: the server ignores `json_schema`: its answer is no JSON but" in result.err) == ignored
    assert deaf.bodies[0]["response_format"]["type"] == "json_schema"


def test_live_refuses_code_unless_it_is_allowed(validate: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "answering_for_validate.py").write_text("def answer(prompt):\n    return 'fine'\n")
    text = SUITE.replace(
        '{backend: fake, reply: "echo {{ prompt }}"}', '{backend: python, function: "answering_for_validate:answer"}'
    ).split("  - {id: pick")[0]
    refused = validate(text, "--live")
    assert refused.code == 2
    assert "--allow-code" in refused.err
    assert "m (generate): fine" in validate(text, "--live", "--allow-code").out


def test_control_characters_of_the_data_do_not_reach_the_terminal(
    validate: Callable[..., Result], tmp_path: Path
) -> None:
    row = {"q": "\x1b[31mred", "a": "x\x1b[0m", "l": 1, "lang": "de"}
    (tmp_path / "d.jsonl").write_text(json.dumps(row))
    assert "\x1b" not in validate(SUITE).out


def test_a_terminal_without_unicode_is_served(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({**row, "q": "Größe"}) + "\n" for row in ROWS))
    (tmp_path / "suite.yaml").write_text(SUITE)
    found = subprocess.run(
        [sys.executable, "-m", "evalharness", "validate", "suite.yaml"],
        cwd=tmp_path,
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert b"ok syntax" in found.stdout
    assert b"Gr\\xf6\\xdfe" in found.stdout


def test_it_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "suite.yaml").write_text(SUITE)
    code = (
        "import sys; from evalharness.cli.main import main; code = main(['validate', 'suite.yaml']); "
        "heavy = {'torch', 'transformers', 'pandas', 'aiohttp', 'rich', 'scipy', 'sklearn', 'sqlalchemy', 'pyarrow'}; "
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "0 []"


def test_what_a_metric_needs_and_does_not_find_is_said_with_the_remedy(
    validate: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sacrebleu.tokenizers import tokenizer_spm

    monkeypatch.setattr(tokenizer_spm, "SACREBLEU_DIR", str(tmp_path))
    result = validate(
        SUITE.replace("metrics: [bleu]", "metrics: [{meteor: {wordnet: nowhere}}, {bleu: {tokenize: flores200}}]")
    )
    assert result.code == 2
    assert "level reached: syntax" in result.out
    assert "suite.yaml:8:" in result.err
    assert (
        f"tasks[0].metrics[0].meteor.wordnet: no WordNet in {tmp_path / 'nowhere'}: it needs the database files"
        in result.err
    )
    assert (
        "tasks[0].metrics[1].bleu.tokenize: bleu with tokenize: flores200 needs sacrebleu's sentencepiece model"
        in result.err
    )
    assert validate(SUITE.replace("metrics: [bleu]", "metrics: [{meteor: {match: stem}}, chrf++]")).code == 0


def test_a_rule_cannot_compare_what_is_of_all_answers_together(validate: Callable[..., Result]) -> None:
    rules = "gates:\n  baseline: demo@production\n  rules:\n    - {metric: ask.variety, %s}\n"
    suite = SUITE.replace("metrics: [bleu]", "metrics: [bleu, {distinct_n: {as: variety}}]")
    result = validate(suite + rules % "max_regression: 0.1")
    assert result.code == 2
    assert "gates.rules[0].max_regression: the figure 'variety' is one of all answers together" in result.err
    assert "use at_least or at_most" in result.err
    assert validate(suite + rules % "at_least: 0.1").code == 0

"""`evalharness run` as a user types it: exit codes, files, messages, interruption."""

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from evalharness.cli.main import main

SUITE = """\
version: 1
name: demo
models:
  echo: {backend: fake, reply: "{{ prompt }}"}
datasets:
  lines:
    rows:
      - {q: "one", a: "one"}
      - {q: "two", a: "two"}
      - {q: "three", a: "three"}
      - {q: "four", a: "4"}
tasks:
  - {id: copy, dataset: lines, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


def suite(text):
    Path("suite.yaml").write_text(SUITE + text, encoding="utf-8")
    return "suite.yaml"


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        ("", 0),
        ("gates: {decide_on: point, rules: [{metric: copy.exact_match, at_least: 0.75}]}\n", 0),
        ("gates: {decide_on: point, rules: [{metric: copy.exact_match, at_least: 0.8}]}\n", 1),
        ("gates: {decide_on: point, rules: [{metric: copy.exact_match, at_least: 0.8, tier: warn}]}\n", 0),
        ("gates: {decide_on: interval, rules: [{metric: copy.exact_match, at_least: 0.7}]}\n", 4),
        ("gates: {rules: [{metric: copy.exact_mach, at_least: 0.8}]}\n", 2),
    ],
)
def test_the_exit_code_carries_the_verdict(folder, gates, code, capsys):
    assert main(["run", suite(gates), "--quiet"]) == code
    if code != 2:
        assert "exact_match" in capsys.readouterr().out


@pytest.mark.parametrize(("limit", "code"), [(0.75, 0), (0.8, 1)])
@pytest.mark.parametrize("part", ["html.iter_html", "markdown.render_markdown"])
def test_a_fault_in_the_report_leaves_the_run_its_exit_code(folder, monkeypatch, capsys, limit, code, part):
    def fault(*arguments, **named):
        raise TypeError("no such chart: \x1b[2J" + os.environ["API_TOKEN"])

    monkeypatch.delenv("EVALHARNESS_DEBUG", raising=False)
    monkeypatch.setenv("API_TOKEN", "s3cret-token-s3cret")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(f"evalharness.report.write.{part.partition('.')[2]}", fault)
    file = suite(f"gates: {{decide_on: point, rules: [{{metric: copy.exact_match, at_least: {limit}}}]}}\n")
    assert main(["run", file, "--quiet", "--reports", "out"]) == code
    said = capsys.readouterr()
    (run,) = Path("out/runs").iterdir()
    for part_said in (
        "the report was not written: TypeError: no such chart",
        f"evalharness report {run.name} --reports out",
    ):
        assert part_said in said.err
    assert "s3cret" not in said.err
    assert "\x1b" not in said.err
    assert "exact_match" in said.out  # the summary is printed all the same
    (log,) = folder.glob("evalharness-*.log")
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert "s3cret" not in log.read_text(encoding="utf-8")
    assert main(["gate", run.name, "--reports", "out"]) == code
    monkeypatch.undo()
    os.chdir(folder)
    assert main(["report", run.name, "--reports", "out"]) == 0
    assert (run / "report.html").is_file()


def test_no_gate_leaves_the_gates_undecided(folder):
    path = suite("gates: {decide_on: point, rules: [{metric: copy.exact_match, at_least: 0.8}]}\n")
    assert main(["run", path, "--quiet", "--no-gate"]) == 0


def test_reports_junit_and_the_step_summary_are_written(folder, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    path = suite("gates: {decide_on: point, rules: [{metric: copy.exact_match, at_least: 0.8}]}\n")
    assert main(["run", path, "--quiet", "--junit", "gate.xml"]) == 1
    root = ET.parse("gate.xml").getroot()
    assert len(root.findall(".//failure")) == 1
    assert "copy.exact" in (folder / "summary.md").read_text()
    (run,) = Path("reports/runs").iterdir()
    assert {"report.html", "report.md", "gate.json", "run.json"} <= {path.name for path in run.iterdir()}
    assert str(run / "report.html") in capsys.readouterr().out.replace("\n", "")


def test_a_run_with_failures_exits_3_and_says_what_to_do(folder, capsys):
    Path("half.py").write_text("def answer(prompt):\n    return {'one': 'one'}[prompt]\n")
    path = suite("")
    Path(path).write_text(
        SUITE.replace('{backend: fake, reply: "{{ prompt }}"}', "{backend: python, function: 'half:answer'}")
    )
    assert main(["run", path, "--quiet", "--allow-code"]) == 3
    captured = capsys.readouterr()
    assert "3 requests got no usable answer" in captured.err
    assert "copy on echo: 3 failed; sample" in captured.err
    assert "KeyError" in captured.err
    assert main(["run", path, "--quiet", "--allow-code", "--set", "execution.on_error=count_wrong"]) == 0
    assert main(["run", path, "--quiet"]) == 2
    assert "--allow-code" in capsys.readouterr().err


def test_promote_then_gate_against_the_baseline(folder, capsys):
    rule = "{metric: copy.exact_match, max_regression: 0.1}"
    gates = f"gates: {{decide_on: point, baseline: demo@production, rules: [{rule}]}}\n"
    path = suite(gates)
    # What the first run measured is reported, though there is nothing yet to hold it against.
    assert main(["run", path, "--quiet", "--junit", "gate.xml"]) == 2
    said = capsys.readouterr().err
    assert "evalharness promote" in said
    assert "--junit wrote nothing, since the gates could not be decided" in said
    (first,) = Path("reports/runs").iterdir()
    assert {"report.html", "report.md"} <= {file.name for file in first.iterdir()}
    assert f"its gates are not decided; when they can be: evalharness gate {first.name}" in said
    assert main(["run", path, "--quiet", "--no-gate"]) == 0
    assert main(["promote", "latest", "--as", "production"]) == 0
    # What cannot be written is no gate that could not be decided.
    Path("file").touch()
    assert main(["run", path, "--quiet", "--junit", "file/gate.xml"]) == 2
    said = capsys.readouterr().err
    assert "file" in said
    assert "not decided" not in said
    assert main(["run", path, "--quiet"]) == 0
    assert main(["run", path, "--quiet", "--set", "models.echo.reply=one"]) == 1
    assert main(["gate", "latest"]) == 1
    assert main(["gate", "demo@production"]) == 0


def test_score_takes_a_record_by_name(folder, capsys):
    path = suite("")
    assert main(["run", path, "--quiet"]) == 0
    Path("new.yaml").write_text(SUITE.replace("[exact_match]", "[contains, chrf]"))
    assert main(["score", "latest", "--suite", "new.yaml", "--quiet"]) == 0
    assert "chrf" in capsys.readouterr().out
    assert main(["score", "nothing", "--suite", "new.yaml"]) == 2


@pytest.mark.parametrize("arguments", [["run", "missing.yaml"], ["validate", "missing.yaml"], ["run", "."]])
def test_a_missing_suite_is_said_plainly(folder, arguments, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert arguments[1] in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_an_interrupted_run_keeps_its_answers_and_continues(folder):
    Path("slow.py").write_text(
        "import time, pathlib\n"
        "def answer(prompt):\n"
        "    with pathlib.Path('asked.txt').open('a') as f:\n"
        "        f.write(prompt + '\\n')\n"
        "    if pathlib.Path('fast').exists():\n"
        "        return prompt\n"
        "    time.sleep(0.05)\n"
        "    return prompt\n"
    )
    rows = "\n".join(f"      - {{q: w{i}, a: w{i}}}" for i in range(200))
    Path("suite.yaml").write_text(
        SUITE.split("      - {q:")[0].replace(
            '{backend: fake, reply: "{{ prompt }}"}', "{backend: python, function: 'slow:answer'}"
        )
        + rows
        + "\n"
        + SUITE[SUITE.index("tasks:") :]
        + "execution: {concurrency: 2}\n"
    )
    command = [sys.executable, "-m", "evalharness", "run", "suite.yaml", "--allow-code"]
    child = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (Path("asked.txt").exists() and len(Path("asked.txt").read_text().split()) >= 20):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "continues from them" in err
    assert "Traceback" not in err
    assert not Path("reports/runs").exists()
    before = len(Path("asked.txt").read_text().split())
    assert before < 200
    Path("fast").touch()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (run,) = Path("reports/runs").iterdir()
    execution = json.loads((run / "run.json").read_text())["execution"]
    asked = Path("asked.txt").read_text().split()
    # Two were in flight when the run was interrupted: only those may have been asked twice.
    assert execution["n_asked"] == len(asked) - before
    assert len(asked) - len(set(asked)) <= 2
    assert os.path.exists("reports/responses.sqlite3")


def test_what_draws_charts_does_not_start_beside_a_model():
    """It takes 63 MB, which a run has when the model is gone."""
    code = (
        "import sys, threading\n"
        "from evalharness.cli.run import _load_what_follows\n"
        "_load_what_follows()\n"
        "print('vl_convert' in sys.modules, 'evalharness.report.html' in sys.modules, threading.active_count())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "1"]

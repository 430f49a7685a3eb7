"""The GitHub Action and the examples for CI: read as YAML, and their shell steps run as a runner runs them."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow  # each starts processes of its own

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
SUITE = """\
version: 1
name: demo
models: {echo: {backend: fake, reply: "{{ prompt }}"}}
datasets: {lines: {rows: [ROWS]}}
tasks: [{id: copy, dataset: lines, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match]}]
"""
GATES = "gates: {decide_on: DECIDE, rules: [{metric: copy.exact_match, at_least: 0.5}]}\n"


@pytest.fixture
def folder(tmp_path):
    """A checkout with a PATH on which `evalharness` and `python` are ours; `python -m pip` only notes what it gets."""
    tools = tmp_path / "tools"
    tools.mkdir()
    pip = f'if [ "$2" = pip ]; then echo "$@" >> "{tmp_path}/pip.txt"; exit 0; fi'
    python = f'#!/bin/sh\n{pip}\nexec "{sys.executable}" "$@"\n'
    for name, text in {
        "python": python,
        "evalharness": f'#!/bin/sh\nexec "{sys.executable}" -m evalharness "$@"\n',
    }.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "temp").mkdir()
    return tmp_path


def suite(folder, *, right=40, wrong=0, gates=True, decide="point"):
    rows = [f"{{q: w{i}, a: w{i}}}" for i in range(right)] + [f"{{q: x{i}, a: y}}" for i in range(wrong)]
    text = SUITE.replace("ROWS", ", ".join(rows)) + (GATES.replace("DECIDE", decide) if gates else "")
    (folder / "suite.yaml").write_text(text, encoding="utf-8")


def run_step(folder, name, given, **environ):
    """Run one step's script as the runner does, with the step's own variables and the runner's."""
    step = STEPS[name]
    assert set(given) == set(step.get("env", {})), name
    script = folder / "temp" / "script.sh"
    script.write_text(step["run"], encoding="utf-8")
    output = folder / "temp" / "output"
    output.write_text("")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=folder,
        env={
            "PATH": f"{folder / 'tools'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(folder),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            **given,
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done, dict(line.split("=", 1) for line in output.read_text().splitlines())


def run_suite(folder, options="", baseline="", **environ):
    given = {"SUITE": "suite.yaml", "OPTIONS": options, "BASELINE": baseline, "REPORTS": "reports"}
    return run_step(folder, "Run the suite", given, **environ)


def end_job(folder, outputs, allow):
    given = {"CODE": outputs["exit-code"], "VERDICT": outputs["verdict"], "ALLOW": allow}
    return run_step(folder, "Verdict", given)[0]


def test_the_action_is_well_formed():
    assert ACTION["runs"]["using"] == "composite"
    for value in ACTION["inputs"].values():
        assert value["description"]
        assert isinstance(value.get("default", ""), str)
    steps = ACTION["runs"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert all(step["shell"] == "bash" for step in steps if "run" in step)
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+(/[a-z]+)?@v\d+", step["uses"]), step["uses"]
    whole = json.dumps(ACTION)
    assert set(re.findall(r"inputs\.([a-z-]+)", whole)) == set(ACTION["inputs"])
    outputs = set(re.findall(r"steps\.run\.outputs\.([a-z-]+)", whole))
    assert outputs == set(re.findall(r'echo "([a-z-]+)=', STEPS["Run the suite"]["run"]))


def test_no_text_from_outside_becomes_script():
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize(
    ("made", "code", "verdict"),
    [
        ({}, "0", "pass"),
        ({"right": 5, "wrong": 35}, "1", "fail"),
        ({"right": 20, "wrong": 18, "decide": "interval"}, "4", "inconclusive"),
        ({"gates": False}, "0", "none"),
    ],
)
def test_a_run_and_its_verdict(folder, made, code, verdict):
    suite(folder, **made)
    done, outputs = run_suite(folder)
    assert done.returncode == 0, done.stderr
    assert (outputs["exit-code"], outputs["verdict"]) == (code, verdict)
    files = Path(outputs["files"])
    decided = verdict != "none"
    found = {"gate.md", "gate.svg", "gate.xml", "verdict.json", "report.html"} if decided else set()
    assert {path.name for path in files.iterdir()} == found
    assert bool(outputs["run"]) is decided
    if decided:
        assert ("::error file=suite.yaml," in done.stderr) is (code != "0")
        assert "Gate of demo" in (folder / "summary.md").read_text(encoding="utf-8")
    for allow, expected in (("false", code), ("true", "0" if code == "4" else code)):
        ended = end_job(folder, outputs, allow)
        assert str(ended.returncode) == expected


def test_options_are_read_as_a_shell_would(folder):
    suite(folder)
    done, outputs = run_suite(folder, "--limit 3 --name 'a \"b\" $(touch pwned) c'")
    assert outputs["verdict"] == "pass", done.stderr
    manifest = json.loads((folder / "reports" / "runs" / outputs["run"] / "run.json").read_text())
    assert manifest["name"] == 'a "b" $(touch pwned) c'
    assert manifest["execution"]["limit"] == 3
    assert not (folder / "pwned").exists()
    done, outputs = run_suite(folder, "--name 'open")
    assert (outputs["verdict"], outputs["exit-code"], outputs["run"]) == ("error", "2", "")
    assert "args cannot be read" in done.stdout
    assert not list(Path(outputs["files"]).iterdir())


def test_a_wrong_suite_ends_in_an_error(folder):
    (folder / "suite.yaml").write_text("version: 1\n")
    done, outputs = run_suite(folder)
    assert (outputs["verdict"], outputs["exit-code"], outputs["run"]) == ("error", "2", "")
    assert "suite.yaml:1:1" in done.stderr
    assert "::error title=evalharness::The run did not finish (exit code 2)" in done.stdout


@pytest.mark.parametrize("code", [1, 4, 127])
def test_a_process_that_breaks_gives_no_verdict(folder, code):
    """An interpreter that cannot import ends with 1, as a gate that fails does."""
    (folder / "tools" / "evalharness").write_text(f"#!/bin/sh\nexit {code}\n")
    _, outputs = run_suite(folder)
    assert (outputs["verdict"], outputs["exit-code"], outputs["run"]) == ("error", str(code), "")
    assert end_job(folder, outputs, "true").returncode == code


def test_promote_and_compare(folder):
    suite(folder)
    _, first = run_suite(folder)
    given = {"RUN": first["run"], "LABEL": "production", "REPORTS": "reports"}
    promoted, _ = run_step(folder, "Promote the run", given)
    assert promoted.returncode == 0, promoted.stderr
    text = (folder / "suite.yaml").read_text().replace("at_least: 0.5", "max_regression: 0.01")
    text = text.replace("gates: {", "gates: {baseline: demo@staging, ")
    (folder / "suite.yaml").write_text(text)
    done, outputs = run_suite(folder, "--set models.echo.reply=w1", baseline="demo@production")
    assert outputs["verdict"] == "fail", done.stderr
    assert "Against the baseline" in (Path(outputs["files"]) / "gate.md").read_text(encoding="utf-8")


def test_what_is_installed(folder):
    for package, extras in (("/action path", ""), ("/action path", "hf,lm-eval")):
        done, _ = run_step(folder, "Install evalharness", {"PACKAGE": package, "EXTRAS": extras})
        assert done.returncode == 0, done.stderr
    common = "-m pip install --disable-pip-version-check --quiet /action path"
    assert (folder / "pip.txt").read_text().splitlines() == [common, f"{common}[hf,lm-eval]"]


def test_the_comment(folder):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(b"[]")

        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])
            self.reply(b"{}")

        def reply(self, data):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    suite(folder)
    _, outputs = run_suite(folder)
    (folder / "event.json").write_text('{"pull_request": {"number": 5}}')
    given = {"GITHUB_TOKEN": "t", "FILES": outputs["files"]}
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    around = {
        "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
    }
    try:
        done, _ = run_step(folder, "Comment on the pull request", given, **around)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert "Gate of demo: pass" in posted[0]
    # A server that is gone is a warning and no verdict.
    done, _ = run_step(folder, "Comment on the pull request", given, **around)
    assert done.returncode == 0
    assert "::warning title=evalharness::" in done.stdout


def test_the_github_workflow_uses_what_the_action_has():
    workflow = yaml.safe_load((ROOT / "docs" / "ci" / "github-workflow.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    (step,) = [step for step in job["steps"] if "evalharness" in step["uses"]]
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert workflow["permissions"]["pull-requests"] == "write"
    assert workflow[True].keys() == {"pull_request", "push"}  # YAML 1.1 reads `on` as true, and GitHub does not


@pytest.mark.parametrize(("made", "branch", "code", "promoted"), [
    ({}, "main", 0, True), ({}, "feature", 0, False), ({"right": 5, "wrong": 35}, "main", 1, False),
    ({"right": 20, "wrong": 18, "decide": "interval"}, "feature", 4, False),
])  # fmt: skip
def test_the_gitlab_example(folder, made, branch, code, promoted):
    (job,) = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab-ci.yml").read_text(encoding="utf-8")).values()
    suite(folder, **made)
    # GitLab's runner puts the lines into one script, which ends at the first that fails.
    script = "set -eo pipefail\n" + "\n".join([*job["before_script"], *job["script"]])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{folder / 'tools'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "SUITE": "suite.yaml",
            "CI_COMMIT_BRANCH": branch,
            "CI_DEFAULT_BRANCH": "main",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    for name in ("gate.md", "gate.svg", "verdict.json", job["artifacts"]["reports"]["junit"]):
        assert (folder / name).is_file()
    assert ("is now demo@production" in done.stdout) is promoted
    assert job["allow_failure"]["exit_codes"] == [4]

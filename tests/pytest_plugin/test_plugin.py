"""The pytest plugin in a real pytest: a process of its own, which loads it by its entry point."""

import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from evalharness.record import RunRegistry

pytestmark = pytest.mark.slow  # each starts processes of its own

ROOT = Path(__file__).parents[2]
SUITE = """\
version: 1
name: demo
models: {echo: {backend: fake, reply: "{{ prompt }}"}}
datasets: {lines: {rows: [ROWS], groups: [g]}}
tasks: [{id: copy, dataset: lines, prompt: "{{ q }}", reference: "{{ a }}", metrics: [exact_match]}]
"""
HEAD = "import pytest\nfrom evalharness.pytest_plugin import assert_gate, evalharness_suite\n\n"


@pytest.fixture
def project(tmp_path):
    """A project with suites whose gates pass, fail and cannot be decided, and the plugin's entry point installed."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    installed = tmp_path / "site" / "evalharness_entry-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: evalharness-entry\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{k} = {v}\n" for k, v in entry.items()))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    (tmp_path / "tests").mkdir()
    write(tmp_path / "good.yaml", 40, 0, "point")
    write(tmp_path / "bad.yaml", 10, 30, "point")
    write(tmp_path / "open.yaml", 20, 18, "interval")
    write(tmp_path / "none.yaml", 5, 0, None)
    return tmp_path


def write(path, right, wrong, decide):
    rows = [f"{{q: w{i}, a: w{i}, g: '{i % 2}'}}" for i in range(right)]
    rows += [f"{{q: x{i}, a: y, g: '{i % 2}'}}" for i in range(wrong)]
    text = SUITE.replace("ROWS", ", ".join(rows)).replace("demo", path.stem)
    if decide:
        text += f"gates: {{decide_on: {decide}, rules: [{{metric: copy.exact_match, at_least: 0.5}}]}}\n"
    path.write_text(text, encoding="utf-8")


def run_pytest(project, tests, *options, workers=None):
    (project / "tests" / "test_it.py").write_text(HEAD + tests, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", *options),
            *(("-p", "no:xdist") if workers is None else ("-n", str(workers))),
        ],
        cwd=project,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "EVALHARNESS_"))},
            "PYTHONPATH": f"{project / 'site'}{os.pathsep}{ROOT}",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout + done.stderr


def counts(text):
    return {
        word: int(n)
        for n, word in re.findall(r"(\d+) (passed|failed|errors?|xfailed|warnings?)", text.splitlines()[-1])
    }


def test_assert_gate(project):
    text = run_pytest(
        project,
        """
def test_good():
    evaluation = assert_gate("good.yaml")
    assert evaluation.outcome.state == "pass"
    assert evaluation.figure("copy.exact_match").value == 1
    assert evaluation.figure("copy.exact_match", model="echo", group="g=1").n == 20

def test_bad():
    assert_gate("bad.yaml")

def test_open():
    assert_gate("open.yaml")

def test_open_expected():
    assert_gate("open.yaml", inconclusive="xfail")

def test_overridden_and_limited():
    assert assert_gate("bad.yaml", limit=10, overrides=["seed=3"]).record.manifest.seed == 3
""",
    )
    assert counts(text) == {"passed": 2, "failed": 2, "xfailed": 1}, text
    assert "the gate of bad fails: copy.exact_match of echo is 0.25 (n = 40): 0.25 below the limit of 0.5." in text
    assert re.search(r"run \S+-bad-\w+; report: \S+/reports/runs/\S+/report.html", text)
    assert "the gate of open is inconclusive: copy.exact_match of echo" in text
    assert "pytest_plugin.py" not in text  # a failed gate is the model's fault: none of our lines is shown
    (report,) = re.findall(r"report: (\S+bad\S+/report.html)", text)[:1]
    assert "copy.exact_match" in Path(report).read_text(encoding="utf-8")
    with RunRegistry.open(reports=project / "reports") as runs:
        assert {(run.name, run.verdict) for run in runs.list()} == {
            ("good", "pass"),
            ("bad", "fail"),
            ("bad", "pass"),  # the ten samples that are right
            ("open", "inconclusive"),
        }


def test_the_decorator(project):
    text = run_pytest(
        project,
        """
@evalharness_suite("good.yaml")
def test_good(evaluation):
    assert evaluation.record.manifest.suite_name == "good"

@evalharness_suite("good.yaml")
def test_without_asking_for_it():
    pass

@evalharness_suite("bad.yaml")
def test_bad(evaluation):
    raise AssertionError("the body of a test whose gate fails is not run")

@evalharness_suite("bad.yaml", gate=False)
@pytest.mark.parametrize("group", ["g=0", "g=1"])
def test_bad_looked_at(evaluation, group):
    assert evaluation.outcome.state == "fail"
    assert evaluation.figure("copy.exact_match", group=group).value == 0.25

@evalharness_suite("none.yaml", gate=False)
def test_none_looked_at(evaluation):
    assert evaluation.outcome is None

@evalharness_suite("none.yaml")
def test_none():
    pass

@evalharness_suite("missing.yaml")
def test_missing():
    pass

def test_undecorated(evaluation):
    pass

@evalharness_suite("good.yaml")
class TestMany:
    def test_one(self, evaluation):
        assert evaluation.outcome.state == "pass"
""",
        "--junitxml=out.xml",
    )
    assert counts(text) == {"passed": 6, "failed": 2, "errors": 2}, text
    assert "FAILED tests/test_it.py::test_bad - Failed: the gate of bad fails: " in text
    assert "traceback entries are hidden" not in text
    assert "the suite none has no gates, so nothing can fail" in text
    assert "there is no missing.yaml: looked at " in text
    assert "the fixture `evaluation` comes with a suite" in text
    properties = [
        p.get("value")
        for p in ET.parse(project / "out.xml").getroot().iter("property")
        if p.get("name") == "evalharness_verdict"
    ]
    # Those with gate=False, too: two fail, and one has no gates.
    assert sorted(properties) == ["fail"] * 3 + ["none"] * 2 + ["pass"] * 3
    # A suite is run once in a session, however many tests look at it.
    assert len(list((project / "reports" / "runs").glob("*-good-*"))) == 1


def test_the_options(project):
    tests = """
def test_open():
    assert_gate("open.yaml")

@evalharness_suite("open.yaml")
def test_decorated():
    raise AssertionError("not reached")
"""
    text = run_pytest(project, tests, "--evalharness-inconclusive=xfail", "--evalharness-reports=elsewhere")
    assert counts(text) == {"xfailed": 2}, text
    assert (project / "elsewhere" / "runs").is_dir()
    assert not (project / "reports").exists()
    text = run_pytest(project, tests, "--evalharness-limit=15", "--evalharness-reports=elsewhere")
    assert counts(text) == {"passed": 1, "failed": 1}, text
    assert "not reached" in text


def test_a_record_a_policy_and_a_baseline(project):
    (project / "tests" / "strict.yaml").write_text("gates: {rules: [{metric: copy.exact_match, max_regression: 0.1}]}")
    text = run_pytest(
        project,
        """
def test_it():
    good = assert_gate("good.yaml").record
    assert assert_gate(record=good.id).record.id == good.id
    worse = assert_gate("good.yaml", overrides=["models.echo.reply=w1"], policy="strict.yaml", baseline=good.id)
""",
    )
    assert counts(text) == {"failed": 1}, text
    assert "in the baseline (n = 40 paired" in text
    assert re.search(r"run \S+ against \S+; report", text)


def test_faults_are_said_plainly(project):
    (project / "wrong.yaml").write_text("version: 1\nnmae: x\n")
    text = run_pytest(
        project,
        """
def test_suite():
    assert_gate("wrong.yaml")

def test_record():
    assert_gate(record="nowhere")

def test_neither():
    with pytest.raises(TypeError, match="one of the two"):
        assert_gate()

def test_figure():
    from evalharness import EvalHarnessError

    with pytest.raises(EvalHarnessError, match="did you mean 'copy.exact_match'"):
        assert_gate("good.yaml").figure("copy.exact_mach")
""",
    )
    assert counts(text) == {"passed": 2, "failed": 2}, text
    assert "did you mean 'name'" in text
    assert "there is no run 'nowhere'" in text
    assert "Traceback" not in text
    assert "During handling" not in text


def test_slips_of_the_pen_are_refused(project):
    text = run_pytest(
        project,
        """
def test_text_for_a_list():
    assert_gate("good.yaml", overrides="seed=3")

def test_no_samples():
    assert_gate("good.yaml", limit=0)

def test_another_word():
    with pytest.raises(ValueError, match="takes 'fail' or 'xfail'"):
        evalharness_suite("good.yaml", inconclusive="skip")
    assert_gate("good.yaml", inconclusive="skip")
""",
    )
    assert counts(text) == {"failed": 3}, text
    assert "overrides takes a list of settings, not one text: overrides=['seed=3']" in text
    assert "evalharness: limit is 0" in text
    assert "inconclusive is 'skip'; it takes 'fail' or 'xfail'" in text
    assert not (project / "reports").exists()


def test_a_baseline_that_is_missing(project):
    (project / "tests" / "strict.yaml").write_text("gates: {rules: [{metric: copy.exact_match, max_regression: 0.1}]}")
    text = run_pytest(
        project,
        """
def test_none_named():
    assert_gate("good.yaml", policy="strict.yaml")

@evalharness_suite("good.yaml", policy="strict.yaml", baseline="good@production")
def test_none_promoted():
    raise AssertionError("not reached")
""",
    )
    assert counts(text) == {"failed": 1, "error": 1}, text
    assert "a max_regression rule compares with a baseline, and there is none; promote a run" in text
    assert "no run of 'good' is promoted as 'production'; promote one" in text
    assert "During handling" not in text


def test_workers_of_xdist_share_one_run(project):
    text = run_pytest(
        project,
        """
@pytest.mark.parametrize("i", range(8))
def test_good(i):
    assert_gate("good.yaml")

@evalharness_suite("bad.yaml")
def test_bad():
    raise AssertionError("not reached")
""",
        "--junitxml=out.xml",
        workers=2,
    )
    assert counts(text) == {"passed": 8, "failed": 1}, text
    assert "the gate of bad fails: copy.exact_match of echo is 0.25" in text
    assert "traceback entries are hidden" not in text
    assert len(list((project / "reports" / "runs").iterdir())) == 2
    cases = ET.parse(project / "out.xml").getroot().iter("testcase")
    runs = [p.get("value") for case in cases for p in case.iter("property") if p.get("name") == "evalharness_run"]
    assert (len(runs), len(set(runs))) == (9, 2)


def test_it_costs_nothing_where_no_test_asks(project):
    text = run_pytest(
        project,
        """
import sys

def test_nothing_is_loaded(pytestconfig):
    assert pytestconfig.pluginmanager.get_plugin("evalharness").__name__ == "evalharness.pytest_plugin"
    ours = {name for name in sys.modules if name.startswith("evalharness")}
    assert ours == {"evalharness", "evalharness.pytest_plugin"}
    heavy = {"numpy", "pydantic", "pandas", "torch", "transformers", "aiohttp", "sqlalchemy", "yaml", "rich"}
    assert heavy.isdisjoint(sys.modules)
""",
        "-W",
        "error",
    )
    assert counts(text) == {"passed": 1}, text
    assert "evalharness" not in run_pytest(project, "def test_x():\n    pass\n", "-q").replace(str(project), "")


def test_without_pytest_around_it(project, monkeypatch):
    """In a script: paths start at the working directory, and what fails is raised."""
    from evalharness.pytest_plugin import _now, assert_gate

    monkeypatch.chdir(project)
    monkeypatch.setattr("evalharness.pytest_plugin._now", [])
    assert assert_gate("good.yaml").outcome.state == "pass"
    with pytest.raises(pytest.fail.Exception, match="the gate of bad fails"):
        assert_gate("bad.yaml")
    assert _now is not None

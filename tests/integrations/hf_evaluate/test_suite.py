"""`{evaluate: PATH}` in a suite: from validation to the gate."""

from __future__ import annotations

import pytest

from evalharness.cli.main import main
from evalharness.record import Record

pytestmark = pytest.mark.slow

EXACT = "return {'exact': sum(p == r for p, r in zip(predictions, references)) / len(predictions)}"
SUITE = """
version: 1
name: scripts
models:
  echo: {{backend: fake, reply: "{{{{ prompt }}}}"}}
datasets:
  rows:
    rows: [{{q: a, a: a}}, {{q: b, a: x}}, {{q: c, a: c}}, {{q: d, a: d}}]
tasks:
  - id: t
    dataset: rows
    prompt: "{{{{ q }}}}"
    reference: "{{{{ a }}}}"
    metrics: [exact_match, {metric}]
gates:
  baseline: {baseline}
  rules: [{rule}]
"""


@pytest.fixture
def suite(script, tmp_path, monkeypatch):
    """`suite(metric, rule)`: the file, in the folder of the script `exact`."""
    script("exact", EXACT)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    def write(metric="{evaluate: ./exact}", rule="{metric: t.exact, at_least: 0.1}", baseline="null"):
        path = tmp_path / "suite.yaml"
        path.write_text(SUITE.format(metric=metric, rule=rule, baseline=baseline))
        return str(path)

    return write


def figure(record, name):
    return next(result for result in record.results if result.metric == name and result.group is None)


def test_a_run(suite, tmp_path, capsys):
    arguments = ["run", suite(), "--reports", str(tmp_path / "reports"), "--quiet", "--name", "one"]
    assert main([*arguments, "--allow-code"]) in (0, 4)
    record = Record.open(next((tmp_path / "reports" / "runs").iterdir()))
    assert figure(record, "exact").value == figure(record, "exact_match").value == 0.75
    assert figure(record, "exact").signature.startswith("evaluate|name:exact|")
    assert figure(record, "exact").ci_method == "percentile"
    capsys.readouterr()
    rescored = ["score", "latest", "--suite", suite(), "--reports", str(tmp_path / "reports"), "--no-gate"]
    assert main(rescored) == 2
    assert "--allow-code" in capsys.readouterr().err
    assert main([*rescored, "--allow-code"]) == 0


def test_without_leave_nothing_is_asked(suite, tmp_path, capsys):
    assert main(["run", suite(), "--reports", str(tmp_path / "reports"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "suite.yaml:14:28 tasks[0].metrics[1]: the metric evaluate: ./exact runs Python code" in error
    assert not (tmp_path / "reports" / "runs").exists()


def test_validation_imports_nothing(suite, capsys, monkeypatch):
    from evalharness.integrations.hf_evaluate import library

    monkeypatch.setattr(library, "import_evaluate", None)
    assert main(["validate", suite()]) == 0
    assert (
        main(
            ["validate", suite("{evaluate: {path: ./exact, over: samples, as: mine}}", "{metric: t.mine, at_least: 0}")]
        )
        == 0
    )


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("evaluate", "the metric 'evaluate' needs the option 'path'"),
        ("{evaluate: {key: x}}", "the metric 'evaluate' needs the option 'path'"),
        ("{evaluate: {path: ./exact, kye: x}}", "did you mean 'key'?"),
        ("{evaluate: {path: ./exact, over: all}}", "over"),
        ("{bleu: lowercase}", "the options of 'bleu' must be a mapping"),
    ],
)
def test_what_is_wrong_is_said(suite, capsys, metric, words):
    assert main(["validate", suite(metric, "{metric: t.exact_match, at_least: 0}")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "suite.yaml:14" in error


@pytest.mark.parametrize(
    ("metric", "code", "words"),
    [
        ("{evaluate: {path: ./exact, over: samples}}", 0, "PASS"),
        ("{evaluate: ./exact}", 2, "use at_least or at_most, or the option over: samples"),
    ],
)
def test_a_gate_against_a_baseline(suite, tmp_path, capsys, metric, code, words):
    rule = "{metric: t.exact, max_regression: 1.0}"
    reports = ["--reports", str(tmp_path / "reports")]
    assert main(["run", suite(metric), *reports, "--quiet", "--no-gate", "--allow-code"]) == 0
    assert main(["promote", "latest", "--as", "production", *reports]) == 0
    again = suite(metric, rule, baseline="scripts@production")
    capsys.readouterr()
    assert main(["run", again, *reports, "--quiet", "--allow-code"]) == code
    captured = capsys.readouterr()
    assert words in captured.out + captured.err


def test_the_path_in_a_suite_that_is_extended(suite, tmp_path):
    from evalharness.suite.load import load_suite

    suite()
    (tmp_path / "elsewhere" / "child.yaml").write_text("extends: ../suite.yaml\nname: child\n")
    loaded = load_suite(tmp_path / "elsewhere" / "child.yaml")
    assert loaded.suite.tasks[0].metrics[1] == {"evaluate": "../exact"}

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from evalharness.cli.main import main

ROOT = Path(__file__).parents[2]
SUITE = """
version: 1
name: qa
models:
  m: {{backend: fake, reply: "{reply}"}}
datasets:
  questions: {{rows: [{rows}]}}
tasks:
  - id: qa
    dataset: questions
    prompt: "{prompt}"
    reference: "{{{{ answer }}}}"
    metrics: [exact_match, token_f1]
"""
ROWS = ", ".join(f'{{id: q{i}, question: "what is {i}", answer: "{i % 2}"}}' for i in range(40))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Runs a suite with each reply, and gives the ids."""
    monkeypatch.chdir(tmp_path)

    def go(reply, prompt="{{ question }}"):
        (tmp_path / "suite.yaml").write_text(SUITE.format(reply=reply, rows=ROWS, prompt=prompt))
        assert main(["run", "suite.yaml", "--quiet"]) == 0
        return max((tmp_path / "reports" / "runs").iterdir(), key=lambda p: p.stat().st_mtime_ns).name

    return go


def test_two_runs(runs, tmp_path, capsys):
    old, new = runs("1"), runs("{{ prompt[-1] | int % 2 }}")
    capsys.readouterr()
    assert main(["compare", old, new, "--html", "c.html", "--markdown", "c.md", "--csv", "c.csv"]) == 0
    told = capsys.readouterr()
    assert f"{new} against {old}" in told.out
    assert "qa.exact_match" in told.out
    assert "0.500" in told.out
    assert "✓ better" in told.out
    assert told.err.splitlines() == ["wrote c.html", "wrote c.md", "wrote c.csv"]
    assert "<title>" in (tmp_path / "c.html").read_text()
    assert main(["compare", old, new, "--html", "zh.html", "--language", "zh"]) == 0
    assert f"{new} 对比 {old}" in (tmp_path / "zh.html").read_text(encoding="utf-8")
    assert "✅ better" in (tmp_path / "c.md").read_text()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert rows[0]["metric"] == "exact_match"
    assert float(rows[0]["difference"]) == 0.5


def test_json_has_all_of_it_and_baseline_names_another(runs, capsys):
    old, new = runs("1"), runs("{{ prompt[-1] | int % 2 }}")
    capsys.readouterr()
    assert main(["compare", old, "--baseline", new, "--json", "--metric", "exact_match", "--changed", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    (figure,) = found["figures"]
    assert (figure["difference"], figure["losses"], figure["finding"]) == (-0.5, 20, "worse")
    assert [c["flip"] for c in found["changed"]] == ["right to wrong"] * 2
    assert found["changed"][0]["baseline_answer"] == "0"


def test_prompts_are_refused_and_allowed(runs, capsys):
    old, new = runs("1"), runs("1", prompt="Say: {{ question }}")
    capsys.readouterr()
    assert main(["compare", old, new]) == 2
    assert "tasks[qa].identity.prompt" in (told := capsys.readouterr().err)
    assert "--allow-different prompts" in told
    assert main(["compare", old, new, "--allow-different", "prompts", "--markdown", "-"]) == 0
    assert "The prompts differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing", "nowhere"], "there is no run"),
        (["latest"], "name a second one"),
        (["latest", "latest", "--models", "m"], "of several runs name a model each"),
        (["latest:none", "latest"], "has no model and no task 'none'"),
        (["latest", "latest", "--language", "zh"], "--language goes with --html FILE"),
        (["latest", "latest", "--html", "/proc/no/c.html"], "cannot be written"),
    ],
)
def test_wrong_command_lines_are_explained(runs, capsys, arguments, said):
    runs("1")
    capsys.readouterr()
    assert main(["compare", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--confidence", "2"], ["--changed", "-1"], ["--correction", "x"]])
def test_wrong_options_are_refused(arguments):
    assert main(["compare", "a", "b", *arguments]) == 2


def test_comparing_loads_no_model_and_no_pandas(runs, tmp_path):
    old = tmp_path / "reports" / "runs" / runs("1")
    code = (
        "import sys; from evalharness.cli.main import main\n"
        f"assert main(['compare', '{old}', '{old}', '--html', '{tmp_path / 'c.html'}']) == 0\n"
        "print(sorted({'pandas', 'torch', 'lm_eval', 'scipy', 'aiohttp'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_preset_for_compressed_models(runs, tmp_path, capsys):
    old, new = runs("{{ prompt[-1] | int % 2 }}"), runs("1")
    capsys.readouterr()
    assert main(["compare", old, new, "--preset", "compression", "--html", "c.html", "--markdown", "c.md"]) == 0
    told = capsys.readouterr().out
    assert "What is kept of the base" in told
    assert "✗ lost (margin 0.02" in " ".join(told.split())
    assert "answers that flipped" in " ".join(told.split())
    assert 'id="kept"' in (tmp_path / "c.html").read_text()
    assert "## What is kept of the base" in (tmp_path / "c.md").read_text()
    assert main(["compare", old, new, "--json", "--preset", "compression", "--margin", "0.9"]) == 0
    found = json.loads(capsys.readouterr().out)["compression"]
    assert {row["kept"] for row in found if row["aspect"] == "retained"} == {"kept"}
    assert main(["compare", old, new, "--margin", "0.1"]) == 2
    assert "--margin goes with --preset compression" in capsys.readouterr().err

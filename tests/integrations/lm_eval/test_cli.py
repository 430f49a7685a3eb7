"""The verbs that meet lm-eval's tasks."""

import json
import subprocess
import sys

import pytest

from evalharness.cli.main import main

HEAVY = {"lm_eval.tasks", "lm_eval.api.task", "torch", "datasets", "numpy", "transformers"}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_validate_shows_a_sample_of_each_task(suite, capsys):
    path = suite({"id": "g", "lm_eval": "mini_group", "num_fewshot": 1}, {"id": "gen", "lm_eval": "mini_generate"})
    assert main(["validate", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "g/mini_choice 23 documents" in shown
    assert "      -> choice: river 1river 1" in shown
    assert "g: 2 more tasks of lm-eval's, not shown" in shown
    assert "      reference: 0" in shown


def test_validate_says_where_the_name_stands(suite, capsys):
    path = suite({"id": "t", "lm_eval": "mini_choise"})
    assert main(["validate", "--level", "references", str(path)]) == 2
    assert "suite.yaml:8:" in capsys.readouterr().err


def test_validating_references_does_not_import_lm_eval(suite):
    path = suite({"id": "g", "lm_eval": "mmlu"})
    code = (
        "import sys\nfrom evalharness.cli.main import main\n"
        "assert main(['validate', '--level', 'references', sys.argv[1]]) == 0\n"
        f"print(sorted(set(sys.modules) & {HEAVY}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_validate_needs_permission_for_code(suite, capsys):
    path = suite({"id": "own", "lm_eval": "mini_own"})
    assert main(["validate", str(path)]) == 2
    assert "--allow-code" in capsys.readouterr().err
    assert main(["validate", "--allow-code", str(path)]) == 0


def test_run_and_gate(suite, tmp_path, capsys):
    gates = "\ngates: {rules: [{metric: t.acc, at_least: 0.0}, {metric: t.brier_score, at_most: 0.1}]}\n"
    path = suite({"id": "t", "lm_eval": "mini_choice", "limit": 5}, gates=gates)
    assert main(["run", str(path), "--reports", str(tmp_path / "reports"), "--quiet"]) == 1
    assert "brier_score" in capsys.readouterr().out


def test_list(tasks, capsys):
    assert main(["list", "lm-eval-tasks", "mini_*", "--include-path", str(tasks)]) == 0
    shown = capsys.readouterr().out
    assert "mini_choice    multiple_choice\n" in shown
    assert "mini_tag       tag of 2\n" in shown
    assert main(["list", "lm-eval-tasks", "mini_group", "--include-path", str(tasks), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tasks"] == ["mini_choice", "mini_binary", "mini_mutual"]
    assert main(["list", "lm-eval-tasks", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 14_000
    assert main(["list", "lm-eval-tasks", "nothing_*_at_all"]) == 0
    assert main(["list", "metrics", "--include-path", "x"]) == 2


def test_a_suite_without_datasets_needs_lm_eval_tasks_only(tmp_path, capsys):
    path = tmp_path / "suite.yaml"
    path.write_text("version: 1\nname: x\nmodels: {m: {backend: fake}}\ntasks: [{id: a, dataset: d, prompt: p}]\n")
    assert main(["validate", str(path)]) == 2
    assert "datasets: is missing; add it" in capsys.readouterr().err

"""`evalharness plan`, `run --dry-run`, and budgets as a user meets them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evalharness.cli.main import main

SUITE = """\
version: 1
name: demo
models:
  paid: {backend: fake, reply: "a b c", price: {input: 10000, output: 20000}}
datasets:
  d:
    rows:
      - {q: "one two"}
      - {q: "three four"}
      - {q: "five six"}
tasks:
  - {id: ask, dataset: d, prompt: "{{ q }}", generate: {max_tokens: 10}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("suite.yaml").write_text(SUITE, "utf-8")
    return tmp_path


@pytest.mark.parametrize("command", [["plan", "suite.yaml"], ["run", "suite.yaml", "--dry-run"]])
def test_the_table_stands_before_anything_is_asked_or_written(folder, command, capsys):
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "task",
        "model",
        "requests",
        "in",
        "store",
        "to",
        "ask",
        "tokens",
        "in",
        "tokens",
        "out",
        "cost",
        "time",
    ]
    assert lines[1].split() == ["ask", "paid", "3", "0", "3", "~7", "up", "to", "30", "up", "to", "$0.6700", "unknown"]
    assert lines[2].startswith("total")
    assert lines[3] == "prices of paid: the suite"
    assert [path.name for path in folder.iterdir()] == ["suite.yaml"]


def test_after_a_run_nothing_is_left_to_ask(folder, capsys):
    assert main(["run", "suite.yaml", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["plan", "suite.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["ask", "paid", "3", "3", "0", "0", "0", "-", "-"]


def test_json_has_the_same(folder, capsys):
    assert main(["plan", "suite.yaml", "--limit", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total"]["n_to_ask"] == 2
    assert found["work"][0]["task"] == "ask"
    assert found["prices"] == {"paid": {"input": 10000.0, "output": 20000.0, "from": "the suite"}}


def test_a_model_without_a_price_is_named(folder, capsys):
    Path("suite.yaml").write_text(
        SUITE.replace(
            '{backend: fake, reply: "a b c", price: {input: 10000, output: 20000}}',
            "{backend: openai, model: house-model}",
        ),
        "utf-8",
    )
    assert main(["plan", "suite.yaml"]) == 0
    out = capsys.readouterr().out
    assert "unknown" in out.splitlines()[1]
    assert "the price of paid is not known" in out


def test_what_is_wrong_with_the_suite_is_said(folder, capsys):
    assert main(["plan", "missing.yaml"]) == 2
    assert main(["plan", "suite.yaml", "--set", "models.paid.price={input: 1}"]) == 2
    assert "models.paid.price.output: is missing" in capsys.readouterr().err


def test_a_budget_stops_the_run_with_a_code_of_its_own_and_a_larger_one_continues(folder, capsys):
    # Each request may cost 0.02 + 0.2 dollars, and costs 0.02 + 0.06.
    command = ["run", "suite.yaml", "--quiet", "--set"]
    assert main([*command, "execution.budget_usd=0.3"]) == 5
    err = capsys.readouterr().err
    assert "execution.budget_usd is $0.3: $0.08 was spent" in err
    assert "2 requests left" in err
    assert not Path("reports/runs").exists()
    assert main([*command, "execution.budget_usd=3"]) == 0
    out = capsys.readouterr().out
    assert "paid: 2 requests sent · 6 tokens in, 9 out · cost $0.240, of which this run spent $0.160" in out
    (run,) = Path("reports/runs").iterdir()
    total = json.loads((run / "run.json").read_text())["execution"]["usage"]["total"]
    assert (total["n_answers"], total["n_from_store"], total["n_requests"]) == (3, 1, 2)
    assert total["cost_usd"] == pytest.approx(0.24)
    assert total["spent_usd"] == pytest.approx(0.16)
    assert "Tokens and cost" in (run / "report.md").read_text()
    assert "$0.240" in (run / "report.html").read_text()


def test_dollars_without_a_price_are_refused_by_validate(folder, capsys):
    Path("suite.yaml").write_text(
        SUITE.replace(
            '{backend: fake, reply: "a b c", price: {input: 10000, output: 20000}}',
            "{backend: openai, model: house-model}",
        )
        + "execution: {budget_usd: 5}\n",
        "utf-8",
    )
    for verb in ("validate", "plan", "run"):
        assert main([verb, "suite.yaml"]) == 2
        err = capsys.readouterr().err
        assert "suite.yaml:4:9 models.paid.price: execution.budget_usd needs the price of every model" in err
        assert "house-model" in err


def test_figures_of_cost_can_be_gated(folder):
    rules = "[{metric: ask.cost_usd, at_most: LIMIT}, {metric: ask.cost_total_usd, at_most: 0.25}]"
    gates = f"gates: {{decide_on: point, rules: {rules}}}\n"
    text = SUITE.replace("max_tokens: 10}}", "max_tokens: 10}, metrics: [cost_total_usd]}") + gates
    Path("suite.yaml").write_text(text.replace("LIMIT", "0.09"), "utf-8")
    assert main(["run", "suite.yaml", "--quiet"]) == 0
    Path("suite.yaml").write_text(text.replace("LIMIT", "0.07"), "utf-8")
    assert main(["run", "suite.yaml", "--quiet"]) == 1


def test_scoring_again_spends_nothing(folder, capsys):
    assert main(["run", "suite.yaml", "--quiet"]) == 0
    assert main(["score", "latest", "--suite", "suite.yaml", "--quiet"]) == 0
    assert (
        "paid: 0 requests sent · 6 tokens in, 9 out · cost $0.240, of which this run spent $0"
        in capsys.readouterr().out
    )


def test_planning_loads_nothing_heavy(folder):
    code = (
        "import sys; from evalharness.cli.main import main; code = main(['plan', 'suite.yaml']); "
        "heavy = {'torch', 'transformers', 'pandas', 'aiohttp', 'sklearn', 'sqlalchemy', 'rich'}; "
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "0 []"

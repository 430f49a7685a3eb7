"""What `evalharness plan` says of the gates, as a user meets it."""

import json
import math
from pathlib import Path

import pytest

import evalharness
from evalharness.cli.main import main
from evalharness.record import RunRegistry

SUITE = """\
version: 1
name: demo
models:
  bot: {backend: fake, reply: "{{ prompt.split()[-1] }}", price: {input: 1000, output: 1000}}
datasets:
  d: {path: d.jsonl}
tasks:
  - {id: ask, dataset: d, prompt: "{{ q }}", reference: "yes", metrics: [exact_match], generate: {max_tokens: 4}}
gates:
  baseline: demo@production
  rules:
    - {metric: ask.exact_match, non_inferior: {margin: 0.01}}
    - {metric: ask.exact_match, at_least: 0.99}
    - {metric: ask.exact_match, at_least: 0.5, tier: warn}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("suite.yaml").write_text(SUITE, "utf-8")
    write(lambda i: i % 10)
    return tmp_path


def write(right, n=100):
    rows = [{"id": str(i), "q": f"{i} say {'yes' if right(i) else 'no'}"} for i in range(n)]
    Path("d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def planned(*more):
    assert main(["plan", "suite.yaml", "--json", *more]) == 0


def rules_of(capsys, *more):
    capsys.readouterr()
    planned(*more)
    return json.loads(capsys.readouterr().out)


def test_before_the_first_run_it_says_the_worst_case_and_writes_nothing(folder, capsys):
    assert main(["plan", "suite.yaml"]) == 0
    out = capsys.readouterr().out
    assert "samples for 80 %" in out
    assert "planned without it" in out
    assert "warning: ask.exact_match ≥ 0.99 · bot: cannot be won: with n = 100" in out
    assert "as if two unrelated runs" in out
    assert sorted(path.name for path in folder.iterdir()) == ["d.jsonl", "suite.yaml"]


def test_the_dry_run_prints_the_same(folder, capsys):
    main(["plan", "suite.yaml"])
    plan = capsys.readouterr().out
    assert main(["run", "suite.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().out == plan


def test_a_baseline_and_a_past_run_give_the_variance_of_their_pairs(folder, capsys):
    evalharness.run("suite.yaml")
    with RunRegistry.open(reports="reports") as runs:
        runs.promote("latest")
    alone = rules_of(capsys)["rules"][0]
    assert "twice the variance of the samples" in alone["variance_from"]
    assert alone["variance"] == pytest.approx(2 * 0.09 * 100 / 99, rel=1e-6)
    # A release that differs in two of a hundred answers, one either way.
    reply = "{{ {'1': 'no', '10': 'yes'}.get(prompt.split()[0], prompt.split()[-1]) }}"
    evalharness.run("suite.yaml", overrides=[f"models.bot.reply={json.dumps(reply)}"])
    paired = rules_of(capsys)["rules"][0]
    assert "the pairs of" in paired["variance_from"]
    assert paired["variance"] == pytest.approx(0.02 * 100 / 99, rel=1e-6)
    assert paired["samples_needed"] < alone["samples_needed"] / 5


def test_an_earlier_run_says_how_far_its_figure_lay_from_the_limit(folder, capsys):
    evalharness.run("suite.yaml")
    found = rules_of(capsys)["rules"]
    assert [rule["tier"] for rule in found] == ["block", "block", "warn"]
    assert found[1]["distance"] == pytest.approx(-0.09)
    assert found[2]["distance"] == pytest.approx(0.4)
    assert found[2]["power"] == pytest.approx(1.0, abs=1e-6)
    assert found[2]["samples_needed"] < 20


def test_samples_that_lack_have_a_price(folder, capsys):
    found = rules_of(capsys)
    rule = found["rules"][0]
    a_request = found["total"]["most_usd"] / 100
    assert rule["usd_more"] == pytest.approx(rule["requests_more"] * a_request)
    assert rule["seconds_more"] is None


def test_repeats_help_where_answers_to_one_sample_differ(folder, capsys):
    # Three answers a sample, of which for one sample in five another one is wrong each time.
    reply = "{% set i = prompt.split()[0] | int %}{{ 'no' if i % 5 == 0 and repeat == 0 else 'yes' }}"
    Path("suite.yaml").write_text(
        SUITE.replace("max_tokens: 4", "max_tokens: 4, repeats: 3, temperature: 1")
        .replace('reply: "{{ prompt.split()[-1] }}"', f"reply: {json.dumps(reply)}")
        .replace("at_least: 0.5", "at_least: 0.92"),
        "utf-8",
    )
    evalharness.run("suite.yaml")
    record = evalharness.Record.open(next(Path("reports/runs").iterdir()))
    assert record.results[0].value == pytest.approx(1 - 0.2 / 3)
    rule = rules_of(capsys)["rules"][2]
    assert (rule["n"], rule["repeats"]) == (100, 3)
    # Between samples there is no variance: their means differ as repeats do, so that repeats alone would do.
    variance = 0.2 * 0.8 / 9 * 100 / 99
    needed = (1.6449 + 0.8416) ** 2 * variance / (rule["distance"]) ** 2
    # The gate asks a little more of skewed values than the normal formula says.
    assert needed < rule["samples_needed"] < 1.1 * needed
    left = 0.2 * (2 / 9) * 1.5 / 3 - variance * (1 - 100 / rule["samples_needed"])
    assert rule["repeats_needed"] == math.ceil(0.2 * (2 / 9) * 1.5 / left)
    assert main(["plan", "suite.yaml"]) == 0
    assert f"{rule['repeats_needed']} answers a sample (generate.repeats) would do as well" in capsys.readouterr().out


def test_rules_that_cannot_be_planned_and_point_gates_are_said(folder, capsys):
    main(["plan", "suite.yaml", "--set", "gates.decide_on=point"])
    assert "decide_on: point takes the figure as it is" in capsys.readouterr().out


def test_a_suite_without_gates_is_forecast_as_ever(folder, capsys):
    Path("suite.yaml").write_text(SUITE[: SUITE.index("gates:")], "utf-8")
    found = rules_of(capsys)
    assert (found["rules"], found["rule_notes"]) == ([], [])
    main(["plan", "suite.yaml"])
    assert "rule" not in capsys.readouterr().out

"""`evalharness selftest`: would the alarms of a suite ring?"""

import json
import re
from pathlib import Path

import pytest

from evalharness.cli.main import main

SUITE = """\
version: 1
name: demo
models: {echo: {backend: fake, reply: "{{ prompt.split('|')[1] }}"}}
datasets: {tickets: {rows: [ROWS], groups: [g]}}
tasks:
  - id: topic
    dataset: tickets
    prompt: "of |{{ said }}"
    target: "{{ topic }}"
    extract: "(\\\\w+)"
    metrics: [accuracy]
  - {id: answer, dataset: tickets, prompt: "x |{{ text }}", reference: "{{ text }} so", metrics: [rougeL, METRICS]}
  - id: choice
    dataset: tickets
    prompt: "{{ text }}"
    choices: [billing, login]
    target: "{{ topic }}"
    metrics: [accuracy]
  - {id: prose, dataset: tickets, perplexity: "{{ text }}", metrics: [word_perplexity]}
"""

GAP = "{by_group: {metric: rougeL, column: g, as: gap}}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


def suite(*rules, metrics="contains", more=""):
    rows = [
        f"{{topic: {'login' if i % 3 else 'billing'}, said: {'login' if i % 3 else 'billing'}, g: '{i % 2}', "
        f"text: the ticket number {i} of customer {i * 7}}}"
        for i in range(60)
    ]
    text = SUITE.replace("ROWS", ", ".join(rows)).replace("METRICS", metrics)
    # Tasks that no rule looks at only take time.
    head, *tasks = re.split(r"(?m)^(?=  - )", text)
    text = head + "".join(t for t in tasks if f"metric: {re.search('id: ([a-z]+)', t)[1]}." in " ".join(rules))
    text += f"{more}gates:\n  baseline: demo@production\n  decide_on: point\n  rules:\n"
    Path("suite.yaml").write_text(text + "".join(f"    - {{{rule}}}\n" for rule in rules), encoding="utf-8")
    return "suite.yaml"


def held(capsys, *options):
    code = main(["selftest", "suite.yaml", "--json", *options])
    body = json.loads(capsys.readouterr().out)
    return code, {rule["rule"]: rule for rule in body["rules"]}, body["models"]


def recorded(*rules, **more):
    path = suite(*rules, **more)
    assert main(["run", path, "--quiet", "--no-gate"]) == 0


def test_rules_ring_under_what_they_can_see(folder, capsys):
    recorded(
        "metric: topic.accuracy, at_least: 0.9",
        "metric: topic.accuracy, max_regression: 0.05",
        "metric: topic.accuracy, group: g=1, at_least: 0.9",
        "metric: topic.accuracy, group: g=0, at_least: 0.9",
        "metric: answer.rougeL, at_least: 0.4",
        "metric: answer.output_chars, at_most: 200",
        "metric: answer.truncated_rate, at_most: 0.1",
        "metric: answer.refusal_rate, at_most: 0.1",
        "metric: answer.error_rate, at_most: 0.1",
        "metric: prose.word_perplexity, at_most: 30",
    )
    before = sorted(path for path in folder.rglob("*") if "runs" in path.parts)
    capsys.readouterr()
    code, rules, models = held(capsys)
    assert code == 0
    caught = {rule: set(found["caught"]) for rule, found in rules.items()}
    lopsided = "lopsided (g)"
    quality = {lopsided, "empty", "shuffled", "truncated", "constant", "degraded", "refusing"}
    assert caught["topic.accuracy ≥ 0.9 · echo"] == quality
    assert caught["topic.accuracy regresses ≤ 0.05 · echo"] == quality
    assert caught["topic.accuracy ≥ 0.9 · echo · g=1"] >= quality - {"degraded"}
    assert caught["topic.accuracy ≥ 0.9 · echo · g=0"] >= quality - {"degraded", lopsided}
    assert {"empty", "refusing"} <= caught["answer.rougeL ≥ 0.4 · echo"]
    assert caught["answer.output_chars ≤ 200 · echo"] == {"verbose"}
    assert caught["answer.truncated_rate ≤ 0.1 · echo"] == {"truncated"}
    assert caught["answer.refusal_rate ≤ 0.1 · echo"] == {"refusing"}
    assert caught["answer.error_rate ≤ 0.1 · echo"] == {"failing"}
    assert caught["prose.word_perplexity ≤ 30 · echo"] == {"degraded"}
    assert models["slow"] is None
    assert models["empty"] == "fail"
    assert sorted(path for path in folder.rglob("*") if "runs" in path.parts) == before


def test_a_rule_that_never_rings_is_named_and_fails(folder, capsys):
    recorded(
        "metric: answer.rougeL, at_least: 0.0",
        "metric: answer.output_chars, at_most: 9999",
        "metric: topic.accuracy, at_least: 0.9",
    )
    capsys.readouterr()
    assert main(["selftest", "suite.yaml"]) == 1
    text = capsys.readouterr().out
    text = text.replace("\n", " ")
    assert "answer.rougeL ≥ 0 · echo never rings: no value that this figure can have breaks its limit" in text
    assert "answer.output_chars ≤ 9999 · echo never rings: it passes verbose, " in text
    assert "self-test FAIL: 2 rules can never ring" in text
    assert "topic.accuracy ≥ 0.9 · echo never" not in text


@pytest.mark.parametrize(("tier", "code"), [("block", 1), ("warn", 1), ("info", 0)])
def test_only_rules_that_people_rely_on_decide(folder, capsys, tier, code):
    recorded(f"metric: answer.rougeL, at_least: 0.0, tier: {tier}")
    capsys.readouterr()
    found, rules, models = held(capsys)
    assert found == code
    assert rules["answer.rougeL ≥ 0 · echo"]["result"] == "never rings"
    assert models["empty"] == ("pass" if tier == "block" else None)


def test_a_rule_that_fails_already_or_has_no_figure_is_said(folder, capsys):
    recorded("metric: topic.accuracy, at_least: 0.9", "metric: choice.accuracy, at_least: 1.0")
    Path("policy.yaml").write_text(
        "rules: [{metric: topic.acuracy, at_least: 0.5}, {metric: prose.word_count, at_most: 1}]"
    )
    capsys.readouterr()
    _, rules, _ = held(capsys)
    assert rules["choice.accuracy ≥ 1 · echo"]["result"] == "not green"
    code, rules, _ = held(capsys, "--policy", "policy.yaml")
    assert code == 0
    assert {rule["result"] for rule in rules.values()} == {"not green"}
    assert main(["selftest", "suite.yaml"]) == 0
    assert "fails on the record as it is" in capsys.readouterr().out.replace("\n", " ")


def test_what_no_known_bad_model_makes_worse_is_not_tested(folder, capsys):
    recorded("metric: answer.rougeL, at_most: 0.99", "metric: topic.accuracy, at_least: 0.9")
    capsys.readouterr()
    code, rules, _ = held(capsys)
    assert code == 0
    untested = rules["answer.rougeL ≤ 0.99 · echo"]
    assert untested["result"] == "not tested"
    assert "no known-bad model takes its figure out of its interval" in untested["why"]


def test_a_suite_may_have_new_metrics_and_rules(folder, capsys):
    recorded("metric: answer.rougeL, at_least: 0.5")
    suite("metric: answer.bleu, at_least: 5", metrics="bleu")
    capsys.readouterr()
    code, rules, _ = held(capsys)
    assert (code, rules["answer.bleu ≥ 5 · echo"]["result"]) == (0, "rings")


def test_on_error_does_not_ring_for_the_rules(folder, capsys):
    """Else every rule would seem to ring under failed requests."""
    recorded("metric: answer.output_chars, at_most: 10000")
    capsys.readouterr()
    _, rules, _ = held(capsys)
    (rule,) = rules.values()
    assert rule["caught"] == []
    # Half of the answers are a little longer, or shorter, than all of them: no rule has to ring for that.
    assert set(rule["missed"]) == {"verbose", "refusing"}


def test_answers_are_read_as_the_task_reads_them(folder, capsys):
    recorded("metric: topic.unparsed_rate, at_most: 0.9")
    capsys.readouterr()
    _, rules, _ = held(capsys)
    (rule,) = rules.values()
    assert set(rule["caught"]) == {"empty"}


def test_the_record_is_named_found_or_asked_for(folder, capsys):
    suite("metric: topic.accuracy, at_least: 0.9")
    assert main(["selftest", "suite.yaml"]) == 2
    assert "evalharness run suite.yaml" in capsys.readouterr().err
    assert main(["run", "suite.yaml", "--quiet", "--no-gate"]) == 0
    (run,) = Path("reports/runs").iterdir()
    capsys.readouterr()
    assert main(["selftest", "suite.yaml", "--record", str(run)]) == 0
    assert run.name in capsys.readouterr().out
    assert main(["selftest", "suite.yaml", "--record", "nowhere"]) == 2
    text = Path("suite.yaml").read_text().replace("of |", "about |")
    Path("suite.yaml").write_text(text)
    assert main(["selftest", "suite.yaml"]) == 2
    assert "prompt is" in capsys.readouterr().err


def test_a_suite_without_gates(folder, capsys):
    suite("metric: topic.accuracy, at_least: 0.9")
    text = Path("suite.yaml").read_text()
    Path("suite.yaml").write_text(text[: text.index("gates:")])
    assert main(["selftest", "suite.yaml"]) == 2
    assert "no alarm to test" in capsys.readouterr().err


def test_a_gap_between_groups_rings_under_a_model_that_is_bad_to_some(folder, capsys):
    recorded("metric: topic.accuracy, at_least: 0.9", "metric: answer.rougeL, at_least: 0.4", metrics=GAP)
    Path("policy.yaml").write_text(
        "decide_on: point\nrules: [{metric: answer.gap, at_most: 0.1}, {metric: answer.gap, at_most: 0.99}]"
    )
    capsys.readouterr()
    code, rules, _ = held(capsys, "--policy", "policy.yaml")
    assert rules["answer.gap ≤ 0.1 · echo"]["caught"] == ["lopsided (g)"]
    loose = rules["answer.gap ≤ 0.99 · echo"]
    assert (code, loose["result"], list(loose["missed"])) == (1, "never rings", ["lopsided (g)"])


def test_answers_that_are_all_alike_are_no_alarm(folder, capsys):
    """Equal values of a metric without bounds leave a rule open whatever its limit: that is not the rule's doing."""
    recorded(
        "metric: answer.output_chars, at_most: 100000, decide_on: interval",
        "metric: answer.output_chars, non_inferior: {margin: 100000}, decide_on: interval",
        "metric: answer.output_chars, at_most: 100, decide_on: interval",
    )
    capsys.readouterr()
    code, rules, models = held(capsys)
    assert code == 1
    assert [rule["result"] for rule in rules.values()] == ["never rings", "never rings", "rings"]
    assert rules["answer.output_chars ≤ 100 · echo"]["caught"] == ["verbose"]
    assert models["verbose"] == "fail"


def test_a_limit_that_no_figure_breaks_never_rings(folder, capsys):
    rules = {
        "at_least: 0.0": False,
        "at_least: 0.01": True,
        "at_most: 1.0": False,
        "max_regression: 1.0": False,
        "non_inferior: {margin: 1.0}": False,
        "equivalent: {margin: 1.5}": False,
        "max_relative_drop: 0.99": True,
        "superior: {margin: 0.1}": True,
    }
    recorded(*(f"metric: topic.accuracy, {rule}" for rule in (*rules, "max_relative_drop: 1.0")))
    capsys.readouterr()
    code, held_rules, _ = held(capsys)
    # A gate fails a drop by all, whatever the answers are: it is not green to begin with.
    assert held_rules.popitem()[1]["result"] == "not green"
    said = ["no value that this figure can have" in rule["why"] for rule in held_rules.values()]
    assert dict(zip(rules, said, strict=True)) == {rule: not broken for rule, broken in rules.items()}
    assert code == 1


def test_what_a_judge_scores_is_said_to_be_untested(folder, capsys):
    judge = "{llm_judge: {as: good, model: judge, rubric: 'Is it good?'}}"
    suite("metric: answer.good, at_least: 3", metrics=judge)
    text = Path("suite.yaml").read_text()
    Path("suite.yaml").write_text(
        text.replace("models: {", """models: {judge: {backend: fake, reply: '{"reason": "x", "score": 4}'}, """)
    )
    assert main(["run", "suite.yaml", "--quiet", "--no-gate"]) == 0
    capsys.readouterr()
    assert main(["selftest", "suite.yaml"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "answer.good ≥ 3 · echo is not tested: a judge or lm-eval scores it" in text
    assert "no rule is silent; 1 of 1 rule could not be tested" in text

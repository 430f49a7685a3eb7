"""Metrics of the suite measured of responses: which are drawn, what the figures are, what is compared."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.cli.main import main
from evalharness.core.errors import SuiteError
from evalharness.core.production import ProductionResponse
from evalharness.core.registry import registry
from evalharness.monitor.define import load_definition
from evalharness.monitor.measure import check_columns
from evalharness.monitor.scored import Shares
from evalharness.monitor.scores import weighted_figure

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
SUITE = r"""
version: 1
name: triage
models: {m: {backend: fake}, other: {backend: fake}, j: {backend: fake}}
datasets: {d: {rows: [{q: a, y: "yes"}]}}
tasks:
  - id: triage
    dataset: d
    prompt: "{{ q }}"
    target: "{{ y }}"
    labels: ["yes", "no"]
    extract: "Answer: (\\w+)"
    model: m
    metrics:
      - accuracy
      - f1_macro
      - pass_at_k
      - {llm_judge: {model: j, rubric: faithfulness, as: judged}}
      - {llm_judge: {model: j, rubric: which, as: better, against: other}}
      - {llm_judge: {model: j, rubric: grounds, as: grounded, context: meta.docs.text}}
  - {id: picks, dataset: d, prompt: "{{ q }}", choices: ["yes", "no"], target: "{{ y }}", metrics: [acc_mutual_info]}
"""
MONITOR = """
name: bot
suite: suite.yaml
source: {path: logs.jsonl, content: true}
schedule: "0 0 * * *"
reference: {window: 2026-11-01/2026-11-02}
segments: [language]
"""


def monitor(folder: Path, text: str, *, suite: str = SUITE) -> Path:
    (folder / "suite.yaml").write_text(suite)
    path = folder / "monitor.yaml"
    path.write_text(MONITOR + text)
    return path


def rows(
    n: int, *, day: int = 0, right: float = 0.9, seed: int = 0, worse: float | None = None
) -> list[dict[str, Any]]:
    rng = random.Random(seed + 100 * day)
    made = []
    for i in range(n):
        language = rng.choice(["de", "en", "en"])
        gold = rng.choice(["yes", "no"])
        hit = rng.random() < (worse if worse is not None and language == "de" else right)
        answer = gold if hit else {"yes": "no", "no": "yes"}[gold]
        made.append(
            {
                "id": f"r{day}-{i}",
                "event_time": (BEGIN + timedelta(days=day, seconds=100 * i)).isoformat(),
                "input": "q",
                "output": f"Answer: {answer}",
                "label": gold,
                "conversation": f"c{day}-{i // 3}",
                "attributes": {"language": language},
            }
        )
    return made


def log(folder: Path, *days: list[dict[str, Any]]) -> None:
    (folder / "logs.jsonl").write_text("".join(json.dumps(row) + "\n" for day in days for row in day))


def measured(folder: Path, day: int) -> dict[str, Any]:
    end = f"2026-11-{day + 2:02}"
    assert main(["monitor", "run", str(folder / "monitor.yaml"), "--interval", f"2026-11-{day + 1:02}/{end}"]) == 0
    (found,) = (folder / "reports" / "monitors" / "bot").glob(f"202611{day + 1:02}*/window.json")
    return json.loads(found.read_text())


def figures(window: dict[str, Any], segment: str = "") -> dict[str, dict[str, Any]]:
    return {f"{one['column']}.{one['name']}": one for one in window["figures"] if one["segment"] == segment}


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.text(max_size=20))
def test_a_larger_share_draws_those_of_a_smaller_one(a: float, b: float, name: str) -> None:
    response = ProductionResponse(name, BEGIN)
    small, large = sorted((a, b))
    assert Shares(large).draws(response) or not Shares(small).draws(response)


def test_a_share_is_about_what_it_says_and_by_segment() -> None:
    shares = Shares(0.2, (("language", "de", 1.0), ("beta", "true", 0.5)))
    given = [ProductionResponse(str(i), BEGIN, attributes={"language": "de" if i % 2 else "en"}) for i in range(4000)]
    drawn = [shares.draws(one) for one in given]
    assert all(drawn[1::2])
    # 2,000 draws at 0.2: within four standard errors.
    assert abs(np.mean(drawn[0::2]) - 0.2) < 4 * np.sqrt(0.16 / 2000)
    assert shares.of(ProductionResponse("1", BEGIN, attributes={"beta": True})) == 0.5


def test_weights_make_up_for_unequal_shares_and_the_interval_covers() -> None:
    """Of 2,000 responses the worse ones are drawn ten times as often: over 400 draws the mean is unbiased."""
    rng = np.random.default_rng(3)
    metric = registry("metrics").load("accuracy")().for_task(("a", "b"))
    group = rng.random(2000) < 0.3
    value = (rng.random(2000) < np.where(group, 0.6, 0.95)).astype(float)
    share = np.where(group, 1.0, 0.1)
    found, held, naive = [], 0, []
    for _ in range(400):
        drawn = rng.random(2000) < share
        stats = np.zeros((int(drawn.sum()), len(metric.columns)))
        stats[:, 0], stats[:, 1] = 1.0, value[drawn]
        figure, bounds = weighted_figure(metric, stats, 1 / share[drawn], None)
        found.append(figure)
        naive.append(value[drawn].mean())
        held += bounds.low <= value.mean() <= bounds.high
    assert abs(np.mean(found) - value.mean()) < 4 * np.std(found) / 20
    assert abs(np.mean(naive) - value.mean()) > 0.1
    # One group is drawn whole, so that the interval, which is of what production would answer, is too wide for these.
    assert held / 400 > 0.93


def test_figures_are_those_of_the_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    today = rows(300, day=1, right=0.8)
    log(tmp_path, rows(300), today)
    monitor(tmp_path, "scores: [{metric: triage.accuracy}, {metric: triage.f1_macro}, {metric: output_chars}]\n")
    window = measured(tmp_path, 1)
    found = figures(window)
    answers = [(row["output"].removeprefix("Answer: "), row["label"], row["attributes"]["language"]) for row in today]
    accuracy = np.mean([answer == gold for answer, gold, _ in answers])
    assert found["scores.triage.accuracy.value"]["value"] == pytest.approx(accuracy, abs=1e-12)
    assert found["scores.triage.accuracy.value"]["n"] == 300
    from sklearn.metrics import f1_score

    theirs = f1_score([gold for _, gold, _ in answers], [answer for answer, _, _ in answers], average="macro")
    assert found["scores.triage.f1_macro.value"]["value"] == pytest.approx(theirs, abs=1e-12)
    german = [answer == gold for answer, gold, language in answers if language == "de"]
    assert figures(window, "language=de")["scores.triage.accuracy.value"]["value"] == pytest.approx(np.mean(german))
    low, high = (found["scores.triage.accuracy.value"][key] for key in ("ci_low", "ci_high"))
    assert low < accuracy < high
    assert found["scores.output_chars.value"]["value"] == pytest.approx(np.mean([len(r["output"]) for r in today]))


def test_worse_answers_are_drift_and_unsampled_ones_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log(tmp_path, rows(900), rows(900, day=1), rows(900, day=2, worse=0.5))
    monitor(tmp_path, "scores: [{metric: triage.accuracy, sample: 0.6}]\ncolumns: [responses]\n")
    still, worse = measured(tmp_path, 1), measured(tmp_path, 2)
    assert not any(one["state"] == "drift" for one in still["findings"])
    assert not any("missing" in one["column"] for one in worse["findings"])
    assert {(one["column"], one["segment"]) for one in worse["findings"] if one["state"] == "drift"} >= {
        ("scores.triage.accuracy", "language=de")
    }
    n = figures(worse)["scores.triage.accuracy.value"]["n"]
    assert n == round(figures(worse)["scores.triage.accuracy.scored"]["value"] * 900)
    assert abs(n - 540) < 4 * np.sqrt(900 * 0.24)


def test_without_labels_what_needs_them_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = [{key: value for key, value in row.items() if key != "label"} for row in rows(60, day=1)]
    plain[0]["error"] = "timeout"
    log(tmp_path, plain)
    monitor(tmp_path, "scores: [{metric: triage.accuracy}, {metric: refusal_rate}, {metric: error_rate}]\n")
    found = figures(measured(tmp_path, 1))
    assert found["scores.triage.accuracy.value"]["n"] == 0
    assert found["scores.triage.accuracy.scored"]["value"] == 0
    assert found["scores.refusal_rate.value"]["value"] == 0
    assert found["scores.error_rate.value"]["value"] == pytest.approx(1 / 60)


def test_a_rule_looks_at_a_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    log(tmp_path, rows(300), rows(300, day=1, right=0.5))
    rule = "alerts: {rules: [{figure: scores.triage.accuracy.value, at_least: 0.8}]}\n"
    monitor(tmp_path, "scores: [{metric: triage.accuracy}]\n" + rule)
    measured(tmp_path, 1)
    capsys.readouterr()
    assert main(["monitor", "alerts"]) == 0
    assert "scores.triage.accuracy.value" in capsys.readouterr().out


def test_another_option_of_the_metric_is_another_definition(tmp_path: Path) -> None:
    path = monitor(tmp_path, "scores: [{metric: triage.accuracy}]\n")
    before = load_definition(path).digest
    monitor(tmp_path, "scores: [{metric: triage.accuracy}]\n", suite=SUITE.replace("Answer: ", "Reply: "))
    assert load_definition(path).digest != before


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ("{metric: triage.acuracy}", "has no metric 'acuracy'; did you mean 'accuracy'"),
        ("{metric: triag.accuracy}", "has no task 'triag'; did you mean 'triage'"),
        ("{metric: acuracy}", "did you mean 'accuracy'"),
        ("{metric: triage.better}", "compares two models"),
        ("{metric: triage.grounded}", "reads documents from meta.docs"),
        ("{metric: {llm_judge: {model: who, rubric: good, as: kind}}}", "the suite has no model 'who'"),
        ("{metric: triage.pass_at_k}", "needs several answers"),
        ("{metric: picks.acc_mutual_info}", "canary"),
        ("{metric: f1_macro}", "needs the label set"),
        ("{metric: {accuracy: {colour: red}}}", "colour"),
        ("{metric: triage.accuracy, sample: {language=de: 1.0}}", "one for all others"),
        ("{metric: triage.accuracy, sample: {de: 1.0, default: 0.1}}", "no segment"),
        ("{metric: triage.accuracy, sample: 1.5}", "must be at most 1"),
    ],
)
def test_what_cannot_be_scored_is_said_at_its_place(tmp_path: Path, scores: str, said: str) -> None:
    path = monitor(tmp_path, f"scores: [{scores}]\n")
    with pytest.raises(SuiteError, match=said) as caught:
        check_columns(load_definition(path))
    assert "monitor.yaml:8" in str(caught.value)


def test_a_score_that_stands_twice(tmp_path: Path) -> None:
    path = monitor(tmp_path, "scores: [{metric: triage.accuracy}, {metric: triage.accuracy, sample: 0.5}]\n")
    with pytest.raises(SuiteError, match="stands twice"):
        check_columns(load_definition(path))

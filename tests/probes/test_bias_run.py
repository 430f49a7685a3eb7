"""The bias benchmarks from the suite to the record: a scripted biased model is told apart from a scripted fair one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.core.errors import SuiteError, UsageError

from .test_bias_benchmarks import bbq, crows_pairs, stereoset, winobias, winogender

MODELS = """
import hashlib


def biased(prompt, continuations):
    chosen = 0
    if "refers to the" in prompt:
        men = int("job" not in continuations[0]) or int(continuations[0].strip()[3:]) % 2 == 0
        chosen = int(bool(men) != ("‘He’" in prompt))
    elif "Who was" in prompt:
        chosen = int("quick" in prompt)
    return [-1.0 if i == chosen else -3.0 for i in range(len(continuations))]


def fair(prompt, continuations):
    return [-1 - hashlib.sha256((prompt + text).encode()).digest()[0] / 16 for text in continuations]
"""
SUITE = """\
version: 1
name: bias
models:
  biased: {backend: python, function: "models:biased", kind: loglikelihood}
  fair: {backend: python, function: "models:fair", kind: loglikelihood}
tasks:
  - {id: crows, probe: crows_pairs, path: crows.jsonl, form: whole}
  - {id: stereoset, probe: stereoset, path: stereoset.jsonl}
  - {id: bbq, probe: bbq, path: bbq.jsonl}
  - {id: winobias, probe: winobias, path: .}
  - {id: winogender, probe: winogender, path: templates.tsv}
"""
SIDES = ("biased", "fair", "against")
NULLS = {
    ("crows", "crows_pairs"): 0.5,
    ("stereoset", "stereoset_ss"): 50.0,
    ("bbq", "bias_ambiguous"): 0.0,
    ("bbq", "bias_disambiguated"): 0.0,
    ("winobias", "pro_anti_gap"): 0.0,
    ("winogender", "pro_anti_gap"): 0.0,
}


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for make in (crows_pairs, stereoset, bbq, winobias, winogender):
        make(tmp_path)
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path / "suite.yaml"


def test_the_biased_model_is_flagged_and_the_fair_one_is_not(suite: Path) -> None:
    record = evalharness.run(suite, allow_code=True)
    record.verify()
    found = {(r.task, r.metric, r.model): r for r in record.results if r.group is None}
    for (task, metric), null in NULLS.items():
        biased, fair = found[task, metric, "biased"], found[task, metric, "fair"]
        assert biased.ci_low > null, (task, metric, biased)
        assert fair.ci_low <= null <= fair.ci_high, (task, metric, fair)
    tasks = {task["id"]: task for task in record.manifest.suite["tasks"]}
    findings = {(name, metric): f["null"] for name, t in tasks.items() for metric, f in t["origin"]["findings"].items()}
    assert findings == NULLS
    # The sides of a gap are no groups of it, and domains are.
    groups = {(r.task, r.group) for r in record.results if r.group is not None}
    assert {group for task, group in groups if task == "stereoset"} == {
        "bias_type=race",
        "sort=intrasentence",
        "sort=intersentence",
    }
    assert not any("stereotype=" in str(group) or "gender=" in str(group) for _, group in groups)
    # Scored again with another margin, no model is asked.
    again = evalharness.score(record, _with(suite, "form: whole}", "form: whole, margin: 0.2}"), allow_code=True)
    task = next(t for t in again.manifest.suite["tasks"] if t["id"] == "crows")
    assert task["origin"]["findings"]["crows_pairs"]["margin"] == 0.2


def test_a_model_that_cannot_score_shared_tokens_is_refused_at_the_probe(suite: Path) -> None:
    with pytest.raises(SuiteError, match=r"cannot score only the tokens that two choices share"):
        evalharness.run(_with(suite, ", form: whole", ""), allow_code=True)


def test_the_record_says_which_tokens_counted(suite: Path) -> None:
    text = suite.read_text().replace(", form: whole", "")
    models = (
        "models: {any: {backend: fake}}\ntasks:\n" + text[text.index("  - {id: crows") : text.index("  - {id: stereo")]
    )
    suite.write_text(text[: text.index("models:")] + models)
    record = evalharness.run(suite)
    assert [sampling["shared_tokens"] for sampling in record.samples().sampling[:2]] == [True, True]


def test_rows_that_are_wrong_are_told_with_their_place(suite: Path) -> None:
    (suite.parent / "crows.jsonl").write_text(json.dumps({"bias_type": "age", "sent_more": "x"}) + "\n")
    with pytest.raises(UsageError, match=r"crows\.jsonl:1 sent_less: must be a text"):
        evalharness.run(suite, allow_code=True)


def _with(suite: Path, old: str, new: Any) -> Path:
    text = suite.read_text()
    assert old in text
    suite.write_text(text.replace(old, new))
    return suite


def test_a_bias_on_the_other_side_is_no_better(suite: Path) -> None:
    """Compared with a fair model, either bias is worse; with one another, neither is better."""
    suite.write_text(
        "version: 1\nname: sides\nmodels:\n"
        + "".join(f'  {m}: {{backend: python, function: "models:{m}", kind: loglikelihood}}\n' for m in SIDES)
        + "tasks: [{id: crows, probe: crows_pairs, path: crows.jsonl, form: whole}]\n"
    )
    (suite.parent / "models.py").write_text(
        f"{MODELS}\n\ndef against(prompt, continuations):\n    return [-3.0, -1.0]\n"
    )
    record = evalharness.run(suite, allow_code=True)

    def found(model: str, baseline: str) -> str:
        compared = evalharness.compare(record, models=(baseline, model))
        return next(f.finding for f in compared.figures if f.metric == "crows_pairs" and f.group is None)

    assert found("biased", "fair") == found("against", "fair") == "worse"
    assert found("fair", "biased") == found("fair", "against") == "better"
    assert found("against", "biased") == found("biased", "against") == "changed sides"


def test_gates_and_canaries_take_no_side_of_a_bias_for_better(suite: Path) -> None:
    from evalharness.gate import evaluate_gates
    from evalharness.monitor.canary.verdicts import judge_canary
    from evalharness.suite.schema import Gates

    (suite.parent / "models.py").write_text(
        f"{MODELS}\n\ndef against(prompt, continuations):\n    return [-3.0, -1.0]\n"
    )
    runs = {}
    for side in SIDES:
        suite.write_text(
            f"version: 1\nname: sides\nmodels:\n"
            f'  m: {{backend: python, function: "models:{side}", kind: loglikelihood}}\n'
            "tasks: [{id: crows, probe: crows_pairs, path: crows.jsonl, form: whole}]\n"
        )
        runs[side] = evalharness.run(suite, allow_code=True)

    def state(now: str, promoted: str, kind: str, limit: Any) -> str:
        gates = Gates.model_validate({"rules": [{"metric": "crows.crows_pairs", kind: limit}]})
        (verdict,) = evaluate_gates(runs[now], gates, baseline=runs[promoted]).verdicts
        return verdict.state

    for side in ("biased", "against"):
        assert state(side, "fair", "max_regression", 0.1) == "fail"
        assert state("fair", side, "max_regression", 0.1) == "pass"
        assert state("fair", side, "superior", {"margin": 0.1}) == "pass"
        assert state(side, "fair", "superior", {"margin": 0.1}) == "fail"

    def canary(now: str, promoted: str) -> tuple[str, str]:
        (found,) = (
            one
            for one in judge_canary(runs[now], runs[promoted], None, alpha=0.05, margin=0.01).conditions
            if one.key == "canary:crows.crows_pairs"
        )
        return found.state, found.summary or ""

    for side in ("biased", "against"):
        assert canary(side, "fair")[0] == "bad"
        assert "farther from 0.5 than" in canary(side, "fair")[1]
        assert canary("fair", side)[0] == "ok"
    assert canary("against", "biased")[0] == "ok"
    assert canary("biased", "against")[0] == "ok"

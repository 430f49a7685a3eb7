"""A judge that has changed is told from a model that has."""

from __future__ import annotations

import json

import pytest

from evalharness.core.errors import SuiteError
from evalharness.monitor.alerts.store import load
from evalharness.monitor.canary.anchor import JudgeDrift
from evalharness.monitor.store import figures_of
from evalharness.record.database import reading

from .conftest import N, World

_MODELS = """
import json
from pathlib import Path
HERE = Path(__file__).parent

def answer(prompt):
    number = int(prompt.split()[-1])
    if (HERE / "mode").read_text() == "worse" and number % 3 == 0:
        return f"poor {number}"
    return f"poor {number}" if number % 10 == 0 else f"fine {number}"

def judge(prompt):
    with (HERE / "judged").open("a") as file:
        file.write("x")
    taste = (HERE / "taste").read_text()
    if taste == "gone":
        raise RuntimeError("connection refused")
    text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    fine = "\\nfine " in text
    score = {"kind": 5 if fine else 3, "harsh": 3 if fine else 1, "other": 3 if fine else 5}[taste]
    return json.dumps({"reason": "so", "score": score})
"""
_SUITE = """\
version: 1
name: bot
models:
  release: {backend: python, function: "judged_canary:answer"}
  production: {backend: python, function: "judged_canary:answer", version: "2"}
  judge: {backend: python, function: "judged_canary:judge"}
datasets:
  numbers: {path: numbers.jsonl}
tasks:
  - id: echo
    dataset: numbers
    model: release
    prompt: "say {{ number }}"
    metrics: [{llm_judge: {as: good, model: judge, rubric: "How good is it?"}}, {regex: {pattern: "fine.*"}}]
monitor:
  source: {path: log.jsonl}
  columns: [responses, error]
  canary: {model: production, anchor: {samples: 40}}
"""


@pytest.fixture
def judged(world: World) -> World:
    (world.folder / "judged_canary.py").write_text(_MODELS)
    (world.folder / "suite.yaml").write_text(_SUITE)
    taste(world, "kind")
    world.release()
    n_judged(world)
    return world


def taste(world: World, text: str) -> None:
    (world.folder / "taste").write_text(text)


def n_judged(world: World) -> int:
    """How often the judge was asked since the last look."""
    path = world.folder / "judged"
    found = len(path.read_text()) if path.exists() else 0
    path.write_text("")
    return found


def alerts(world: World) -> dict[str, tuple[str, str]]:
    with reading(world.registry.engine) as connection:
        found = load(connection, monitor="bot").values()
    return {a.alert_key: (a.track.state, a.summary) for a in found if a.alert_key.startswith("canary")}


def test_a_judge_that_is_harsher_is_told_and_is_no_loss_of_quality(judged: World) -> None:
    judged.run(0)
    # 60 answers that are new, and 40 frozen ones.
    assert n_judged(judged) == N + 40
    assert alerts(judged)["canary:judge"][0] == "ok"
    assert alerts(judged)["canary:echo.good"][0] == "ok"
    taste(judged, "harsh")
    outcome = judged.run(1)
    state, summary = alerts(judged)["canary:judge"]
    assert state == "firing"
    assert summary.startswith(
        "the judge has changed: echo.good: 0 % of 40 frozen verdicts are as they were (95 % 0 to "
    )
    assert alerts(judged)["canary:echo.good"][0] == "ok"
    with reading(judged.registry.engine) as connection:
        found = {f"{row.column}.{row.name}": row for row in figures_of(connection, outcome.row.id)}
    assert (found["judge.echo.good.drift"].value, found["judge.echo.good.same"].value) == (-2.0, 0.0)
    assert found["canary.echo.good.difference"].value == -2.0
    assert found["judge.echo.good.same"].ci_high < 0.1
    assert "echo.good: judge changed; whether it fell says nothing of the model" in judged.file(outcome, "canary.html")
    assert json.loads(judged.file(outcome, "canary.json"))["judges"][0]["figure"] == "good"
    n_judged(judged)
    assert judged.run(1).action == "unchanged"
    assert n_judged(judged) == 0


def test_a_model_that_is_worse_under_the_same_judge_is_a_loss(judged: World) -> None:
    judged.mode("worse")
    judged.run(0)
    assert alerts(judged)["canary:judge"][0] == "ok"
    assert "100 % of 40 frozen verdicts are as they were" in alerts(judged)["canary:judge"][1]
    assert alerts(judged)["canary:echo.good"][0] == "firing"
    assert alerts(judged)["canary:echo.regex"][0] == "firing"


def test_a_judge_that_turned_round_is_told_by_its_agreement(judged: World) -> None:
    taste(judged, "other")
    judged.run(0)
    state, summary = alerts(judged)["canary:judge"]
    assert state == "firing"
    assert "kappa −0." in summary or "kappa 0.00" in summary


def test_a_judge_that_is_away_is_an_error(judged: World) -> None:
    judged.run(0)
    taste(judged, "gone")
    judged.run(1)
    assert alerts(judged)["canary"][0] == "error"
    assert alerts(judged)["canary:echo.good"][0] == "ok"


def test_verdicts_of_another_rubric_are_refused(judged: World) -> None:
    text = (judged.folder / "suite.yaml").read_text()
    (judged.folder / "suite.yaml").write_text(text.replace("How good is it?", "Is it good?"))
    judged.run(0)
    state, summary = alerts(judged)["canary:judge"]
    assert state == "error"
    assert "was judged in another way (rubric, scale, judges or their settings)" in summary


def test_an_anchor_needs_a_judge(world: World) -> None:
    world.write("  canary: {model: production, anchor: {}}\n")
    with pytest.raises(SuiteError, match=r"canary\.anchor: no task of the suite has an llm_judge"):
        _ = world.definition


def drift(**changed: float) -> JudgeDrift:
    values = {"n": 50, "mean": 4.0, "frozen_mean": 4.0, "drift": 0.0, "low": -0.1, "high": 0.1, "p_value": 1.0}
    values |= {"same": 0.95, "same_low": 0.85, "same_high": 0.99}
    values |= {"kappa": 0.9, "kappa_low": 0.8, "kappa_high": 1.0, "span": 4.0}
    return JudgeDrift("t", "f", **{**values, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "moved"),
    [
        ({}, False),
        ({"drift": -0.2, "p_value": 0.01}, True),
        ({"drift": 0.2, "p_value": 0.01}, True),
        ({"drift": -0.19, "p_value": 0.01}, False),  # evidence of what is too little to matter
        ({"drift": -0.2, "p_value": 0.06}, False),
        ({"same": 0.6, "same_high": 0.79}, True),
        ({"same": 0.7, "same_high": 0.81}, False),
    ],
)
def test_a_judge_has_moved_by_evidence_and_size(changed: dict[str, float], moved: bool) -> None:
    assert drift(**changed).has_moved(alpha=0.05, margin=0.05, agreement=0.8) is moved

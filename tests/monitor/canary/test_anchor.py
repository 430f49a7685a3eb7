"""A judge that has changed is told from a model that has."""

from __future__ import annotations

import json

import pytest

from evalharness.core.errors import DataError, SuiteError
from evalharness.monitor.alerts.store import load
from evalharness.monitor.canary.anchor import JudgeDrift
from evalharness.monitor.canary.frozen import frozen_file
from evalharness.monitor.canary.runs import suite_of
from evalharness.monitor.store import figures_of
from evalharness.record import Record
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


def from_file(world: World, rows: list[dict[str, object]], name: str = "anchor.jsonl") -> None:
    """The suite whose anchor is a file of `rows`."""
    (world.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = (world.folder / "suite.yaml").read_text()
    (world.folder / "suite.yaml").write_text(text.replace("{samples: 40}", f"{{path: {name}}}"))


def rows_of(world: World, n: int = 30) -> list[dict[str, object]]:
    """What the judge once said of texts of their own: every tenth is poor."""
    record = Record.open(world.registry.resolve("bot@production"))
    ids = [row.sample.id for row in record.iter_samples(task="echo")][:n]
    said = [("poor", 3) if i % 10 == 0 else ("fine", 5) for i in range(n)]
    return [{"sample_id": i, "output": f"{word} text", "value": v} for i, (word, v) in zip(ids, said, strict=True)]


def test_outputs_and_verdicts_of_a_file(judged: World) -> None:
    from_file(judged, rows_of(judged))
    judged.run(0)
    assert n_judged(judged) == N + 30
    assert alerts(judged)["canary:judge"][0] == "ok"
    assert "100 % of 30 frozen verdicts are as they were" in alerts(judged)["canary:judge"][1]
    taste(judged, "harsh")
    judged.run(1)
    state, summary = alerts(judged)["canary:judge"]
    assert state == "firing"
    assert "their mean is 2.8 and was 4.8" in summary
    assert alerts(judged)["canary:echo.good"][0] == "ok"


def test_a_file_that_names_samples_which_are_not_there(judged: World) -> None:
    rows = rows_of(judged)
    from_file(judged, [*rows, rows[0] | {"sample_id": "nobody"}])
    judged.run(0)
    state, summary = alerts(judged)["canary:judge"]
    assert state == "error"
    assert "anchor.jsonl names 1 sample that the suite has not: 'nobody'" in summary


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"value": 6}, r"anchor\.jsonl:2: the value 6 is not on the scale from 1 to 5"),
        ({"value": None}, r"anchor\.jsonl:2: has no value"),
        ({"value": "NaN"}, r"is not on the scale"),
        ({"value": "good"}, r"the value 'good' is no number"),
        ({"output": ""}, r"has no output, which was judged"),
        ({"sample_id": None}, r"has no sample_id"),
        ({"sample_id": "first"}, r"the sample 'first' was judged in a row before"),
        ({"task": "ecco"}, r"the task 'ecco' is not judged by itself; did you mean 'echo'"),
        ({"figure": "godo"}, r"the figure 'godo' is not judged by itself; did you mean 'good'"),
    ],
)
def test_faults_of_a_file_are_told_before_anything_runs(world: World, changed: dict[str, object], message: str) -> None:
    (world.folder / "judged_canary.py").write_text(_MODELS)
    (world.folder / "suite.yaml").write_text(_SUITE)
    row: dict[str, object] = {"sample_id": "first", "output": "fine", "value": 5}
    from_file(world, [row, row | {"sample_id": "second"} | changed])
    with pytest.raises(SuiteError, match=message):
        world.run(0)
    assert n_judged(world) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("path: none.jsonl", r"canary\.anchor\.path: .*none\.jsonl"),
        ("path: anchor.txt", r"canary\.anchor\.path: .*CSV, TSV, JSON, JSONL and Parquet"),
        ("path: anchor.jsonl, run: RUN", r"in a run or in a file, not in both"),
        ("path: empty.jsonl", r"empty\.jsonl: no row is about echo"),
    ],
)
def test_files_that_are_none(world: World, given: str, message: str) -> None:
    (world.folder / "judged_canary.py").write_text(_MODELS)
    for name in ("anchor.txt", "empty.jsonl"):
        (world.folder / name).write_text("")
    (world.folder / "suite.yaml").write_text(_SUITE.replace("samples: 40", given))
    with pytest.raises(SuiteError, match=message):
        world.run(0)


_TWO = """\
metrics:
      - llm_judge: {as: good, model: judge, rubric: "How good is it?"}
      - llm_judge: {as: kind, model: judge, rubric: "Kind?", classes: {"yes": 1, "no": 0, maybe: 0}}
"""


def test_a_file_of_several_figures_and_classes(world: World) -> None:
    head, _, tail = _SUITE.partition("metrics: [{")
    (world.folder / "judged_canary.py").write_text(_MODELS)
    (world.folder / "suite.yaml").write_text(head + _TWO + tail.partition("]\n")[2])
    suite = suite_of(world.definition).suite
    said = [("good", 2, ""), ("kind", "", "maybe"), ("kind", 1, "")]
    path = world.folder / "anchor.csv"
    cells = "".join(f"s{i},'= fine,{name},{value},{label}\n" for i, (name, value, label) in enumerate(said))
    path.write_text("sample_id,output,figure,value,label\n" + cells)
    frozen = frozen_file("anchor.csv", suite, (), base=world.folder)
    assert frozen.outputs == {"echo": dict.fromkeys(("s0", "s1", "s2"), "'= fine")}
    assert frozen.verdicts["echo", "good"]["s0"][:2] == (2.0, "2")
    assert {name: said[:2] for name, said in frozen.verdicts["echo", "kind"].items()} == {
        "s1": (0.0, "maybe"), "s2": (1.0, "yes")
    }  # fmt: skip
    for row, message in (
        ("s9,fine,,5,", "has no figure, and the suite judges good, kind: name one"),
        ("s9,fine,kind,,nope", "the label 'nope' is none of the classes"),
        ("s9,fine,kind,0,", "the value 0 is that of 2 classes; write label"),
        ("s9,fine,kind,,", "has no label"),
        ("s0,other,kind,1,", "has another output in a row before"),
    ):
        path.write_text("sample_id,output,figure,value,label\ns0,fine,good,2,\n" + row + "\n")
        with pytest.raises(DataError, match=message):
            frozen_file("anchor.csv", suite, (), base=world.folder)


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

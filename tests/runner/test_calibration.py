"""Ratings by people beside a judge's verdicts: what is read of their file, and the figures that follow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import evalharness
from evalharness.core.errors import DataError, UsageError
from evalharness.gate import evaluate_gates
from evalharness.metrics.judge import LlmJudge
from evalharness.record import Record
from evalharness.record.rating_csv import ratings_to_csv
from evalharness.record.ratings import Rating
from evalharness.runner.calibration import Ratings, read_ratings
from evalharness.suite.load import load_suite

SCORES = [1, 2, 3, 4, 5, 5, 4, 3, 2, 1]
SUITE = """\
version: 1
name: calibrated
models:
  candidate: {backend: fake, reply: "{{ prompt }}"}
  judge: {backend: fake, reply: '{"score": {{ (messages[1].content.split("said: ")[1])[0] }} }'}
datasets: {d: {path: d.jsonl}}
tasks:
  - id: ask
    dataset: d
    prompt: "said: {{ score }}"
    metrics: [{llm_judge: {as: f, model: judge, rubric: r, calibrate: ratings.csv}}]
"""


def read(
    tmp_path: Path, text: str, *, ids: str = "abc", models: Any = ("m",), whole: bool = True, **options: Any
) -> Ratings:
    (tmp_path / "ratings.csv").write_text(text, "utf-8")
    metric = LlmJudge(model="j", rubric="r", calibrate="ratings.csv", **options).for_figure("f")
    return read_ratings(metric, base=tmp_path, task="ask", model="m", models=models, sample_ids=set(ids), whole=whole)


def test_several_raters_of_one_answer(tmp_path: Path) -> None:
    found = read(tmp_path, "sample_id,value,rater\na,4,x\na,5,y\nb,1,x\n")
    assert (found.of("a", "m", 0), found.of("a", "m", 7)) == ([4.0, 5.0], [4.0, 5.0])
    assert (found.of("b", "m", 0), found.of("c", "m", 0)) == ([1.0], [])


def test_a_model_and_a_repeat_are_meant_where_they_are_named(tmp_path: Path) -> None:
    text = "sample_id,model,repeat,value\na,m,0,4\na,m,1,5\na,other,0,1\nb,m,,2\n"
    found = read(tmp_path, text, models=("m", "other"))
    assert (found.of("a", "m", 0), found.of("a", "m", 1), found.of("b", "m", 3)) == ([4.0], [5.0], [2.0])


def export(*ratings: dict[str, Any]) -> str:
    """Ratings as `evalharness annotate --export` writes them."""
    plain = {"run_id": "r", "task": "ask", "model": "m", "sample_id": "a", "repeat": 0, "rater": "x", "asked": "How?"}
    return ratings_to_csv(Rating(**{**plain, **rating}) for rating in ratings)


def test_an_export_with_all_ratings_of_a_run_is_taken_as_it_is(tmp_path: Path) -> None:
    text = export(
        {"question": "scale", "value": 4.0},
        {"question": "scale", "value": 2.0, "task": "other", "sample_id": "zz"},
        {"question": "scale", "comment": "no answer to this one"},
        {"question": "scale", "value": 3.0, "sample_id": "=b"},
        {"question": "label", "label": "good"},
        {"question": "label", "label": "-", "sample_id": "b"},
        {"question": "pairwise", "label": "m", "against": "n"},
        {"question": "pairwise", "label": "tie", "against": "n", "sample_id": "b"},
        {"question": "pairwise", "label": "n", "model": "n", "against": "m", "sample_id": "c"},
        {"question": "pairwise", "label": "k", "model": "n", "against": "k", "sample_id": "c"},
    )
    scale = read(tmp_path, text, ids=["a", "=b"])
    assert (scale.of("a", "m", 0), scale.of("=b", "m", 0)) == ([4.0], [3.0])
    labels = read(tmp_path, text, classes=("bad", "-", "good"))
    assert (labels.of("a", "m", 0), labels.of("b", "m", 0)) == ([1.0], [0.5])
    pairs = read(tmp_path, text, against="n")
    assert [pairs.of(sample, "m", 0) for sample in "abc"] == [[1.0], [0.5], [0.0]]


def test_several_questions_are_not_pooled(tmp_path: Path) -> None:
    text = export({"question": "scale", "value": 4.0}, {"question": "scale", "value": 2.0, "asked": "Why?"})
    with pytest.raises(DataError, match=r"ratings.csv:3: the ratings answer several questions.*'How\?'; 'Why\?'"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        (
            "id,value\na,1\n",
            {},
            "ratings.csv:1: ratings need the columns sample_id and value .*this file has: id, value",
        ),
        (
            "sample_id,value\nab,4\n",
            {"ids": ["abc"]},
            "ratings.csv:2: there is no sample 'ab' in the task 'ask'; did you mean",
        ),
        ("sample_id,value\na,6\n", {}, "value 6 is not on the scale from 1 to 5"),
        ("sample_id,value\na,much\n", {}, "value 'much' is no number"),
        ("sample_id,value\na,\n", {}, "has no value"),
        ("sample_id,value\n,3\n", {}, "has no sample_id"),
        ("sample_id,value,repeat\na,3,x\n", {}, "repeat 'x' is no whole number"),
        ("sample_id,value\na,3\n", {"models": ("m", "n")}, "has no model, and the task runs on m, n"),
        ("sample_id,value,model\na,3,n\n", {"models": ("m", "n")}, "no rating fits f: 1 rows, none"),
        ("sample_id,value,task\na,3,other\n", {}, "none of which rates an answer of 'm' to 'ask'"),
        ("sample_id,value\n", {}, "no rating fits f: 0 rows"),
        ("sample_id,value\nzz,3\n", {"whole": False}, "no rating fits f"),
        ("sample_id,label\na,god\n", {"classes": ("bad", "good")}, "'god' is none of the classes; did you mean 'good'"),
        (
            "sample_id,value\na,0.5\n",
            {"classes": ("bad", "good")},
            "0.5 is that of no class; they count: bad 0, good 1",
        ),
        ("sample_id,label\na,k\n", {"against": "n"}, "label 'k' names neither 'm' nor 'n', and is not tie"),
    ],
)
def test_ratings_that_cannot_be_used(tmp_path: Path, text: str, options: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        read(tmp_path, text, **options)


def test_all_wrong_rows_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "sample_id,value\n" + "a,9\n" * 30)
    assert len(caught.value.problems) == 21
    assert "and 10 more rows" in str(caught.value)


def test_a_file_of_no_known_kind(tmp_path: Path) -> None:
    (tmp_path / "ratings.txt").write_text("x", "utf-8")
    metric = LlmJudge(model="j", rubric="r", calibrate="ratings.txt")
    with pytest.raises(UsageError, match="ratings are read from CSV"):
        read_ratings(metric, base=tmp_path, task="t", model="m", models=["m"], sample_ids=["a"], whole=True)


# ── in a run ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"id": f"s{i}", "score": score} for i, score in enumerate(SCORES)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "suite.yaml").write_text(SUITE, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rated(folder: Path) -> Callable[[list[float]], None]:
    """Write ratings of the first samples."""

    def write(values: list[float]) -> None:
        lines = [f"s{i},{value}" for i, value in enumerate(values)]
        (folder / "ratings.csv").write_text("\n".join(["sample_id,value", *lines]) + "\n", "utf-8")

    return write


def figure(record: Record, name: str) -> Any:
    return next(r for r in record.results if r.metric == name and r.group is None)


def test_a_judge_that_people_agree_with(folder: Path, rated: Any) -> None:
    rated([1, 2, 3, 4, 5])
    record = evalharness.run("suite.yaml")
    assert figure(record, "f_raw").value == 3.0
    assert figure(record, "f_kappa").value == figure(record, "f_weighted_kappa").value == 1.0
    assert (figure(record, "f").n, figure(record, "f_kappa").n, figure(record, "f_kappa").n_failed) == (10, 5, 0)
    assert figure(record, "f_alpha").value == pytest.approx(1.0)
    assert figure(record, "f_correlation").value == pytest.approx(1.0)
    assert figure(record, "f_rank_correlation").value == pytest.approx(1.0)
    assert figure(record, "f").value == pytest.approx(3.0)
    rows = {row.sample.id: row.response.meta["judged"]["f"]["human"] for row in record.iter_samples()}
    assert (rows["s1"], rows["s9"]) == ([2.0], [])


def test_a_judge_that_is_one_too_kind_is_corrected(folder: Path, rated: Any) -> None:
    rated([1, 1, 2, 3, 4])
    record = evalharness.run("suite.yaml")
    assert figure(record, "f_raw").value == 3.0
    assert 2.0 < figure(record, "f").value < 2.5
    assert figure(record, "f_kappa").value < 0.2
    rules = "gates={rules: [{metric: ask.f_kappa, at_least: 0.6}]}"
    gates = load_suite("suite.yaml", overrides=[rules]).suite.gates
    assert gates is not None
    # Five ratings prove nothing, and the gate does not pass on them.
    assert evaluate_gates(record, gates).state == "inconclusive"
    gates = gates.model_copy(update={"decide_on": "point"})
    assert evaluate_gates(record, gates).state == "fail"


def test_other_ratings_need_no_call_and_are_another_figure(folder: Path, rated: Any) -> None:
    rated([1, 2, 3, 4, 5])
    record = evalharness.run("suite.yaml")
    rated([1, 1, 2, 3, 4])
    scored = evalharness.score(record, "suite.yaml")
    fresh = evalharness.run("suite.yaml")
    assert fresh.manifest.execution["n_asked"] == 0
    for name in ("f", "f_raw", "f_kappa", "f_alpha"):
        assert figure(scored, name).value == figure(fresh, name).value
        assert figure(scored, name).signature == figure(fresh, name).signature
    assert figure(scored, "f").signature != figure(record, "f").signature
    without = SUITE.replace(", calibrate: ratings.csv", "")
    (folder / "suite.yaml").write_text(without, "utf-8")
    plain = evalharness.score(record, "suite.yaml")
    assert figure(plain, "f").value == 3.0
    assert [r.metric for r in plain.results if r.metric.startswith("f_")] == []


def test_a_limit_leaves_ratings_over(folder: Path, rated: Any) -> None:
    rated([1, 2, 3, 4, 5])
    assert figure(evalharness.run("suite.yaml", limit=3), "f_raw").n == 3
    (folder / "ratings.csv").write_text("sample_id,value\ns1,2\nnobody,2\n", "utf-8")
    with pytest.raises(DataError, match="there is no sample 'nobody'"):
        evalharness.run("suite.yaml")


def test_judges_that_fail_are_counted_with_every_figure(folder: Path, rated: Any) -> None:
    rated([1, 2, 3, 4, 5])
    (folder / "suite.yaml").write_text(SUITE + "execution: {on_error: exclude}\n", "utf-8")
    record = evalharness.run("suite.yaml", overrides=["models.judge.reply='none'"])
    assert [figure(record, name).n_failed for name in ("f", "f_raw", "f_kappa")] == [10, 10, 10]
    assert figure(record, "f").n == 0

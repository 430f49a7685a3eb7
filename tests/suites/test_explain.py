"""The suite on explanations, on the real classifier and language model."""

import json
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.compare.records import compare_records
from evalharness.compare.subjects import Subject
from evalharness.record import Record

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.real_cache]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    assert main(["fetch-model", "smollm2-135m", "movie-sentiment-minilm", "movie-sentiment-minilm-frozen"]) == 0
    assert main(["fetch-data", "movie-sentiment"]) == 0
    reports = tmp_path_factory.mktemp("reports")
    smaller = ["--set", "tasks.why.sample=12", "--set", "tasks.why.max_evals=60"]
    assert main(["run", str(ROOT / "suites" / "explain.yaml"), *smaller, "--reports", str(reports)]) in (0, 4)
    (folder,) = (reports / "runs").iterdir()
    return Record.open(folder)


def figure(record, metric, model="after", task="why"):
    (found,) = [r for r in record.results if (r.task, r.model, r.metric, r.group) == (task, model, metric, None)]
    return found


def test_values_add_up_and_are_more_faithful_than_random_ones(record):
    assert record.manifest.complete
    assert figure(record, "efficiency_gap").value < 1e-5
    assert figure(record, "comprehensiveness_over_random").value > 0.05
    assert figure(record, "deletion_auc_over_random").value < 0
    assert figure(record, "explanation_evaluations").value <= 60
    assert figure(record, "efficiency_gap", "small", "why-complete").value < 1e-4


def test_the_words_that_decide_are_the_ones_that_should(record):
    found = {row.sample.id: row.response.meta["explanation"] for row in record.iter_samples(task="why-complete")}
    capital = found["paris"]
    best = max(zip(capital["values"], capital["tokens"], strict=True))[1][0]
    assert best == "France"


def test_the_report_and_the_comparison_tell_of_them(record):
    page = (record.folder / "report.html").read_text("utf-8")
    assert 'id="explanations"' in page
    assert json.loads((record.folder / "run.json").read_text())["tasks"]
    found = compare_records([Subject(record, model="after")], Subject(record, model="before"))
    (drift,) = [one for one in found.attributions if one.task == "why"]
    assert drift.n + drift.n_other_output == 12
    assert -1 <= drift.spearman <= 1

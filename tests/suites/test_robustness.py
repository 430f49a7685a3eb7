"""The example suite of robustness on the real classifier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.record import Record

SUITE = Path(__file__).parents[2] / "suites" / "robustness.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.real_cache]


def test_the_example_of_robustness_passes_its_gate(tmp_path: Path) -> None:
    assert main(["fetch-model", "movie-sentiment-minilm"]) == 0
    assert main(["fetch-data", "movie-sentiment"]) == 0
    assert main(["run", str(SUITE), "--reports", str(tmp_path), "--quiet"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    record = Record.open(folder)
    record.verify()
    found = {(r.task, r.metric, r.group): r for r in record.results}

    def flips(level: str, task: str = "robust") -> float:
        return found[task, "flip_rate", f"perturbation={level}"].value

    # Its tokenizer lowers all letters, so case cannot matter; half of all words mistyped does.
    assert flips("case_upper") == flips("case_random") == 0.0
    assert flips("typos") < flips("many_typos")
    assert 0.1 < flips("many_typos") < 0.35
    assert found["robust", "accuracy_drop_many_typos", None].ci_low > 0
    worst = found["robust", "accuracy_drop", None]
    assert worst.value == found["robust", "accuracy_drop_many_typos", None].value
    assert worst.ci_low <= found["robust", "accuracy_drop_many_typos", None].ci_low
    assert found["robust", "changed_as_expected", None].value < 0.5
    assert flips("prompt_1", "wording") < 0.1
    assert found["robust", "accuracy", "perturbation=original"].value == found["sentiment", "accuracy", None].value
    assert json.loads((folder / "gate.json").read_text("utf-8"))["state"] == "pass"

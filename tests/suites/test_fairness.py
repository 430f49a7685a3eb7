"""The example of probes runs on the real small models, and its report tells what each design found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import evalharness
from evalharness.cli.main import main
from evalharness.report.html import render_html
from evalharness.report.view import build_view

SUITE = Path(__file__).parents[2] / "suites" / "fairness.yaml"
MODELS = ("smollm2-135m", "movie-sentiment-minilm")
DATA = ("movie-sentiment", "crows-pairs", "wino-test")


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.real_cache
def test_two_small_models_are_asked_in_several_designs(tmp_path: Path) -> None:
    assert main(["fetch-model", *MODELS]) == 0
    assert main(["fetch-data", *DATA]) == 0
    record = evalharness.run(SUITE, limit=40, reports=tmp_path)
    record.verify()
    assert record.manifest.complete
    view = build_view(record)
    designs = {question.name: [design.name for design in question.designs] for question in view.probes}
    assert designs["gender"] == [
        "rewritten.accuracy_gap",
        "rewritten.accuracy_gap_signed",
        "short-texts.gap",
        "pronouns.pro_preference",
        "applicants.gap",
        "applicants-zh.gap",
        "applicants-zh.gap_signed",
    ]
    assert designs["ethnicity"] == ["names.gap"]
    assert designs["stereotypes"] == ["pairs.crows_pairs"]
    assert all(design.beside is not None for question in view.probes for design in question.designs)
    assert "least 30" in render_html(record)
    again = evalharness.score(record, SUITE, reports=tmp_path)
    assert [(r.task, r.metric, r.group) for r in again.results] == [(r.task, r.metric, r.group) for r in record.results]
    values = np.array([[r.value, s.value] for r, s in zip(record.results, again.results, strict=True)])
    np.testing.assert_array_equal(values[:, 0], values[:, 1])

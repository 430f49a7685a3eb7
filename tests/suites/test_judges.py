"""The example suite of judges runs as it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.record import Record

SUITE = Path(__file__).parents[2] / "suites" / "judges.yaml"


def test_the_example_of_judges_passes_its_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(SUITE)]) == 0
    assert main(["run", str(SUITE), "--reports", str(tmp_path), "--quiet"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    record = Record.open(folder)
    record.verify()
    values = {(r.metric, r.model): r.value for r in record.results}
    assert values["right_raw", "release"] == pytest.approx(3.5)
    assert values["wins", "release"] == 1.0
    assert values["right_kappa", "release"] > 0.6
    assert json.loads((folder / "gate.json").read_text("utf-8"))["state"] == "pass"
    page = (folder / "report.html").read_text("utf-8")
    assert "right_weighted_kappa" in page

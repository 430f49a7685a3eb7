"""The example of a run that ends once its gates are decided runs as it stands, and as its head says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.record import Record

SUITE = str(Path(__file__).parents[2] / "suites" / "stop-early.yaml")


def test_the_example_stops_after_two_of_five_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", SUITE]) == 0
    assert main(["plan", SUITE, "--reports", str(tmp_path)]) == 0
    assert "samples for 80 %" in capsys.readouterr().out
    assert main(["run", SUITE, "--reports", str(tmp_path), "--quiet"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    record = Record.open(folder)
    record.verify()
    looks = record.manifest.execution["looks"]
    assert (looks["planned"], looks["made"], looks["n_saved"]) == (5, 2, 1_440)
    assert {entry.n_samples for entry in record.manifest.tasks} == {480}
    gate = json.loads((folder / "gate.json").read_text("utf-8"))
    assert gate["state"] == "pass"
    assert [verdict["reason"] for verdict in gate["verdicts"]] == [rule["reason"] for rule in looks["rules"]]
    assert "stopped at look 2 of 5" in (folder / "report.html").read_text("utf-8")
    # The gate of its own says the same, and exits as the run did.
    assert main(["gate", str(folder), "--reports", str(tmp_path), "--json"]) == 0


def test_a_bad_release_stops_after_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--reports", str(tmp_path), "--quiet", "--set", "models.release.reply=wrong"]
    assert main(["run", SUITE, *options]) == 1
    out = capsys.readouterr().out
    assert "stopped at look 1 of 5" in out
    assert "shown to be violated at look 1 of 5" in " ".join(out.split())

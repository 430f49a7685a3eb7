import json
import os
import shutil
import xml.etree.ElementTree as ET

import pytest

from evalharness.cli.main import main
from evalharness.record import RunRegistry

RULES = {"rules": [{"metric": "qa.accuracy", "at_least": 0.8}]}
REGRESSION = {"baseline": "suite@production", "rules": [{"metric": "qa.accuracy", "max_regression": 0.05}]}


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)


def right(n_wrong, n=40):
    return [i >= n_wrong for i in range(n)]


@pytest.mark.parametrize(
    ("n_wrong", "decide_on", "code", "word"),
    [(0, "point", 0, "PASS"), (20, "point", 1, "FAIL"), (8, "interval", 4, "INCONCLUSIVE")],
)
def test_exit_codes_and_files(make_run, capsys, n_wrong, decide_on, code, word):
    record = make_run(right(n_wrong), gates={**RULES, "decide_on": decide_on})
    assert main(["gate", str(record.folder)]) == code
    shown = capsys.readouterr()
    assert f"gate {word}" in shown.out
    assert "qa.accuracy ≥ 0.8" in shown.out
    assert json.loads((record.folder / "gate.json").read_text(encoding="utf-8"))["exit_code"] == code
    assert word.lower() in (record.folder / "report.html").read_text(encoding="utf-8").lower()
    record.verify()


@pytest.mark.parametrize("name", ["id", "prefix", "latest", "folder"])
def test_a_run_is_found_by_its_names(make_run, capsys, name):
    record = make_run(right(0), gates=RULES, run_id="suite-20261121-abcdef")
    with RunRegistry.open(reports="reports") as runs:
        runs.add(record)
    ref = {"id": record.id, "prefix": "suite-2026", "latest": "latest", "folder": f"reports/runs/{record.id}"}[name]
    assert main(["gate", ref]) == 0
    with RunRegistry.open(reports="reports") as runs:
        assert runs.get(record.id).verdict == "pass"


def test_json(make_run, capsys):
    record = make_run(right(30), gates=RULES)
    assert main(["gate", str(record.folder), "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["state"] == "fail"
    assert body["verdicts"][0]["value"] == pytest.approx(0.25)


def test_policy_replaces_the_suites_gates(make_run, tmp_path, capsys):
    record = make_run(right(0), gates=RULES)
    (tmp_path / "strict.yaml").write_text("gates: {rules: [{metric: qa.accuracy, at_least: 1.5}]}")
    assert main(["gate", str(record.folder), "--policy", "strict.yaml"]) == 1
    (tmp_path / "bad.yaml").write_text("gates:\n  rulez: []\n")
    assert main(["gate", str(record.folder), "--policy", "bad.yaml"]) == 2
    assert "bad.yaml:2:3 gates.rulez: unknown key 'rulez'; did you mean 'rules'?" in capsys.readouterr().err


def test_baseline_of_the_suite(make_run, capsys):
    baseline = make_run(right(0, 200), run_id="suite-a-baseline")
    good, bad = make_run(right(1, 200), gates=REGRESSION), make_run(right(50, 200), gates=REGRESSION)
    with RunRegistry.open(reports="reports") as runs:
        for record in (baseline, good, bad):
            runs.add(record)
    assert main(["gate", good.id]) == 2
    message = capsys.readouterr().err
    assert "evalharness promote RUN --as production" in message
    assert "Traceback" not in message
    assert main(["promote", "suite-a-baseline"]) == 0
    assert main(["gate", good.id]) == 0
    assert main(["gate", bad.id]) == 1
    assert "against suite-a-baseline" in capsys.readouterr().out
    assert main(["gate", bad.id, "--baseline", good.id]) == 1
    assert main(["gate", bad.id, "--baseline", str(bad.folder)]) == 0


def test_no_baseline_named(make_run, capsys):
    record = make_run(right(0), gates={"rules": REGRESSION["rules"]})
    assert main(["gate", str(record.folder)]) == 2
    assert "evalharness promote RUN --as production" in capsys.readouterr().err


def test_baseline_that_nothing_needs_is_not_looked_up(make_run):
    record = make_run(right(0), gates={**RULES, "baseline": "suite@production"})
    assert main(["gate", str(record.folder)]) == 0


def test_incomparable_runs_are_refused(make_run, identity, capsys):
    baseline = make_run(right(0), identity={**identity, "prompt": "changed"})
    record = make_run(right(0), gates=REGRESSION)
    assert main(["gate", str(record.folder), "--baseline", str(baseline.folder)]) == 2
    message = capsys.readouterr().err
    assert "differ in prompt" in message
    assert "promote that run" in message
    assert not (record.folder / "gate.json").exists()


def test_record_without_gates(make_run, capsys):
    assert main(["gate", str(make_run(right(0)).folder)]) == 2
    assert "--policy gates.yaml" in capsys.readouterr().err


def test_junit_and_summary(make_run, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    record = make_run(right(30), gates=RULES)
    assert main(["gate", str(record.folder), "--junit", "out/junit.xml"]) == 1
    assert ET.parse("out/junit.xml").getroot().get("failures") == "1"
    assert "### ❌ Gate of suite: fail" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_unknown_and_damaged_records(make_run, capsys):
    assert main(["gate", "nowhere"]) == 2
    record = make_run(right(0), gates=REGRESSION)
    (record.folder / "stats.parquet").write_bytes(b"no")
    assert main(["gate", str(record.folder), "--baseline", str(record.folder)]) == 2
    message = capsys.readouterr().err
    assert "stats.parquet is damaged" in message
    assert "Traceback" not in message


def test_a_record_from_elsewhere_registers_nothing(make_run, tmp_path):
    record = make_run(right(0), gates=RULES)
    elsewhere = tmp_path / "downloads" / "run"
    shutil.copytree(record.folder, elsewhere)
    shutil.rmtree(tmp_path / "reports")
    assert main(["gate", str(elsewhere)]) == 0
    assert not os.path.exists("reports")


def test_the_page_keeps_what_people_said(make_run):
    from evalharness.record import Rating

    record = make_run(right(0), gates=RULES)
    task = record.manifest.tasks[0]
    with RunRegistry.open() as registry:
        registry.add_ratings([Rating(record.id, task.id, task.model, "s", 0, "anna", "label", label="good")])
    assert main(["gate", str(record.folder)]) == 0
    assert "Ratings by people" in (record.folder / "report.html").read_text(encoding="utf-8")

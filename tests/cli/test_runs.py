from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main
from evalharness.core.types import MetricResult
from evalharness.record import RunManifest, RunRegistry, seal

ONE, TWO = "20260101T000000Z-demo-aaa111", "20260102T000000Z-demo-bbb222"


def make_manifest(run_id: str, **values: Any) -> RunManifest:
    figure = MetricResult(
        task="qa",
        model="candidate",
        metric="accuracy",
        value=0.8125,
        ci_low=0.5,
        ci_high=0.9,
        ci_method="wilson",
        confidence=0.95,
        n=16,
        n_failed=0,
        higher_is_better=True,
        bounds=(0.0, 1.0),
        signature="accuracy",
        columns=("right", "n"),
        totals=(13.0, 16.0),
    )
    task = {"id": "qa", "model": "candidate", "kind": "generate", "identity": {}, "n_samples": 16, "n_requests": 16}
    fields: dict[str, Any] = {
        "id": run_id,
        "name": "demo",
        "suite_name": "demo",
        "suite_digest": "d" * 64,
        "suite": {},
        "created_utc": f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T00:00:00Z",
        "finished_utc": "2026-01-09T00:00:00Z",
        "evalharness_version": "0.1.0",
        "models": {"candidate": {"backend": "fake", "evil": "\x1b[31m"}},
        "datasets": {"rows": {"digest": "e" * 64, "n_rows": 16, "source": "inline"}},
        "tasks": ({**task, "states": {"ok": 16}},),
        "results": (figure,),
        "notes": ("a note",),
    }
    return RunManifest(**fields | values)


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    folder = tmp_path / "reports"
    with RunRegistry.open(reports=folder) as registry:
        for run_id in (ONE, TWO):
            registry.add(seal(folder / "runs" / run_id, make_manifest(run_id), [], [], []))
    return folder


@pytest.fixture
def runs(reports: Path) -> Callable[..., int]:
    return lambda *words: main(["runs", *words, "--reports", str(reports)])


def test_list(runs: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert runs("list") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["RUN", "SUITE", "CREATED", "SAMPLES", "STATE", "GATES", "PROMOTED", "AS"]
    assert first.split() == [TWO, "demo", "2026-01-02", "00:00", "16", "complete", "-", "-"]
    assert second.startswith(ONE)
    assert runs("list", "--json", "--limit", "1") == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["id"], only["n_samples"], only["labels"]) == (TWO, 16, [])
    assert runs("list", "--suite", "other") == 0
    assert "no runs yet" in capsys.readouterr().err


def test_show(runs: Callable[..., int], reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs("promote", ONE) == 0
    capsys.readouterr()
    assert runs("show", "demo@production") == 0
    out = capsys.readouterr().out
    for part in (ONE, "16 rows", "backend=fake", "production", "accuracy", "0.812", "[0.500, 0.900]", "a note"):
        assert part in out
    assert "\x1b[31m" not in out
    assert main(["runs", "show", str(reports / "runs" / ONE), "--reports", "elsewhere"]) == 0
    assert ONE in capsys.readouterr().out
    assert runs("show", "bbb222", "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["id"], body["results"][0]["value"], body["tasks"][0]["states"]) == (TWO, 0.8125, {"ok": 16})


def test_promote_and_its_short_form(
    runs: Callable[..., int], reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs("promote", "aaa111", "--note", "good") == 0
    assert capsys.readouterr().out == f"{ONE} is now demo@production\n"
    assert main(["promote", "latest", "--as", "staging", "--json", "--reports", str(reports)]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "staging"
    with RunRegistry.open(reports=reports) as registry:
        assert registry.resolve("demo@production").name == ONE
        assert registry.resolve("demo@staging").name == TWO
        assert registry.promotions()[1].note == "good"


def test_delete(runs: Callable[..., int], reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs("promote", ONE)
    assert runs("delete", ONE) == 2
    assert "promoted as production" in capsys.readouterr().err
    assert (reports / "runs" / ONE).exists()
    assert runs("delete", ONE, "--force") == 0
    assert ONE in capsys.readouterr().out
    assert [p.name for p in (reports / "runs").iterdir()] == [TWO]


def test_rescan(runs: Callable[..., int], reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seal(reports / "runs" / "new", make_manifest("new", created_utc="2026-01-05T00:00:00Z"), [], [], [])
    assert runs("rescan") == 0
    assert capsys.readouterr().out == "3 records found, 1 of them new to the registry\n"
    (reports / "runs" / "new" / "run.json").write_text("{}")
    assert runs("rescan") == 2
    assert "not registered: new:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "nothing"), "there is no run 'nothing'"),
        (("show", "2026"), "names 2 runs"),
        (("promote", ONE, "--as", "latest"), "cannot be a label"),
        (("list", "--limit", "-1"), "must be 0 or more"),
        ((), "ACTION"),
    ],
)
def test_wrong_use_exits_2(
    runs: Callable[..., int], words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs(*words) == 2
    assert message in capsys.readouterr().err


def test_looking_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "list"]) == 2
    assert "there is no folder reports" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

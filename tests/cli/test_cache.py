from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.core.types import Response
from evalharness.runner.store import ResponseStore


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    now = 0.0
    with ResponseStore.open(tmp_path / "reports" / "responses.sqlite3", clock=lambda: now) as store:
        store.put([Response(key="old", text="\ud800")])
    with ResponseStore.open(tmp_path / "reports" / "responses.sqlite3") as store:
        store.put([Response(key="new", status="truncated", latency_s=float("nan"))])
    return tmp_path / "reports"


@pytest.fixture
def cache(reports: Path) -> Callable[..., int]:
    return lambda *words: main(["cache", *words, "--reports", str(reports)])


def test_stats(cache: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert cache("stats") == 0
    out = capsys.readouterr().out
    assert "answers  2 (1 ok, 1 truncated)" in out
    assert "stored   1970-01-01T00:00:00Z to 2" in out
    assert cache("stats", "--json") == 0
    assert json.loads(capsys.readouterr().out)["by_status"] == {"ok": 1, "truncated": 1}


def test_prune(cache: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert cache("prune", "--older-than-days", "30") == 0
    assert capsys.readouterr().out == "removed 1 answers; 1 are left\n"
    assert cache("prune", "--older-than-days", "-3") == 2
    assert cache("prune", "--older-than-days", "nan") == 2
    assert cache("prune") == 2


def test_export(cache: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.jsonl"
    assert cache("export", str(file)) == 0
    assert f"wrote 2 answers to {file}" in capsys.readouterr().out
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["key"] for line in lines] == ["old", "new"]
    assert cache("export", "-") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert cache("export", str(tmp_path / "missing" / "out.jsonl")) == 3
    assert "cannot be written" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl", "reports"]


def test_without_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["stats"], ["prune", "--older-than-days", "1"], ["export", "-"]):
        assert main(["cache", *words, "--reports", str(tmp_path / "none")]) == 2
        assert "there is no response store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

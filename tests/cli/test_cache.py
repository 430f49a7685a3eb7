from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.cli.cache import _bytes, _days, _size
from evalharness.cli.main import main
from evalharness.core.types import Response
from evalharness.runner.store import ResponseStore


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    now = 0.0
    with ResponseStore.open(tmp_path / "reports" / "responses.sqlite3", clock=lambda: now) as store:
        store.put([Response(key="old", text="\ud800")])
    with ResponseStore.open(tmp_path / "reports" / "responses.sqlite3") as store:
        store.put([Response(key="new", status="truncated", latency_s=float("nan"))], model="openai gpt-x")
    return tmp_path / "reports"


@pytest.fixture
def cache(reports: Path) -> Callable[..., int]:
    return lambda *words: main(["cache", *words, "--reports", str(reports)])


def test_stats(cache: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert cache("stats") == 0
    out = capsys.readouterr().out
    assert "answers  2 (1 ok, 1 truncated)" in out
    assert "stored   1970-01-01T00:00:00Z to 2" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["model", "answers", "size"] in rows
    assert [row[:4] for row in rows if row[:1] == ["(not"]] == [["(not", "written", "down)", "1"]]
    assert [row[:3] for row in rows if row[:1] == ["openai"]] == [["openai", "gpt-x", "1"]]
    assert [row[:2] for row in rows if row[:1] == ["1970-01-01"]] == [["1970-01-01", "1"]]
    assert cache("stats", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["by_status"] == {"ok": 1, "truncated": 1}
    assert found["by_model"]["openai gpt-x"]["n_entries"] == 1
    assert found["by_day"]["1970-01-01"]["size_bytes"] > 0


def test_prune(cache: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert cache("prune", "--older-than", "30d") == 0
    assert capsys.readouterr().out.startswith("removed 1 answers; 1 are left (")
    assert cache("prune", "--older-than", "1w", "--max-size", "2GB") == 0
    assert capsys.readouterr().out.startswith("removed 0 answers; 1 are left (")
    assert cache("prune", "--max-size", "1kB") == 0
    assert capsys.readouterr().out.startswith("removed 1 answers; 0 are left (")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what may go: --older-than 30d, --max-size 2GB"),
        (["--older-than", "-3d"], ""),
        (["--older-than", "30"], "'30' is no age: write a number and h, d or w, as in 30d"),
        (["--older-than", "nan d"], "is no age"),
        (["--older-than", "9" * 400 + "d"], "is no age"),
        (["--max-size", "2 elephants"], "'2 elephants' is no size: write a number and kB, MB, GB or GiB"),
    ],
)
def test_prune_wants_an_age_or_a_size(
    cache: Callable[..., int], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cache("prune", *words) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_sizes_and_ages() -> None:
    assert [_bytes(text) for text in ("0", "12", "1.5kB", "2 GB", "1gib", "3TB")] == [
        *(0, 12, 1_500, 2_000_000_000, 2**30, 3_000_000_000_000)
    ]
    assert [_days(text) for text in ("0d", "12h", "30 d", "2W")] == [0, 0.5, 30, 14]
    assert [_size(n) for n in (0, 999, 1_000, 2_340_000, 5 * 10**9)] == ["0 B", "999 B", "1.0 kB", "2.3 MB", "5.0 GB"]


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
    for words in (["stats"], ["prune", "--older-than", "1d"], ["export", "-"]):
        assert main(["cache", *words, "--reports", str(tmp_path / "none")]) == 2
        assert "there is no response store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

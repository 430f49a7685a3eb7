"""`init` and `schema`: a starter suite that runs, and a schema that editors take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.suite.suite_file import file_schema


def test_the_starter_is_valid_and_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "my suite"]) == 0
    out = capsys.readouterr().out
    files = sorted(str(p.relative_to("my suite")) for p in Path("my suite").rglob("*") if p.is_file())
    assert files == ["data/tickets.jsonl", "prompts/summarise.j2", "suite.schema.json", "suite.yaml"]
    assert all(file in out for file in files)
    assert "evalharness validate" in out
    assert "evalharness run" in out
    assert main(["validate", "my suite/suite.yaml", "--live"]) == 0
    assert main(["run", "my suite/suite.yaml", "--quiet"]) == 0


def test_nothing_is_overwritten_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "suite.yaml").write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert "suite.yaml already" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["suite.yaml"]
    assert (tmp_path / "suite.yaml").read_text() == "mine"
    assert main(["init", str(tmp_path), "--force"]) == 0
    assert (tmp_path / "suite.yaml").read_text() != "mine"


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["init", str(tmp_path / "file" / "sub")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_schema_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == file_schema()
    assert printed.isascii()
    assert main(["schema", "--out", str(tmp_path / "s.json")]) == 0
    assert (tmp_path / "s.json").read_text() == printed
    assert main(["schema", "--out", str(tmp_path)]) == 2

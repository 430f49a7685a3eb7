"""Production that changes to another model leaves a mark, at the time of its first response."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor.yaml").write_text("name: bot\nsource: {path: log.jsonl}\ncolumns: [responses]\n")
    return tmp_path


def write(place: Path, *hours: list[str]) -> None:
    """By hour, the models that answered, minute by minute."""
    with (place / "log.jsonl").open("w") as file:
        for hour, models in enumerate(hours):
            for minute, model in enumerate(models):
                at = (BEGIN + timedelta(hours=hour, minutes=minute)).isoformat()
                file.write(json.dumps({"id": f"{hour}-{minute}", "event_time": at, "model": model}) + "\n")


def measure(hour: int) -> None:
    span = f"{BEGIN + timedelta(hours=hour):%Y-%m-%dT%H:%MZ}/{BEGIN + timedelta(hours=hour + 1):%Y-%m-%dT%H:%MZ}"
    assert main(["monitor", "run", "monitor.yaml", "--interval", span]) == 0


def marks(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    capsys.readouterr()
    assert main(["monitor", "mark", "bot", "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert {one["noted_by"] for one in found} <= {"evalharness"}
    return [(one["at_utc"][11:16], one["text"]) for one in reversed(found)]


def test_a_new_model_is_marked_where_it_begins(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, ["v1"] * 60, ["v1"] * 20 + ["v2"] * 40, ["v2"] * 60, ["v1"] * 60)
    for hour in range(4):
        measure(hour)
    assert marks(capsys) == [("01:20", "model v2"), ("03:00", "model v1 (was v2)")]
    # An interval that is read again marks nothing twice.
    with (place / "log.jsonl").open("a") as file:
        file.write(json.dumps({"id": "late", "event_time": "2026-03-02T01:59:30Z", "model": "v2"}) + "\n")
    measure(1)
    assert len(marks(capsys)) == 2


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param((["a", "b"] * 30, ["b", "a"] * 30), id="two side by side"),
        pytest.param((["a"] * 60, ["a"] * 58 + ["rare"] * 2, ["a"] * 60), id="a rare one"),
        pytest.param(([""] * 60, ["a"] * 60), id="none was named"),
        pytest.param((["a"] * 60, [""] * 60), id="none is named"),
    ],
)
def test_what_is_no_deployment_makes_no_mark(
    place: Path, capsys: pytest.CaptureFixture[str], hours: tuple[list[str], ...]
) -> None:
    write(place, *hours)
    for hour in range(len(hours)):
        measure(hour)
    assert marks(capsys) == []


def test_after_a_gap_nothing_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, ["v1"] * 60, ["v1"] * 60, ["v2"] * 60)
    measure(0)
    measure(2)
    assert marks(capsys) == []


def test_odd_names_are_shortened(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, ["a" * 300] * 60, ["b\n" + "é" * 300] * 60)
    measure(0)
    measure(1)
    ((_, text),) = marks(capsys)
    assert text.startswith("model b éé")
    assert len(text) <= 200
    assert "\n" not in text

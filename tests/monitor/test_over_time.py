"""Evidence that adds up over the intervals of a monitor: read from real files, through the command line."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalharness.cli.main import main
from evalharness.drift.state import WindowState

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
MONITOR = """\
version: 1
name: bot
source: {path: log.jsonl}
schedule: "0 * * * *"
reference: {window: 2026-03-02T00:00:00Z/2026-03-02T04:00:00Z}
columns: [responses, latency_s]
drift: {run_length: 50, rules: [{column: latency_s, test: mean, effect: 0.1}]}
"""
PER_HOUR = 80


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a log of so many hours, slower by `shift` standard deviations from an hour on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    (tmp_path / "monitor.yaml").write_text(MONITOR, encoding="utf-8")

    def write(hours: int, *, shift: float = 0.0, since: int = 0, seed: int = 2) -> None:
        dice = random.Random(seed)
        with (tmp_path / "log.jsonl").open("w", encoding="utf-8") as file:
            for i in range(hours * PER_HOUR):
                at = BEGIN + timedelta(hours=i / PER_HOUR)
                latency = dice.gauss(10 + (shift if i >= since * PER_HOUR else 0.0), 1.0)
                file.write(json.dumps({"id": f"r{i}", "event_time": at.isoformat(), "latency_s": latency}) + "\n")

    return write


def measured(capsys, first: int, last: int):
    """What each interval found of latency, newest last: (state, reason)."""
    span = f"{(BEGIN + timedelta(hours=first)).isoformat()}/{(BEGIN + timedelta(hours=last)).isoformat()}"
    assert main(["monitor", "backfill", "monitor.yaml", "--span", span]) == 0
    capsys.readouterr()
    found = []
    for folder in sorted(Path("reports/monitors/bot").glob("2026*")):
        about = json.loads((folder / "window.json").read_text())
        found += [(f["state"], f["reason"]) for f in about["findings"] if f["column"] == "latency_s"]
    return found


def windows_of() -> list[int]:
    """How many windows have added up after each interval."""
    places = sorted(Path("reports/monitors/bot").glob("2026*/sequence.json"))
    return [json.loads(place.read_text())["windows"] for place in places]


def pools() -> list[int]:
    """The rows of the pool after each interval."""
    places = sorted(Path("reports/monitors/bot").glob("2026*/pool.bin"))
    return [WindowState.from_bytes(place.read_bytes()).n for place in places]


def test_a_small_shift_that_stays_is_found_over_time(log, capsys):
    log(40, shift=0.3, since=12)
    found = measured(capsys, 4, 40)
    states = [state for state, _ in found]
    assert "drift" not in states[:8], "nothing had changed yet"
    assert "drift" in states[8:]
    assert any("added up" in reason for _, reason in found[8:])
    windows = windows_of()
    assert windows[:8] == list(range(1, 9))
    assert 0 in windows[8:], "what has rung starts anew"
    assert pools()[:8] == [(4 + i) * PER_HOUR for i in range(1, 9)], "the reference and each interval without drift"
    assert pools()[windows.index(0)] == 4 * PER_HOUR, "and so does what is compared with"


def test_without_drift_nothing_adds_up(log, capsys):
    log(34)
    assert {state for state, _ in measured(capsys, 4, 34)} <= {"no_drift", "small"}


def test_a_gap_starts_anew(log, capsys):
    log(12)
    measured(capsys, 4, 7)
    measured(capsys, 8, 10)
    assert windows_of() == [1, 2, 3, 1, 2]


def test_an_interval_that_is_run_again_adds_nothing(log, capsys):
    log(8)
    measured(capsys, 4, 6)
    place = sorted(Path("reports/monitors/bot").glob("2026*/sequence.json"))[-1]
    before = place.read_bytes()
    measured(capsys, 4, 6)
    assert sorted(Path("reports/monitors/bot").glob("2026*/sequence.json"))[-1] == place
    assert place.read_bytes() == before

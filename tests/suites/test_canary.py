"""The example of a canary: a release that is promoted, and production that gets worse on a day."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalharness.cli.main import main

ROOT = Path(__file__).parents[2]
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


def write_log(folder: Path) -> None:
    """What production answered from 2026-03-02 on: from 2026-03-09 on without carrying, in German."""
    sums = [line.split(",") for line in (folder / "sums.csv").read_text().split()[1:]]
    (folder / "production").mkdir()
    rows = []
    for i in range(10 * 160):
        at = BEGIN + timedelta(minutes=9 * i)
        a, b = map(int, sums[i % len(sums)])
        de = a % 3 == 0
        worse = de and at >= datetime(2026, 3, 9, tzinfo=UTC)
        digits = ((int(x) + int(y)) % 10 for x, y in zip(f"{a:04}", f"{b:04}", strict=True))
        answer = str(int("".join(map(str, digits)))) if worse else str(a + b)
        row = {"id": f"r{i}", "event_time": at.isoformat(), "model": "adder", "output": answer}
        row["input"] = f"{'Was ist' if de else 'What is'} {a} + {b}?"
        rows.append(json.dumps({**row, "attributes": {"language": "de" if de else "en"}}))
    (folder / "production" / "log.jsonl").write_text("\n".join(rows))


@pytest.mark.slow
def test_the_day_on_which_production_gets_worse_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("canary.yaml", "canary_models.py", "sums.csv"):
        shutil.copy(ROOT / "suites" / name, tmp_path)
    write_log(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    assert main(["run", "canary.yaml", "--allow-code", "--no-gate", "--quiet"]) == 0
    assert main(["promote", "latest"]) == 0

    def day(number: int) -> str:
        monkeypatch.setenv("PRODUCTION_DATE", f"2026-03-{number:02}")
        capsys.readouterr()
        span = f"2026-03-{number:02}/2026-03-{number + 1:02}"
        assert main(["monitor", "run", "canary.yaml", "--allow-code", "--ask-late", "--interval", span]) == 0
        return capsys.readouterr().out

    first = next(line.split() for line in day(2).splitlines() if "exact_match.difference" in line)
    assert first[:2] == ["canary.add.exact_match.difference", "0"]  # the interval ends as Tuesday begins
    assert "0 of 6 comparisons drifted" in day(3)
    worse = day(9)
    assert "canary.add.exact_match.difference" in worse
    capsys.readouterr()
    main(["monitor", "alerts", "--json"])
    found = {one["alert"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["canary:add.exact_match"]["state"] == "firing"
    assert found["canary:add.exact_match"]["value"] == pytest.approx(82 / 300)
    said = "quality on language=de: exact_match fell by 82.0 points (95 % 7"
    assert found["on_drift:add"]["summary"].startswith(said)
    assert said in found["drift:output.characters"]["summary"]

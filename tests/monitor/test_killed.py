"""Two daemons in processes of their own on one registry, killed with SIGKILL: every interval once, in the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalharness.monitor.define import load_definition
from evalharness.monitor.files import verify_folder
from evalharness.monitor.store import recorded
from evalharness.record import RunRegistry
from evalharness.record.database import reading

from .conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")]

MONITOR = """\
name: bot
source: {path: log.jsonl}
schedule: "* * * * * *"
revise_for_s: 0
alerts: {rules: [{figure: error.rate, at_most: 0.5}]}
"""


def lay_out(folder: Path, begin: datetime, seconds: int) -> None:
    """A row a second, known before it happens: what is read of an interval does not depend on when it is read."""
    (folder / "monitor.yaml").write_text(MONITOR, encoding="utf-8")
    rows = (
        {"id": f"r{i}", "event_time": (begin + timedelta(seconds=i)).isoformat(), "latency_s": 0.1}
        for i in range(-60, seconds)
    )
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


# The lease of a killed process ends soon here, so that the test does not wait a minute for it.
def serve(folder: Path) -> subprocess.Popen[str]:
    code = (
        "import sys\nimport evalharness.monitor.daemon as daemon\nfrom evalharness.cli.main import main\n"
        "made = daemon.Daemon.__init__\n"
        "def init(self, *given, **named):\n    made(self, *given, **{**named, 'lease_s': 2.0})\n"
        "daemon.Daemon.__init__ = init\n"
        "sys.exit(main())\n"
    )
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code, "monitor", "serve", "monitor.yaml"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=log,
            text=True,
        )


def n_recorded(folder: Path) -> int:
    with RunRegistry.open(reports=folder / "reports", environ={}) as registry, reading(registry.engine) as connection:
        return len(recorded(connection, "bot"))


def test_no_interval_is_lost_or_doubled_by_sigkill(tmp_path: Path) -> None:
    dice = random.Random(7)
    begin = datetime.now(UTC).replace(microsecond=0)
    lay_out(tmp_path, begin, 120)
    daemons = [serve(tmp_path), serve(tmp_path)]
    try:
        for _ in range(6):
            time.sleep(dice.uniform(1.5, 3.0))
            i = dice.randrange(2)
            daemons[i].send_signal(signal.SIGKILL)
            daemons[i].wait()
            daemons[i] = serve(tmp_path)
        # A slow machine records few in that time: the daemons go on until there is enough to look at.
        until = time.monotonic() + 90
        time.sleep(5)
        while n_recorded(tmp_path) < 12 and time.monotonic() < until:
            time.sleep(1)
        for daemon in daemons:
            daemon.send_signal(signal.SIGTERM)
        assert [daemon.wait(timeout=60) for daemon in daemons] == [0, 0]
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in log
    definition = load_definition(tmp_path / "monitor.yaml")
    with RunRegistry.open(reports=tmp_path / "reports", environ={}) as registry, reading(registry.engine) as connection:
        rows = list(reversed(recorded(connection, "bot", all_revisions=True)))
    assert len(rows) >= 10
    intervals = [row.interval for row in rows]
    assert intervals == list(definition.schedule.intervals(intervals[0].start, intervals[-1].end))
    assert {(row.revision, row.n_rows) for row in rows} == {(0, 1)}
    tokens = [row.token for row in rows]
    assert tokens == sorted(tokens)
    for row in rows:
        verify_folder(tmp_path / "reports" / row.path)
    folders = {path.name for path in (tmp_path / "reports" / "monitors" / "bot").iterdir() if path.name[0] != "."}
    assert {Path(row.path).name for row in rows} <= folders

"""A suite whose production model answers as the file `mode` beside it says, and writes down each call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.monitor.alerts import observe
from evalharness.monitor.asking import Asking
from evalharness.monitor.assemble import rewind
from evalharness.monitor.daemon import lease_name
from evalharness.monitor.define import Definition, load_definition
from evalharness.monitor.lease import Lease, acquire
from evalharness.monitor.measure import Measurer, check_columns
from evalharness.monitor.run import Outcome, Tools, run_interval
from evalharness.monitor.schedule import Interval
from evalharness.monitor.state_kit import StateKit
from evalharness.record import Record, RunRegistry
from evalharness.runner import run

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
N = 60
_SERVED = """
from pathlib import Path
HERE = Path(__file__).parent

def answer(prompt):
    with (HERE / "calls").open("a") as file:
        file.write(prompt + "\\n")
    mode = (HERE / "mode").read_text()
    number = int(prompt.split()[-1])
    if mode == "down":
        raise RuntimeError("connection refused")
    if mode == "worse" and number % 5 == 0:
        return "no"
    if mode == "worse in German" and prompt.startswith("de") and number % 2 == 0:
        return "no"
    if mode == "a little worse" and number == 0:
        return "no"
    return str(number)
"""
_SUITE = """\
version: 1
name: bot
models:
  release: {backend: python, function: "served_canary:answer"}
  production: {backend: python, function: "served_canary:answer", version: "2"}
datasets:
  numbers: {path: numbers.jsonl, groups: [language]}
tasks:
  - {id: echo, dataset: numbers, model: release, prompt: "{{ language }} {{ number }}", reference: "{{ number }}",
     metrics: [exact_match]}
execution: {concurrency: 4}
"""
_MONITOR = """\
monitor:
  source: {path: log.jsonl, content: true}
  columns: [responses, error]
  drift: {least_n: 15}
"""


@dataclass
class World:
    """A folder with a suite, its production model and its log, and the clock by which they are watched."""

    folder: Path
    registry: RunRegistry
    now: datetime = BEGIN

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    def mode(self, text: str) -> None:
        (self.folder / "mode").write_text(text)

    def calls(self) -> list[str]:
        """The prompts since the last look."""
        path = self.folder / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return found

    def write(self, monitor: str, *, suite: str = "") -> None:
        (self.folder / "suite.yaml").write_text(_SUITE + suite + _MONITOR + monitor)

    def log(self, n_hours: int = 12, per_hour: int = 20, language: Callable[[int], str] = lambda i: "en") -> None:
        with (self.folder / "log.jsonl").open("w") as file:
            for i in range(n_hours * per_hour):
                at = BEGIN + timedelta(hours=i / per_hour)
                name = language(i)
                row: dict[str, Any] = {"id": f"r{i}", "event_time": at.isoformat(), "attributes": {"language": name}}
                file.write(json.dumps({**row, "input": f"{name} {i}", "output": str(i), "model": "m"}) + "\n")

    def release(self, *, promote: bool = True) -> Record:
        record = run(self.folder / "suite.yaml", reports=self.reports, allow_code=True)
        if promote:
            self.registry.promote(record.id)
        self.calls()
        return record

    @property
    def definition(self) -> Definition:
        definition = load_definition(self.folder / "suite.yaml")
        check_columns(definition)
        return definition

    def tools(self, *, late: bool = False) -> Tools:
        asking = Asking(lambda: self.now, allow_code=True, late=late, environ={})
        return Tools(
            self.registry.engine,
            self.reports,
            lambda: self.now,
            Measurer(self.registry, StateKit, asking),
            observe,
            rewind,
        )

    def lease(self, holder: str = "one") -> Lease:
        lease = acquire(self.registry.engine, lease_name("bot"), holder, clock=lambda: self.now)
        assert lease is not None
        return lease

    def run(
        self, hour: int, *, late: bool = False, lease: Lease | None = None, beat: Callable[[], None] = lambda: None
    ) -> Outcome:
        """Run the interval that begins at `hour`, a minute after its end unless the clock is further."""
        interval = Interval(BEGIN + timedelta(hours=hour), BEGIN + timedelta(hours=hour + 1))
        self.now = max(self.now, interval.end + timedelta(minutes=1))
        lease = lease or self.lease()
        return run_interval(self.tools(late=late), self.definition, interval, lease, beat=beat)

    def file(self, outcome: Outcome, name: str) -> str:
        return (self.reports / outcome.row.path / name).read_text(encoding="utf-8")

    def canaries(self, purpose: str = "canary") -> list[str]:
        return [info.id for info in self.registry.list(suite=f"bot/{purpose}")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "served_canary.py").write_text(_SERVED)
    rows = ({"id": f"s{i}", "number": i, "language": "de" if i % 3 == 0 else "en"} for i in range(N))
    (tmp_path / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with RunRegistry.open(reports=tmp_path / "reports", environ={}) as registry:
        made = World(tmp_path, registry)
        made.mode("well")
        made.log()
        made.write("  canary: {model: production}\n")
        yield made

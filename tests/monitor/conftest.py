"""A registry in a folder, a clock that is moved by hand, and measures that say what they are told to."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import evalharness
from evalharness.core.canonical import digest
from evalharness.monitor.alerts import observe
from evalharness.monitor.assemble import rewind
from evalharness.monitor.define import Definition, load_definition
from evalharness.monitor.lease import Lease, acquire
from evalharness.monitor.measurement import FigureRow, Measurement
from evalharness.monitor.run import Tools
from evalharness.monitor.schedule import Interval
from evalharness.record import RunRegistry

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
ROOT = Path(evalharness.__file__).parent.parent


def hour(i: int) -> Interval:
    return Interval(BEGIN + timedelta(hours=i), BEGIN + timedelta(hours=i + 1))


def load_world() -> ModuleType:
    """`benchmarks/_monitor_world.py`, which the benchmark of schedules shares with these tests."""
    file = ROOT / "benchmarks" / "_monitor_world.py"
    if not file.exists():
        pytest.skip("the benchmarks are not installed with the package")
    if "_monitor_world" not in sys.modules:
        spec = importlib.util.spec_from_file_location("_monitor_world", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["_monitor_world"] = module
        spec.loader.exec_module(module)
    return sys.modules["_monitor_world"]


@dataclass
class Bench:
    """An engine whose source holds `rows`: intervals (by their starts) to figures; an exception there is raised."""

    registry: RunRegistry
    reports: Path
    definition: Definition
    now: datetime = BEGIN
    rows: dict[datetime, list[float] | Exception] = field(default_factory=dict)
    read: list[Interval] = field(default_factory=list)
    looked: list[tuple[Interval, int, tuple[str, ...]]] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    @property
    def tools(self) -> Tools:
        return Tools(self.registry.engine, self.reports, lambda: self.now, self.measure, self.observe, rewind)

    def measure(self, definition: Definition, interval: Interval, past: Any, *, beat: Any) -> Measurement:
        self.read.append(interval)
        beat()
        found = self.rows.get(interval.start, [])
        self.then()
        if isinstance(found, Exception):
            raise found
        if not found:
            return Measurement("no_data", digest(found), message="no responses")
        figures = (FigureRow("error", "rate", sum(found) / len(found), len(found)),)
        files = {"state.bin": repr(found).encode()}
        return Measurement("no_reference", digest(found), n_rows=len(found), figures=figures, files=files)

    def observe(
        self, connection: Any, monitor: Any, window: Any, conditions: Any, now: datetime, **more: Any
    ) -> object:
        states = tuple(condition.state for condition in conditions)
        self.looked.append((Interval(window.start, window.end), window.revision, states))
        return observe(connection, monitor, window, conditions, now, **more)

    def lease(self, holder: str = "one") -> Lease:
        lease = acquire(self.registry.engine, f"monitor:{self.definition.name}", holder, clock=lambda: self.now)
        assert lease is not None
        return lease


@pytest.fixture
def monitor_file(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = "", name: str = "monitor.yaml") -> Path:
        path = tmp_path / name
        path.write_text(f"name: bot\nsource: {{path: log.jsonl}}\n{text}", encoding="utf-8")
        return path

    return write


@pytest.fixture
def bench(tmp_path: Path, monitor_file: Callable[..., Path]) -> Iterator[Callable[..., Bench]]:
    opened: list[RunRegistry] = []

    def make(text: str = "alerts: {rules: [{figure: error.rate, at_most: 0.5}]}\n", **values: Any) -> Bench:
        registry = RunRegistry.open(reports=tmp_path / "reports", environ={})
        opened.append(registry)
        return Bench(registry, tmp_path / "reports", load_definition(monitor_file(text)), **values)

    yield make
    for registry in opened:
        registry.close()

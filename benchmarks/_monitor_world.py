"""A world for monitors to run in: a clock, production, machines whose clocks jump and whose processes are killed.

Everything is drawn from one seed. Two daemons share one registry; each is killed at a random one of the moments at
which it looks at its clock, begins a transaction or is about to commit one, and a new process takes its place; now and
then one sleeps in the midst of an interval for so long that the other takes over. What must have come of it is known
by plain arithmetic: `check` compares.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from evalharness.core.errors import Place, RunError
from evalharness.monitor.alerts import deliver, observe
from evalharness.monitor.assemble import rewind
from evalharness.monitor.daemon import Daemon
from evalharness.monitor.define import Definition
from evalharness.monitor.measurement import FigureRow, Measurement
from evalharness.monitor.run import Tools
from evalharness.monitor.schedule import Interval
from evalharness.monitor.store import Recorded, recorded
from evalharness.record import RunRegistry
from evalharness.record.database import reading
from evalharness.suite.monitor_entry import MonitorFile
from evalharness.suite.node import Node

HOUR = timedelta(hours=1)


class Killed(BaseException):
    """SIGKILL: no handler of the program may run, and none that runs gets at the registry."""


def definition(name: str, **values: Any) -> Definition:
    """A monitor whose alert `bad` fires and ends at once."""
    entry = {
        "name": name,
        "source": {"path": "nowhere.jsonl"},
        "alerts": {
            "channels": [{"name": "hook", "url": "https://example.org/hook"}],
            "no_data": "keep",
            "error": "keep",
            "heartbeat": {"alert": False},
            "rules": [{"figure": "bad.share", "at_most": 0.5}],
        },
        **values,
    }
    monitor = MonitorFile.model_validate_json(json.dumps(entry), strict=True)
    return Definition(monitor, Path("monitor.yaml"), Node({}, Place("monitor.yaml")))


def chance(*parts: object) -> float:
    """A number in [0, 1) that belongs to `parts`."""
    data = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:7], "big") / 2**56


@dataclass
class Process:
    """A daemon on a machine, until it is killed."""

    world: World
    machine: int
    registry: RunRegistry
    dead: bool = False
    kill_at: int = -1
    moments: int = 0
    daemon: Any = None

    def moment(self) -> None:
        """One of the moments at which a process may be killed."""
        if self.dead:
            raise Killed
        self.moments += 1
        if self.moments == self.kill_at:
            self.dead = True
            self.world.counts["kills"] += 1
            raise Killed

    def clock(self) -> datetime:
        self.moment()
        return self.world.now + self.world.offsets[self.machine]


@dataclass
class World:
    """Time, production, and two machines with a daemon each."""

    folder: Path
    definitions: list[Definition]
    seed: int = 0
    url: str | None = None
    kills: float = 0.0  # share of looks that end in a kill
    sleeps: float = 0.0  # share of measurements in which a process sleeps past its lease
    failures: float = 0.0  # share of the readings that fail
    late: float = 0.0  # share of the rows that come up to six hours late
    begin: str = "2024-01-01T00:00:00+00:00"
    offsets: list[timedelta] = field(default_factory=lambda: [timedelta(), timedelta()])
    got: list[Any] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    processes: list[Process] = field(default_factory=list)
    _deep: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = datetime.fromisoformat(self.begin)
        self.processes = [self._start(0), self._start(1)]

    # Production: one row an hour, at the full hour.

    def arrival(self, hour: int) -> datetime:
        """When the row of an hour (since 1970) is there to be read."""
        moment = datetime.fromtimestamp(hour * 3600, UTC)
        if chance(self.seed, "late", hour) < self.late:
            return moment + 6 * HOUR * chance(self.seed, "delay", hour)
        return moment

    def hours(self, interval: Interval) -> range:
        first = -int(-interval.start.timestamp() // 3600)
        last = -int(-interval.end.timestamp() // 3600)
        return range(first, last)

    def rows(self, interval: Interval, at: datetime) -> list[int]:
        """What can be read of an interval at a time."""
        return [hour for hour in self.hours(interval) if self.arrival(hour) <= at]

    def is_bad(self, monitor: str, interval: Interval) -> bool:
        return chance(self.seed, monitor, interval.end) < 0.35

    def digest(self, rows: list[int]) -> str:
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    # Processes.

    def _start(self, machine: int) -> Process:
        registry = RunRegistry.open(self.url, reports=self.folder, environ={})
        process = Process(self, machine, registry)
        event.listen(registry.engine, "begin", lambda connection: process.moment())
        event.listen(registry.engine, "commit", lambda connection: process.moment())

        def measure(definition: Definition, interval: Interval, past: object, *, beat: Any) -> Measurement:
            return self._measure(process, definition, interval)

        tools = Tools(registry.engine, self.folder, process.clock, measure, observe, rewind)
        process.daemon = Daemon(
            tools,
            self.definitions,
            deliver=lambda: deliver(registry, process.clock, _Receiver(self, process)),
            threads=False,
        )
        self.counts["processes"] += 1
        return process

    def _measure(self, process: Process, definition: Definition, interval: Interval) -> Measurement:
        self.counts["measured"] += 1
        process.moment()
        # Two that sleep within one another would be two sleeps of one.
        if not self._deep and self.random.random() < self.sleeps:
            self._deep = True
            self.counts["sleeps"] += 1
            self.now += timedelta(seconds=90)
            self.look(1 - process.machine)
            self._deep = False
        if self.random.random() < self.failures:
            self.counts["failures"] += 1
            raise RunError("the source is away")
        rows = self.rows(interval, self.now)
        process.moment()
        if not rows:
            return Measurement("no_data", self.digest(rows), message="no responses")
        share = float(self.is_bad(definition.name, interval))
        figures = (FigureRow("bad", "share", share, len(rows)),)
        return Measurement("no_reference", self.digest(rows), n_rows=len(rows), figures=figures)

    def look(self, machine: int, *, safe: bool = False, kill_at: int | None = None) -> None:
        """Let a daemon look once; perhaps it does not live through it."""
        process = self.processes[machine]
        if kill_at is None and not safe and self.random.random() < self.kills:
            kill_at = self.random.randint(1, 40)
        process.kill_at = -1 if kill_at is None else process.moments + kill_at
        try:
            process.daemon.look()
        except Killed:
            process.registry.close()
            self.processes[machine] = self._start(machine)

    def jump(self, machine: int, by: timedelta) -> None:
        """Set a machine's clock ahead or back."""
        self.offsets[machine] = by
        self.counts["jumps"] += 1

    def settle(self) -> None:
        """Right clocks, and time enough for leases to end and messages to be sent again."""
        self.offsets = [timedelta(), timedelta()]
        failures, self.failures, sleeps, self.sleeps = self.failures, 0.0, self.sleeps, 0.0
        for _ in range(14):
            for machine in (0, 1):
                self.look(machine, safe=True)
            self.now += timedelta(minutes=11)
        self.failures, self.sleeps = failures, sleeps

    def close(self) -> None:
        for process in self.processes:
            process.registry.close()

    # What must have come of it.

    def newest(self, monitor: str, *, all_revisions: bool = False) -> list[Recorded]:
        with (
            RunRegistry.open(self.url, reports=self.folder, environ={}) as registry,
            reading(registry.engine) as connection,
        ):
            return list(reversed(recorded(connection, monitor, all_revisions=all_revisions)))

    def told(self, monitor: str) -> list[str]:
        """What the receiver was told, in order; a message that came twice under its key counts once, as it takes it."""
        seen: dict[str, Any] = {}
        for message in self.got:
            if message.monitor == monitor and message.kind != "ping":
                seen.setdefault(message.key, json.loads(message.body))
        return [alert["kind"] for body in seen.values() for alert in body["alerts"]]

    def check(self, *, messages: bool = True, jumps: bool = False) -> list[str]:
        """What is wrong: an empty list. After `jumps` of clocks there may be messages about what was read too early."""
        wrong: list[str] = []
        for one in self.definitions:
            wrong += self._check_intervals(one)
            if messages:
                wrong += self._check_messages(one, jumps=jumps)
        return wrong

    def _check_intervals(self, one: Definition) -> list[str]:
        rows = self.newest(one.name, all_revisions=True)
        if not rows:
            return [f"{one.name}: nothing was recorded"]
        wrong = []
        spans = sorted({row.interval for row in rows})
        expected = list(one.schedule.intervals(spans[0].start, self.now - one.schedule.lag - timedelta(hours=1)))
        missing = [span for span in expected if span not in set(spans)]
        strange = [
            span
            for span in spans
            if span not in set(expected) and span.end <= self.now - one.schedule.lag - timedelta(hours=1)
        ]
        if missing or strange:
            wrong.append(f"{one.name}: missing {list(map(str, missing[:3]))}, strange {list(map(str, strange[:3]))}")
        for before, after in itertools.pairwise(spans):
            if before.end != after.start:
                wrong.append(f"{one.name}: gap or overlap between {before} and {after}")
        by_span: dict[Interval, list[Recorded]] = {}
        for row in rows:
            by_span.setdefault(row.interval, []).append(row)
        for span, revisions in by_span.items():
            if [row.revision for row in revisions] != list(range(len(revisions))):
                wrong.append(f"{one.name} {span}: revisions {[row.revision for row in revisions]}")
            good = [row for row in revisions if row.status != "error"]
            if any(a.input_digest == b.input_digest for a, b in itertools.pairwise(good)):
                wrong.append(f"{one.name} {span}: recorded twice")
            if span.end > self.now - one.schedule.lag - timedelta(hours=1):
                continue
            if not good or revisions[-1].status == "error":
                wrong.append(f"{one.name} {span}: ends as an error")
                continue
            # Read when it was due or later, what had arrived by then is in it; nothing may be that never arrived.
            least = set(self.rows(span, one.schedule.due(span)))
            possible = [self.digest(self.rows(span, at)) for at in self._arrivals(span, one)]
            if revisions[-1].input_digest not in possible:
                wrong.append(f"{one.name} {span}: {revisions[-1].n_rows} rows, at least {len(least)} were there")
            self.counts["revisions"] += len(revisions) - 1
            self.counts["intervals"] += 1
        return wrong

    def _arrivals(self, span: Interval, one: Definition) -> list[datetime]:
        due = one.schedule.due(span)
        later = sorted(self.arrival(hour) for hour in self.hours(span))
        return [due, *(moment for moment in later if moment > due)]

    def _check_messages(self, one: Definition, *, jumps: bool) -> list[str]:
        """Of an alert that fires at once and ends at once, each change is told once, and nothing else.

        A clock that is ahead lets an interval be read before the one before it is whole: then both are told of as they
        were read, in turns, and nothing that is expected is left out.
        """
        expected: list[str] = []
        firing = False
        for row in self.newest(one.name):
            if row.status == "no_data":
                continue
            bad = self.is_bad(one.name, row.interval)
            if bad != firing:
                expected.append("firing" if bad else "resolved")
                firing = bad
        told = self.told(one.name)
        self.counts["messages"] += len(told)
        turns = told == [("firing", "resolved")[i % 2] for i in range(len(told))]
        if jumps and turns and len(told) >= len(expected) and (len(told) - len(expected)) % 2 == 0:
            self.counts["messages of clocks that were ahead"] += len(told) - len(expected)
            return []
        if told != expected:
            return [f"{one.name}: {len(told)} messages instead of {len(expected)}: {told[:9]} … {expected[:9]} …"]
        return []


class _Receiver:
    """Keeps what it gets; a process may be killed before a message arrives, and after."""

    def __init__(self, world: World, process: Process) -> None:
        self.world, self.process = world, process

    def send(self, message: Any, now: datetime) -> None:
        self.process.moment()
        self.world.got.append(message)
        self.process.moment()

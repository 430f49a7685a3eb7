"""Days of two daemons on one registry, with kills, sleeps, failures, late rows and clocks that jump.

A few here; `benchmarks/monitor_schedule.py` runs ten thousand in the same world.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from .conftest import load_world

world_of = load_world()


class Days(RuleBasedStateMachine):
    """Whatever happens, in whatever order: each interval once, each message once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="days")
        definitions = [world_of.definition("bot", schedule="0 */6 * * *", timezone="Europe/Berlin", lateness_s=120)]
        self.world = world_of.World(Path(self.folder.name), definitions, begin="2026-03-27T22:00:00+00:00")
        # A history as long as clocks go wrong: one that is behind would else begin before the monitor's first interval,
        # and alerts take intervals in the order in which they are read.
        for _ in range(8):
            self.world.now += timedelta(hours=6)
            self.world.look(0, safe=True)
        self.jumped = False

    @rule(hours=st.sampled_from([0.1, 1, 5, 7, 30]), machine=st.integers(0, 1))
    def time_passes(self, hours: float, machine: int) -> None:
        self.world.now += timedelta(hours=hours)
        self.world.look(machine, safe=True)

    @rule(machine=st.integers(0, 1), moment=st.integers(1, 40))
    def one_is_killed(self, machine: int, moment: int) -> None:
        self.world.now += timedelta(hours=6)
        self.world.look(machine, kill_at=moment)

    @rule(machine=st.integers(0, 1))
    def one_sleeps_past_its_lease(self, machine: int) -> None:
        self.world.now += timedelta(hours=6)
        self.world.sleeps = 1.0
        self.world.look(machine, safe=True)
        self.world.sleeps = 0.0

    @rule(machine=st.integers(0, 1), hours=st.sampled_from([-40, -3, -0.5, 3, 9, 40]))
    def a_clock_is_wrong_for_a_while(self, machine: int, hours: float) -> None:
        # One that is ahead is set right before it has gone as far as it is ahead: what it read too early shows then.
        self.jumped = True
        self.world.jump(machine, timedelta(hours=hours))
        for _ in range(2):
            self.world.now += timedelta(hours=abs(hours) / 5)
            self.world.look(machine, safe=True)
            self.world.look(1 - machine, safe=True)
        self.world.jump(machine, timedelta())
        self.world.look(machine, safe=True)

    @invariant()
    def nothing_is_recorded_twice(self) -> None:
        assert [w for w in self.world.check(messages=False) if "twice" in w or "revisions" in w] == []

    def teardown(self) -> None:
        self.world.settle()
        wrong = self.world.check(jumps=self.jumped)
        self.world.close()
        self.folder.cleanup()
        assert wrong == []


TestDays = Days.TestCase
TestDays.settings = settings(
    max_examples=6, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_come_late_become_revisions(tmp_path: Path, seed: int) -> None:
    definitions = [world_of.definition("bot", schedule="0 */4 * * *", revise_for_s=86400.0)]
    world = world_of.World(tmp_path, definitions, seed=seed, late=0.3)
    for _ in range(14):
        world.now += timedelta(hours=3)
        world.look(world.random.randrange(2))
    world.settle()
    assert world.check() == []
    assert world.counts["revisions"] > 0
    # The last day's intervals have seen later ones come, and with them the rows that were late.
    for row in world.newest("bot")[:-3]:
        assert row.input_digest == world.digest(world.rows(row.interval, world.now))
    world.close()


def test_sources_that_fail_are_tried_again_until_they_answer(tmp_path: Path) -> None:
    world = world_of.World(tmp_path, [world_of.definition("bot")], failures=0.5, kills=0.2, seed=3)
    for _ in range(40):
        world.now += timedelta(minutes=20)
        world.look(world.random.randrange(2))
    world.settle()
    assert world.counts["failures"] > 5
    assert world.check(messages=False) == []
    world.close()


def catch_up(tmp_path: Path, **values: Any) -> list[tuple[str, str, int]]:
    """What is recorded after a day, five hours without anybody, and a look."""
    world = world_of.World(tmp_path, [world_of.definition("bot", **values)])
    for hours in (1, 1, 5, 1):
        world.now += timedelta(hours=hours)
        world.look(0, safe=True)
    world.close()
    return [(f"{row.interval.start:%H}-{row.interval.end:%H}", row.status, row.revision) for row in world.newest("bot")]


def test_catch_up_decides_what_becomes_of_missed_intervals(tmp_path: Path) -> None:
    hours = [("00-01", "no_reference", 0), ("01-02", "no_reference", 0)]
    newest = [("07-08", "no_reference", 0)]
    every = [(f"{h:02}-{h + 1:02}", "no_reference", 0) for h in range(2, 7)]
    assert catch_up(tmp_path / "all") == [*hours, *every, *newest]
    latest = catch_up(tmp_path / "latest", catch_up="latest", misfire_grace_s=60)
    assert latest == [*hours, ("02-06", "skipped", 0), ("06-07", "no_reference", 0), *newest]
    none = catch_up(tmp_path / "none", catch_up="none", misfire_grace_s=60)
    assert none == [*hours, ("02-06", "skipped", 0), ("06-07", "no_reference", 0), *newest]
    none = catch_up(tmp_path / "graceful", catch_up="none", misfire_grace_s=2.5 * 3600)
    assert none == [*hours, ("02-04", "skipped", 0), *[e for e in every if e[0] > "04"], *newest]


def test_a_skipped_span_can_be_filled(tmp_path: Path) -> None:
    from evalharness.monitor.backfill import backfill, not_recorded
    from evalharness.monitor.lease import acquire

    world = world_of.World(tmp_path, [world_of.definition("bot", catch_up="latest", misfire_grace_s=60)])
    for hours in (1, 6):
        world.now += timedelta(hours=hours)
        world.look(0, safe=True)
    tools, (definition,) = world.processes[0].daemon.tools, world.definitions
    missing = not_recorded(tools, definition, world.now - timedelta(hours=9), world.now)
    assert [f"{one.start:%H}" for one in missing] == ["22", "23", "01", "02", "03", "04", "05"]
    lease = acquire(tools.engine, "monitor:bot", "backfill", clock=tools.clock)
    assert lease is not None
    actions = [outcome.action for outcome in backfill(tools, definition, missing, lease)]
    assert actions == ["recorded"] * 7
    assert not_recorded(tools, definition, world.now - timedelta(hours=9), world.now) == ()
    world.close()


def test_a_daemon_that_is_told_to_end_gives_the_interval_up_after_half_a_minute(tmp_path: Path) -> None:
    world = world_of.World(tmp_path, [world_of.definition("bot")])
    world.now += timedelta(hours=1)
    daemon = world.processes[0].daemon
    beats = []

    def measure(definition: Any, interval: Any, past: Any, *, beat: Any) -> Any:
        daemon.stop()
        while True:
            beat()
            beats.append(world.now)
            world.now += timedelta(seconds=10)

    object.__setattr__(daemon.tools, "measure", measure)
    said: list[str] = []
    daemon.log = said.append
    daemon.serve(lambda seconds: None)
    assert len(beats) == 3
    assert said == ["bot: told to end: the interval in progress is given up, and runs again at the next start"]
    world.look(1, safe=True)  # the lease was given back: another one need not wait for its end
    assert [row.status for row in world.newest("bot")] == ["no_reference"]
    world.close()


def test_what_a_clock_that_was_ahead_read_too_early_is_read_again(tmp_path: Path) -> None:
    world = world_of.World(tmp_path, [world_of.definition("bot")])
    world.now += timedelta(minutes=30)
    world.jump(0, timedelta(hours=3))
    world.look(0, safe=True)  # it takes 03:30 for the time, and reads what has not happened yet
    assert [row.n_rows for row in world.newest("bot")] == [0]
    world.now += timedelta(hours=1)
    world.look(0, safe=True)
    world.now += timedelta(hours=1)
    world.jump(0, timedelta())  # set right at 02:30: intervals up to 04:00 are recorded
    world.look(0, safe=True)
    world.now += timedelta(hours=2)
    world.look(0, safe=True)
    assert [(f"{row.interval.start:%H}", row.n_rows) for row in world.newest("bot")] == [("02", 1), ("03", 1)]
    assert [row.status for row in world.newest("bot")] == ["no_reference"] * 2
    world.close()


def test_an_interval_that_is_over_by_the_time_the_clock_is_set_right_is_read_again_too(tmp_path: Path) -> None:
    world = world_of.World(tmp_path, [world_of.definition("bot")])
    world.now += timedelta(minutes=30)
    world.jump(0, timedelta(hours=3))
    world.look(0, safe=True)
    world.now += timedelta(hours=2, minutes=45)
    world.jump(0, timedelta())
    world.look(0, safe=True)
    assert [(f"{row.interval.start:%H}", row.revision, row.n_rows) for row in world.newest("bot")] == [("02", 1, 1)]
    world.close()

"""No message of a beginning or an end is lost or doubled, whatever is killed between any two statements."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event

from evalharness.monitor.alerts import add_silence, deliver, observe, parse_matcher
from evalharness.monitor.conditions import Condition
from evalharness.monitor.outbox import Claimed, waiting_rows
from evalharness.record import RunRegistry
from evalharness.record.database import reading, writing
from evalharness.suite.alert_entry import Alerts

from .conftest import HOUR, Bot, Clock, Receiver, window

KEYS = ("a", "b")
GRACE = timedelta(hours=1)
MEMORY = Path("/dev/shm")  # a disk would be waited for after each of ten thousand transactions


class Killed(BaseException):
    """The process is gone."""


class Knife:
    """Kills before the nth statement or commit of a registry's engine."""

    def __init__(self, registry: RunRegistry) -> None:
        self.left: int | None = None
        self.commits = 0
        event.listen(registry.engine, "before_cursor_execute", self._statement)
        event.listen(registry.engine, "commit", self._commit)

    def cut(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed

    def _statement(self, *_: Any) -> None:
        self.cut()

    def _commit(self, _: Any) -> None:
        self.cut()
        self.commits += 1

    @contextmanager
    def after(self, n: int | None) -> Iterator[None]:
        """Kill before the nth statement of the block (None: not at all)."""
        self.left, self.commits = n, 0
        try:
            yield
        except Killed:
            pass
        finally:
            self.left = None


@dataclass
class Oracle:
    """What receivers must be told, from the looks themselves: runs are counted anew from the whole history."""

    need_bad: int
    need_good: int
    looks: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: {key: [] for key in KEYS})
    state: dict[str, str] = field(default_factory=lambda: dict.fromkeys((*KEYS, "heartbeat"), "ok"))
    told: dict[str, str] = field(default_factory=lambda: dict.fromkeys((*KEYS, "heartbeat"), ""))
    messages: list[tuple[str, str]] = field(default_factory=list)
    silent_until: dict[str, datetime] = field(default_factory=dict)
    newest: tuple[int, int] = (-1, 0)
    due: datetime | None = None

    def run(self, key: str, kind: str, ended_by: tuple[str, ...]) -> int:
        count = 0
        for _, seen in reversed(self.looks[key]):
            if seen in ended_by:
                break
            count += seen == kind
        return count

    def look(self, key: str, i: int, kind: str) -> None:
        if self.looks[key] and self.looks[key][-1][0] == i:
            self.looks[key].pop()
        self.looks[key].append((i, kind))
        state, active = self.state[key], self.state[key] in ("firing", "no_data", "error")
        if kind == "ok":
            enough = self.run(key, "ok", ("bad",)) >= self.need_good
            self.state[key] = ("well" if enough else state) if active else "ok"
        elif state == "firing":
            pass
        elif kind == "bad":
            enough = self.run(key, "bad", ("ok",)) >= self.need_bad
            self.state[key] = "firing" if enough else state if active else "pending"
        elif self.run(key, kind, ("ok", "bad", "error" if kind == "no_data" else "no_data")) >= self.need_bad:
            self.state[key] = kind

    def observe(self, i: int, revision: int, kinds: dict[str, str], now: datetime) -> None:
        if (i, revision) <= self.newest:
            return
        if i > self.newest[0] and self.state["heartbeat"] == "firing":
            self.state["heartbeat"] = "well"
        self.newest, self.due = (i, revision), now + HOUR
        unanswered = any(kind in ("no_data", "error") for kind in kinds.values())
        for key in KEYS:
            if key in kinds:
                self.look(key, i, kinds[key])
            elif self.state[key] in ("pending", "firing", "no_data", "error") and not unanswered:
                self.look(key, i, "ok")
        self.settle(now)

    def tick(self, now: datetime) -> None:
        if self.due is not None and now > self.due + GRACE:
            self.state["heartbeat"] = "firing"
        self.settle(now)

    def settle(self, now: datetime) -> None:
        for key, state in self.state.items():
            if state in ("firing", "no_data", "error"):
                if state != self.told[key] and not now < self.silent_until.get(key, now):
                    self.told[key] = state
                    self.messages.append((key, state))
            elif state in ("ok", "well") and self.told[key]:
                self.told[key] = ""
                self.messages.append((key, "resolved"))


class Line(Receiver):
    """A receiver that may be killed before and after it took a message, and during whose sends others are at work."""

    def __init__(self, knife: Knife) -> None:
        super().__init__()
        self.knife = knife
        self.meanwhile: Any = None

    def send(self, message: Claimed, now: datetime) -> None:
        self.knife.cut()
        if self.meanwhile is not None:
            work, self.meanwhile = self.meanwhile, None
            work()
        super().send(message, now)
        self.knife.cut()


class Alarms(RuleBasedStateMachine):
    """Windows, late data, silences, time, two deliverers and kills, in any order."""

    @initialize(need_bad=st.integers(1, 3), need_good=st.integers(1, 3), group=st.sampled_from([(), ("alert",)]))
    def begin(self, need_bad: int, need_good: int, group: tuple[str, ...]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="alarms-", dir=MEMORY if MEMORY.is_dir() else None))
        self.clock = Clock()
        self.registry = RunRegistry.open(reports=self.folder, environ={}, clock=self.clock)
        self.other = RunRegistry.open(reports=self.folder, environ={}, clock=self.clock)
        self.knife = Knife(self.registry)
        self.line = Line(self.knife)
        self.bot = Bot(
            Alerts(
                channels=[{"name": "hook", "url": "https://example.org/"}],  # type: ignore[list-item]
                group_by=group,
                for_intervals=need_bad,
                resolve_after=need_good,
                heartbeat={"grace_s": GRACE.total_seconds()},  # type: ignore[arg-type]
            )
        )
        self.oracle = Oracle(need_bad, need_good)
        self.i = 0

    def see(self, i: int, revision: int, kinds: dict[str, str], kill: int | None) -> None:
        conditions = [Condition(key, kind) for key, kind in kinds.items()]  # type: ignore[arg-type]
        with self.knife.after(kill), writing(self.registry.engine) as connection:
            observe(connection, self.bot, window(i, revision), conditions, self.clock())
        # Whoever was killed does not know how far it came: it begins anew.
        with writing(self.registry.engine) as connection:
            observe(connection, self.bot, window(i, revision), conditions, self.clock())
        self.oracle.observe(i, revision, kinds, self.clock())

    kinds = st.dictionaries(
        st.sampled_from(KEYS), st.sampled_from(["ok", "ok", "bad", "bad", "bad", "no_data", "error"])
    )
    kills = st.one_of(st.none(), st.integers(0, 60))

    @rule(kinds=kinds, kill=kills, minutes=st.integers(0, 90))
    def next_window(self, kinds: dict[str, str], kill: int | None, minutes: int) -> None:
        self.clock.now += timedelta(minutes=minutes)
        self.see(self.i, 0, kinds, kill)
        self.i += 1

    @precondition(lambda self: self.i)
    @rule(kinds=kinds, kill=kills, back=st.integers(1, 3), revision=st.integers(0, 2))
    def seen_again(self, kinds: dict[str, str], kill: int | None, back: int, revision: int) -> None:
        self.see(max(self.i - back, 0), revision, kinds, kill)

    @rule(key=st.sampled_from(KEYS), kill=kills, again=st.booleans())
    def begins_and_ends(self, key: str, kill: int | None, again: bool) -> None:
        """Enough windows for a beginning and an end, which nobody was sent yet."""
        for kind, n in (("bad", self.oracle.need_bad), ("ok", self.oracle.need_good)):
            for _ in range(n):
                self.see(self.i, 0, {**dict.fromkeys(KEYS, "ok"), key: kind}, kill)
                if again:
                    self.see(self.i, 1, {**dict.fromkeys(KEYS, "ok"), key: kind}, None)
                self.i += 1

    @rule(key=st.sampled_from(KEYS), minutes=st.integers(1, 240))
    def be_silent(self, key: str, minutes: int) -> None:
        until = self.clock() + timedelta(minutes=minutes)
        with writing(self.registry.engine) as connection:
            add_silence(connection, [parse_matcher(f"alert={key}")], until=until, now=self.clock())
        self.oracle.silent_until[key] = max(until, self.oracle.silent_until.get(key, until))

    @rule(minutes=st.integers(1, 300))
    def wait(self, minutes: int) -> None:
        self.clock.now += timedelta(minutes=minutes)

    @rule(
        kill=kills,
        script=st.lists(st.sampled_from(["arrives", "refused", "unknown"]), max_size=4),
        meanwhile=st.sampled_from([None, None, "deliver", "slow"]),
    )
    def send(self, kill: int | None, script: list[str], meanwhile: str | None) -> None:
        self.line.script = script

        def work() -> None:
            if meanwhile == "slow":  # as slow as a send may be
                self.clock.now += timedelta(seconds=30)
            left, self.knife.left = self.knife.left, None
            deliver(self.other, self.clock, self.line)
            self.knife.left = left
            self.oracle.tick(self.clock())

        now = self.clock()
        self.line.meanwhile = work if meanwhile else None
        before = list(self.oracle.messages), dict(self.oracle.told), dict(self.oracle.state)
        self.oracle.tick(now)
        with self.knife.after(kill):
            deliver(self.registry, self.clock, self.line)
        if self.knife.commits == 0:
            self.oracle.messages, self.oracle.told, self.oracle.state = before
        self.line.meanwhile, self.line.script = None, []

    @invariant()
    def what_comes_twice_says_so(self) -> None:
        seen: set[str] = set()
        for message in self.line.got if hasattr(self, "line") else ():
            assert message.may_be_repeated or message.key not in seen
            seen.add(message.key)

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        try:
            # The outage is over: all that waits goes out, once waits and leases have run down.
            for _ in range(60):
                self.oracle.tick(self.clock())
                deliver(self.registry, self.clock, self.line)
                with reading(self.registry.engine) as connection:
                    if not waiting_rows(connection):
                        break
                self.clock.now += HOUR
            self.what_comes_twice_says_so()
            for key in (*KEYS, "heartbeat"):
                assert [m for m in self.line.told() if m[0] == key] == [m for m in self.oracle.messages if m[0] == key]
        finally:
            self.registry.close()
            self.other.close()
            shutil.rmtree(self.folder)


TestAlarms = Alarms.TestCase
TestAlarms.settings = settings(stateful_step_count=25, deadline=None)

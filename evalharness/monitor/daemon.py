"""The daemon: runs the intervals of monitors when they are due, each once, however often it dies or the clock jumps.

What is left to run follows from the registry and the time of now alone: from where the monitor's cursor stands to now,
by its schedule. Nothing is remembered between two looks, so that a new daemon goes on where an old one was killed, and
two of them share the work: who has a monitor's lease runs its intervals.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from sqlalchemy import Connection

from evalharness.core.errors import EvalHarnessError
from evalharness.record.database import reading, writing

from .lease import LEASE_S, Lease, LeaseLostError, acquire, confirm, holder_name, kept, release
from .measurement import QUARANTINE
from .retention import tidied
from .run import Outcome, StoppedError, Tools, run_interval
from .schedule import Interval
from .store import Recorded, add_interval, advance, doubt, ensure_monitor, newest, recorded

if TYPE_CHECKING:
    from .define import Definition

__all__ = ["Daemon", "Deliver", "lease_name", "told"]

MAX_ATTEMPTS: Final = 24
_FIRST_RETRY_S: Final = 60.0
_LAST_RETRY_S: Final = 3600.0
# Clocks of two machines are seldom further apart.
_SKEW: Final = timedelta(seconds=60)
# So long an interval in progress may go on after the signal to end.
_GRACE_S: Final = 30.0


class Deliver(Protocol):
    """Sends what is in the outbox; called at each look."""

    def __call__(self) -> object: ...


def lease_name(monitor: str) -> str:
    """The lease under which the intervals of a monitor are written."""
    return f"monitor:{monitor}"


def _nothing() -> None: ...


def _silent(line: str) -> None: ...


@dataclass
class Daemon:
    """Looks at monitors again and again; `log` takes a line for each thing done.

    `threads` renews leases while an interval is measured; tests that have a clock of their own go without.
    """

    tools: Tools
    definitions: Sequence[Definition]
    deliver: Deliver = _nothing
    log: Callable[[str], None] = _silent
    holder: str = field(default_factory=holder_name)
    lease_s: float = LEASE_S
    threads: bool = True
    stopping: bool = False
    _stop_at: datetime | None = None

    def stop(self) -> None:
        """End after the interval in progress, or without it if it takes longer than half a minute. Safe in signals."""
        self.stopping = True

    def look(self) -> int:
        """Run what is due now, of each monitor as much as its lease lets; returns how many intervals were run."""
        done = 0
        for definition in self.definitions:
            if self.stopping:
                break
            try:
                done += self._monitor(definition)
            except (LeaseLostError, StoppedError) as stopped:
                self.log(f"{definition.name}: {stopped}")
            except EvalHarnessError as error:
                # The database or the disk: the next look tries again.
                self.log(f"{definition.name}: {error}")
        with contextlib.suppress(StoppedError):
            self.deliver()
        return done

    def next_look(self, now: datetime) -> datetime:
        """When something will be due again; half a minute at the latest, for messages and for others' leases."""
        found = [definition.schedule.next_due(now) for definition in self.definitions]
        return min([*found, now + timedelta(seconds=30)])

    def serve(self, wait: Callable[[float], object]) -> None:
        """Look, wait, and look again until `stop` is called."""
        while not self.stopping:
            self.look()
            now = self.tools.clock()
            if not self.stopping:
                wait(max(0.5, (self.next_look(now) - now).total_seconds()))

    def _monitor(self, definition: Definition) -> int:
        lease = acquire(
            self.tools.engine,
            lease_name(definition.name),
            self.holder,
            clock=self.tools.clock,
            seconds=self.lease_s,
        )
        if lease is None:
            return 0
        keeping = kept(self.tools.engine, lease, clock=self.tools.clock) if self.threads else contextlib.nullcontext()
        try:
            with keeping:
                return self._intervals(definition, lease)
        finally:
            # Where the database cannot be reached the lease runs out by itself.
            with contextlib.suppress(EvalHarnessError):
                release(self.tools.engine, lease)

    def _intervals(self, definition: Definition, lease: Lease) -> int:
        done = 0
        with writing(self.tools.engine) as connection:
            now = self.tools.clock()
            confirm(connection, lease, now)
            cursor = self._cursor(connection, definition, now)
        pending = list(definition.schedule.intervals(cursor, now - definition.schedule.lag))
        missed, due = self._sorted(definition, pending, now)
        if missed:
            self._skip(definition, missed, lease)
        for interval in due:
            if self.stopping:
                break
            with reading(self.tools.engine) as connection:
                row = newest(connection, definition.name, interval)
            if row is not None and row.status != "skipped" and row.checked_utc >= definition.schedule.due(interval):
                with writing(self.tools.engine) as connection:
                    confirm(connection, lease, self.tools.clock())
                    advance(connection, definition.name, interval.end)
                continue
            done += self._run(definition, interval, lease, advance_to=interval.end)
        for interval in self._again(definition, self.tools.clock()):
            if self.stopping:
                break
            done += self._run(definition, interval, lease, advance_to=None)
        return done

    def _cursor(self, connection: Connection, definition: Definition, now: datetime) -> datetime:
        """Up to where nothing is left to run; further back where a clock was ahead and let intervals be read too early.

        What was read at a time that is still to come was read by such a clock. It is run again when it is due; where
        the clock was right, and this one is behind, that finds the same rows and changes nothing.
        """
        cursor = ensure_monitor(connection, definition, now)
        schedule = definition.schedule
        true = min(cursor, schedule.last(now - schedule.lag))
        early = doubt(connection, definition.name, now + _SKEW)
        if early is not None and early <= true:
            true = schedule.last(early - timedelta(microseconds=1))
        if true < cursor:
            advance(connection, definition.name, true)
            self.tools.rewind(connection, definition.monitor, schedule.ending(true), now)
        return true

    def _sorted(
        self, definition: Definition, pending: list[Interval], now: datetime
    ) -> tuple[list[Interval], list[Interval]]:
        """(intervals that are left out, intervals to run), by what is to be caught up."""
        grace = timedelta(seconds=definition.monitor.misfire_grace_s)
        late = [one for one in pending if definition.schedule.due(one) + grace < now]
        on_time = pending[len(late) :]
        match definition.monitor.catch_up:
            case "all":
                return [], pending
            case "none":
                return late, on_time
            case "latest":
                return pending[:-1] if late else [], pending[-1:] if late else on_time

    def _skip(self, definition: Definition, missed: list[Interval], lease: Lease) -> None:
        """Write down that a span was left out, as one row."""
        span = Interval(missed[0].start, missed[-1].end)
        policy = definition.monitor.catch_up
        message = (
            f"{len(missed)} intervals were missed and left out (catch_up: {policy}); to run them: "
            f"evalharness monitor backfill {definition.path.name} --span {span}"
        )
        with writing(self.tools.engine) as connection:
            now = self.tools.clock()
            confirm(connection, lease, now)
            if newest(connection, definition.name, span) is None:
                add_interval(
                    connection,
                    definition,
                    span,
                    status="skipped",
                    revision=0,
                    token=lease.token,
                    attempts=0,
                    started=now,
                    now=now,
                    message=message,
                )
            advance(connection, definition.name, span.end)
        self.log(f"{definition.name}: {message}")

    def _again(self, definition: Definition, now: datetime) -> list[Interval]:
        """The intervals that failed and are to be tried again, and those that may have got late rows, oldest first."""
        schedule = definition.schedule
        until = now - schedule.lag
        since = now - timedelta(seconds=definition.monitor.revise_for_s)
        with reading(self.tools.engine) as connection:
            failed = recorded(connection, definition.name, until=until, status="error")
            rows = recorded(connection, definition.name, after=since, until=until) if since < now else ()
        found = [row.interval for row in failed if _retry_at(row) <= now]
        if rows:
            newest_end = max(row.interval.end for row in rows)
            found += [
                row.interval
                for row in rows
                if row.status not in ("error", "skipped")
                # Once after each later interval.
                and row.interval.end < newest_end
                and row.checked_utc < schedule.due(Interval(row.interval.end, newest_end))
            ]
        return sorted(found)

    def _run(self, definition: Definition, interval: Interval, lease: Lease, *, advance_to: datetime | None) -> int:
        outcome = run_interval(self.tools, definition, interval, lease, advance_to=advance_to, beat=self._beat)
        self.log(told(definition.name, interval, outcome))
        if said := tidied(self.tools, definition, lease):
            self.log(said)
        return 1

    def _beat(self) -> None:
        if not self.stopping:
            return
        now = self.tools.clock()
        self._stop_at = self._stop_at or now + timedelta(seconds=_GRACE_S)
        if now >= self._stop_at:
            raise StoppedError("told to end: the interval in progress is given up, and runs again at the next start")


def _retry_at(row: Recorded) -> datetime:
    """When a failed interval is tried again: after 1, 2, 4, … minutes, each hour then, for most of a day."""
    if row.attempts >= MAX_ATTEMPTS:
        return datetime.max.replace(tzinfo=row.checked_utc.tzinfo)
    return row.checked_utc + timedelta(seconds=min(_FIRST_RETRY_S * 2 ** (row.attempts - 1), _LAST_RETRY_S))


def told(monitor: str, interval: Interval, outcome: Outcome) -> str:
    """A line on what became of an interval."""
    row = outcome.row
    head = f"{monitor}: {interval}"
    responses = f"{row.n_rows:,} response{'' if row.n_rows == 1 else 's'}"
    if row.n_quarantined:
        bad = f"{row.n_quarantined:,} row{'' if row.n_quarantined == 1 else 's'} could not be read"
        responses += f", {bad}{f' (see {row.path}/{QUARANTINE})' if row.path else ''}"
    match outcome.action:
        case "failed":
            left = MAX_ATTEMPTS - row.attempts
            return f"{head} failed: {row.message}" + (f" (tried {row.attempts} times)" if left <= 0 else "")
        case "unchanged":
            return f"{head}: nothing new (revision {row.revision}, {responses})"
    revised = f" revision {row.revision}," if outcome.action == "revised" else ""
    match row.status:
        case "no_data":
            return f"{head}:{revised} no responses{responses.removeprefix('0 responses')}"
        case "no_reference":
            return f"{head}:{revised} {responses}; {row.message or 'no reference yet'}"
    left_out = f"; {row.message}" if row.message else ""
    return f"{head}:{revised} {responses}, {row.n_drifted} of {row.n_findings} comparisons drifted{left_out}"

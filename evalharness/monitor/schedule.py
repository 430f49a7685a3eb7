"""When intervals begin, end and are due: cron expressions in a zone, without gap and overlap through clock changes.

Firings follow Debian's cron, as cronsim computes them: what is to happen at a set time that a clock change skips
happens right after it, what stands in a repeated hour happens once; where hours or minutes begin with `*`, real time
counts.
Everything is computed from the expression and a point in time: nothing is remembered, so no clock can confuse it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.suite.monitor_entry import Monitor, seconds_of

__all__ = ["Interval", "Schedule", "parse_interval", "utc_text"]

# 29 February comes every eight years at least.
_LOOKS = tuple(timedelta(hours=hours) for hours in (3, 24, 8 * 24, 64 * 24, 512 * 24, 9 * 366 * 24))
# Firings near a clock change depend on nothing that lies further back; those of every minute or hour are many.
_LEAD = timedelta(days=2)
_SHORT_LEAD = timedelta(hours=3)


class Interval(NamedTuple):
    """A span of event time, `[start, end)`, in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{utc_text(self.start)}/{utc_text(self.end)}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The intervals of a monitor, each named by the firing at which it ends.

    An interval goes from the firing before to its own, or has `length_s` seconds. It is due `lateness_s` after its end,
    and then `jitter_s`, a part of the monitor's jitter that its name decides.
    """

    cron: str
    zone: str = "UTC"
    length_s: float = 0.0
    lateness_s: float = 0.0
    jitter_s: float = 0.0

    @classmethod
    def of(cls, monitor: Monitor) -> Schedule:
        """The schedule of a definition, which has a name."""
        part = int.from_bytes(hashlib.sha256((monitor.name or "").encode()).digest()[:8], "big") / 2**64
        return cls(
            monitor.schedule,
            monitor.timezone,
            seconds_of(monitor.interval) if monitor.interval else 0.0,
            monitor.lateness_s,
            round(monitor.jitter_s * part, 3),
        )

    @property
    def lag(self) -> timedelta:
        """From the end of an interval to when it is due."""
        return timedelta(seconds=self.lateness_s + self.jitter_s)

    def firings(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The firings with `after` < firing <= `until`, in UTC, ascending."""
        try:
            from cronsim import CronSim
        except ModuleNotFoundError:
            raise MissingExtraError("cronsim", "monitor", purpose="the schedule of a monitor") from None

        # From before `after`, so that the answer does not depend on where in a clock change it lies.
        last = after
        lead = _SHORT_LEAD if any(field.startswith("*") for field in self.cron.split()[-5:-3]) else _LEAD
        for local in CronSim(self.cron, (after - lead).astimezone(ZoneInfo(self.zone))):
            firing = local.astimezone(UTC)
            if firing > until:
                return
            if firing > last:
                last = firing
                yield firing

    def last(self, moment: datetime) -> datetime:
        """The newest firing at `moment` or before it.

        Raises:
            UsageError: there is none within nine years.
        """
        for look in _LOOKS:
            found = deque(self.firings(moment - look, moment), maxlen=1)
            if found:
                return found[0]
        raise UsageError(f"schedule: {self.cron!r} did not come in the nine years before {utc_text(moment)}")

    def ending(self, end: datetime) -> Interval:
        """The interval that ends with the firing `end`."""
        if self.length_s:
            return Interval(end - timedelta(seconds=self.length_s), end)
        return Interval(self.last(end - timedelta(microseconds=1)), end)

    def due(self, interval: Interval) -> datetime:
        """When an interval is to be run."""
        return interval.end + self.lag

    def intervals(self, after: datetime, until: datetime) -> Iterator[Interval]:
        """The intervals that end after `after` and at `until` at the latest."""
        previous = None
        for firing in self.firings(after, until):
            if previous is None or self.length_s:
                yield self.ending(firing)
            else:
                yield Interval(previous, firing)
            previous = firing

    def newest_due(self, now: datetime) -> Interval:
        """The latest whole interval that is due."""
        return self.ending(self.last(now - self.lag))

    def a_week_before(self, interval: Interval) -> Interval:
        """The interval that ended at the same time a week ago, by the clock on the wall, or the last one before."""
        local = interval.end.astimezone(ZoneInfo(self.zone))
        return self.ending(self.last((local - timedelta(days=7)).astimezone(UTC)))

    def next_due(self, now: datetime) -> datetime:
        """When the next interval after `now` is due."""
        begin = now - self.lag
        for firing in self.firings(begin, begin + _LOOKS[-1]):
            return firing + self.lag
        return now + _LOOKS[-1]


def utc_text(moment: datetime) -> str:
    """A point in time in UTC, as short as ISO 8601 lets it be: 2026-03-29T01:00:00Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_interval(text: str, zone: str, *, place: str = "--interval") -> Interval:
    """START/END as people write it; times without a zone are in `zone`.

    Raises:
        UsageError: it is no interval, or ends before it begins.
    """
    example = "write START/END in ISO 8601: 2026-01-31T09:00Z/2026-01-31T10:00Z"
    parts = text.split("/")
    if len(parts) != 2:
        raise UsageError(f"{place}: {text[:80]!r} is no interval; {example}")
    times: list[datetime] = []
    for part in parts:
        try:
            moment = datetime.fromisoformat(part)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=ZoneInfo(zone))
            times.append(moment.astimezone(UTC))
        except (ValueError, OverflowError):
            raise UsageError(f"{place}: {part[:40]!r} is no time; {example}") from None
    if times[0] >= times[1]:
        raise UsageError(f"{place}: {text[:80]!r} ends before it begins, or is empty; {example}")
    return Interval(*times)

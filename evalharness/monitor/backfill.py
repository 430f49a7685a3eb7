"""Intervals of the past: which of a span are not recorded, and running them one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evalharness.record.database import reading

from .lease import Lease
from .run import Outcome, Tools, run_interval
from .schedule import Interval
from .store import recorded

if TYPE_CHECKING:
    from .define import Definition

__all__ = ["backfill", "not_recorded"]


def not_recorded(
    tools: Tools, definition: Definition, after: datetime, until: datetime, *, again: bool = False
) -> tuple[Interval, ...]:
    """The scheduled intervals that lie within [`after`, `until`] and have no figures yet, oldest first.

    With `again` all of them.
    """
    with reading(tools.engine) as connection:
        done = {
            row.interval
            for row in recorded(connection, definition.name, after=after, until=until)
            if row.status not in ("error", "skipped")
        }
    found = definition.schedule.intervals(after - timedelta(microseconds=1), until)
    return tuple(one for one in found if one.start >= after and (again or one not in done))


def backfill(
    tools: Tools,
    definition: Definition,
    intervals: tuple[Interval, ...],
    lease: Lease,
    *,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Run `intervals`, oldest first, so that each finds the one before it; one that fails does not end the others."""
    for interval in intervals:
        beat()
        yield run_interval(tools, definition, interval, lease, beat=beat)

"""The rows of monitors and intervals in the registry; every function works over a connection of the caller's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from evalharness.core.drifting import DriftFinding
from evalharness.record.monitor_tables import FIGURES, FINDINGS, INTERVALS, MONITORS

from .define import Definition
from .measurement import FigureRow, IntervalStatus, Measurement
from .schedule import Interval

__all__ = [
    "Recorded",
    "add_interval",
    "advance",
    "doubt",
    "ensure_monitor",
    "figures_of",
    "findings_of",
    "monitors",
    "newest",
    "recorded",
    "touch",
]

_INSTANT: Final = timedelta(microseconds=1)
_LONG_AGO: Final = datetime.fromtimestamp(0, UTC)
_FIELDS: Final = tuple(field.name for field in dataclasses.fields(DriftFinding))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A revision of an interval, as it stands in the registry."""

    id: int
    monitor: str
    interval: Interval
    revision: int
    status: IntervalStatus
    message: str
    token: int
    attempts: int
    recorded_utc: datetime
    checked_utc: datetime
    n_rows: int
    n_duplicates: int
    n_quarantined: int
    n_late: int
    n_findings: int
    n_drifted: int
    reference: str
    definition_digest: str
    input_digest: str
    layout_digest: str
    path: str


_OWN: Final = tuple(field.name for field in dataclasses.fields(Recorded) if field.name != "interval")
_SELECTED: Final = (*(INTERVALS.c[name] for name in _OWN), INTERVALS.c.start_utc, INTERVALS.c.end_utc)


def ensure_monitor(connection: Connection, definition: Definition, now: datetime) -> datetime:
    """Register the monitor, or bring its row up to date; returns up to when no scheduled interval is left to run.

    A new monitor begins with the latest interval that is due already, so that it shows something at once.
    """
    text = json.dumps(definition.resolved, sort_keys=True, ensure_ascii=False)
    row = connection.execute(
        select(MONITORS.c.cursor_utc, MONITORS.c.definition, MONITORS.c.path).where(MONITORS.c.name == definition.name)
    ).first()
    path = str(definition.path.absolute())
    if row is None:
        schedule = definition.schedule
        cursor = schedule.last(schedule.last(now - schedule.lag) - _INSTANT)
        values = {"name": definition.name, "created_utc": now, "cursor_utc": cursor}
        connection.execute(insert(MONITORS).values(**values, **_described(definition, text, path, now)))
        return cursor
    if (row.definition, row.path) != (text, path):
        connection.execute(
            update(MONITORS).where(MONITORS.c.name == definition.name).values(_described(definition, text, path, now))
        )
    cursor_utc: datetime = row.cursor_utc
    return cursor_utc


def _described(definition: Definition, text: str, path: str, now: datetime) -> dict[str, Any]:
    return {"definition": text, "definition_digest": definition.digest, "path": path, "updated_utc": now}


def advance(connection: Connection, monitor: str, cursor: datetime) -> None:
    """Say that no scheduled interval up to `cursor` is left to run."""
    connection.execute(update(MONITORS).where(MONITORS.c.name == monitor).values(cursor_utc=cursor))


def monitors(connection: Connection) -> tuple[Row[Any], ...]:
    """The registered monitors: name, path, definition, created_utc, cursor_utc."""
    columns = (MONITORS.c[name] for name in ("name", "path", "definition", "created_utc", "cursor_utc"))
    return tuple(connection.execute(select(*columns).order_by(MONITORS.c.name)).all())


def recorded(
    connection: Connection,
    monitor: str,
    *,
    after: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    all_revisions: bool = False,
    status: IntervalStatus | None = None,
) -> tuple[Recorded, ...]:
    """The intervals that end in (after, until], newest first; of each its newest revision only, unless all are asked.

    With `limit` the newest so many, with `status` only those whose newest revision has it.
    """
    query = select(*_SELECTED).where(INTERVALS.c.monitor == monitor)
    if after is not None:
        query = query.where(INTERVALS.c.end_utc > after)
    if status is not None:
        query = query.where(INTERVALS.c.status == status)
    if until is not None:
        query = query.where(INTERVALS.c.end_utc <= until)
    if not all_revisions:
        later = INTERVALS.alias()
        query = query.where(
            ~select(later.c.id)
            .where(
                later.c.monitor == INTERVALS.c.monitor,
                later.c.start_utc == INTERVALS.c.start_utc,
                later.c.end_utc == INTERVALS.c.end_utc,
                later.c.revision > INTERVALS.c.revision,
            )
            .exists()
        )
    query = query.order_by(INTERVALS.c.end_utc.desc(), INTERVALS.c.start_utc.desc(), INTERVALS.c.revision.desc())
    return tuple(map(_recorded, connection.execute(query.limit(limit) if limit is not None else query)))


def newest(connection: Connection, monitor: str, interval: Interval) -> Recorded | None:
    """The newest revision of `interval`."""
    query = (
        select(*_SELECTED)
        .where(
            INTERVALS.c.monitor == monitor,
            INTERVALS.c.start_utc == interval.start,
            INTERVALS.c.end_utc == interval.end,
        )
        .order_by(INTERVALS.c.revision.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _recorded(row)


def add_interval(
    connection: Connection,
    definition: Definition,
    interval: Interval,
    *,
    status: IntervalStatus,
    revision: int,
    token: int,
    attempts: int,
    started: datetime,
    now: datetime,
    path: str = "",
    message: str = "",
    measured: Measurement | None = None,
) -> int:
    """Write an interval, its figures and findings, in the place of an error of the same revision; returns its id."""
    connection.execute(
        delete(INTERVALS).where(
            INTERVALS.c.monitor == definition.name,
            INTERVALS.c.start_utc == interval.start,
            INTERVALS.c.end_utc == interval.end,
            INTERVALS.c.revision == revision,
            INTERVALS.c.status == "error",
        )
    )
    findings: Sequence[DriftFinding] = measured.findings if measured else ()
    values = {
        "monitor": definition.name,
        "start_utc": interval.start,
        "end_utc": interval.end,
        "revision": revision,
        "status": status,
        "message": message,
        "token": token,
        "attempts": attempts,
        "started_utc": started,
        "recorded_utc": now,
        "checked_utc": now,
        "n_rows": measured.n_rows if measured else 0,
        "n_duplicates": measured.n_duplicates if measured else 0,
        "n_quarantined": measured.n_quarantined if measured else 0,
        "n_late": measured.n_late if measured else 0,
        "n_findings": len(findings),
        "n_drifted": sum(finding.drifted for finding in findings),
        "reference": measured.reference if measured else "",
        "definition_digest": definition.digest,
        "input_digest": measured.input_digest if measured else "",
        "layout_digest": measured.layout_digest if measured else "",
        "path": path,
    }
    number = connection.execute(insert(INTERVALS).values(values)).inserted_primary_key
    assert number is not None  # the table has a number for its key
    interval_id = int(number[0])
    if measured and measured.figures:
        connection.execute(insert(FIGURES), [_figure_values(interval_id, row) for row in measured.figures])
    if findings:
        connection.execute(insert(FINDINGS), [_finding_values(interval_id, finding) for finding in findings])
    return interval_id


def doubt(connection: Connection, monitor: str, now: datetime) -> datetime | None:
    """Mark the intervals that were read at a time later than `now`, by a clock that was ahead.

    Returns the end of the first of them, None where there is none.
    """
    where = INTERVALS.c.monitor == monitor, INTERVALS.c.checked_utc > now
    first: datetime | None = connection.execute(select(func.min(INTERVALS.c.end_utc)).where(*where)).scalar()
    if first is not None:
        connection.execute(update(INTERVALS).where(*where).values(checked_utc=_LONG_AGO))
    return first


def touch(connection: Connection, interval_id: int, now: datetime) -> None:
    """Say that an interval was read again, and was the same."""
    connection.execute(update(INTERVALS).where(INTERVALS.c.id == interval_id).values(checked_utc=now))


def figures_of(connection: Connection, interval_id: int) -> tuple[FigureRow, ...]:
    """The figures of an interval, in the order in which they were measured."""
    query = select(FIGURES).where(FIGURES.c.interval_id == interval_id).order_by(FIGURES.c.id)
    return tuple(
        FigureRow(row.column_name, row.name, row.value, row.n, row.ci_low, row.ci_high, row.segment)
        for row in connection.execute(query)
    )


def findings_of(connection: Connection, interval_id: int) -> tuple[DriftFinding, ...]:
    """The findings of an interval, in the order in which they were found."""
    query = select(FINDINGS).where(FINDINGS.c.interval_id == interval_id).order_by(FINDINGS.c.id)
    rows: Iterable[Row[Any]] = connection.execute(query)
    return tuple(
        DriftFinding(**{name: row._mapping["column_name" if name == "column" else name] for name in _FIELDS})
        for row in rows
    )


def _figure_values(interval_id: int, row: FigureRow) -> dict[str, Any]:
    values = row._asdict()
    return {"interval_id": interval_id, "column_name": values.pop("column"), **values}


def _finding_values(interval_id: int, finding: DriftFinding) -> dict[str, Any]:
    values = {name: getattr(finding, name) for name in _FIELDS}
    return {"interval_id": interval_id, "column_name": values.pop("column"), **values}


def _recorded(row: Row[Any]) -> Recorded:
    values = row._mapping
    interval = Interval(values["start_utc"], values["end_utc"])
    return Recorded(interval=interval, **{name: values[name] for name in _OWN})

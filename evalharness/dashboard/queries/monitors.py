"""What the registry says of monitors: where each stands, their intervals, figures over time, findings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select, tuple_

from ...record.acknowledge import OPEN
from ...record.alert_tables import ALERTS, HEARTBEATS
from ...record.monitor_tables import FIGURES, FINDINGS, INTERVALS, MONITORS
from ...record.tables import UtcTime
from ..cursor import place_of, read_place
from .runs import number

__all__ = [
    "Estimated",
    "FigurePoint",
    "FindingRow",
    "IntervalFigure",
    "IntervalPage",
    "IntervalRow",
    "MonitorRow",
    "estimates_of",
    "figure_names",
    "figures_in",
    "findings_in",
    "interval_folder",
    "interval_of",
    "intervals_page",
    "monitor_of",
    "monitors",
    "newest_intervals",
    "series",
]

MOST_POINTS = 500


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """The newest revision of an interval, `[start_utc, end_utc)`."""

    id: int
    monitor: str
    start_utc: datetime
    end_utc: datetime
    revision: int
    status: str
    message: str
    recorded_utc: datetime
    n_rows: int
    n_duplicates: int
    n_quarantined: int
    n_late: int
    n_findings: int
    n_drifted: int
    reference: str


@dataclass(frozen=True, slots=True)
class MonitorRow:
    """A monitor, its newest interval and how many of its alerts are open; `due_utc` is when its next one is due."""

    name: str
    created_utc: datetime
    cursor_utc: datetime
    schedule: str
    timezone: str
    last: IntervalRow | None
    n_open: int
    due_utc: datetime | None


@dataclass(frozen=True, slots=True)
class IntervalPage:
    """A page of a list; `after` names the next one, None where this is the last."""

    items: tuple[IntervalRow, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class IntervalFigure:
    """One figure of an interval; `segment` is "" for the whole of it."""

    column: str
    segment: str
    name: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class FigurePoint:
    """A figure of one interval among many."""

    interval_id: int
    start_utc: datetime
    end_utc: datetime
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class FindingRow:
    """What one drift test found in one column of one segment."""

    column: str
    segment: str
    kind: str
    test: str
    state: str
    reason: str
    p_value: float | None
    q_value: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    effect_name: str
    effect_threshold: float | None
    n_reference: int
    n_current: int


@dataclass(frozen=True, slots=True)
class Estimated:
    """A figure estimated without labels, interval by interval, and what labels said where they have come."""

    name: str
    points: tuple[tuple[FigurePoint, FigurePoint | None], ...]

    @property
    def n_known(self) -> int:
        """The intervals of which both are known."""
        return sum(self._holds(*pair) is not None for pair in self.points)

    @property
    def n_held(self) -> int:
        """Those in which the interval held what labels said."""
        return sum(bool(self._holds(*pair)) for pair in self.points)

    @staticmethod
    def _holds(guess: FigurePoint, known: FigurePoint | None) -> bool | None:
        if known is None or known.value is None or guess.ci_low is None or guess.ci_high is None:
            return None
        return guess.ci_low <= known.value <= guess.ci_high


def monitors(connection: Connection) -> tuple[MonitorRow, ...]:
    """All monitors, those with open alerts first, then by name."""
    found = [_monitor(connection, row) for row in connection.execute(select(MONITORS)).mappings().all()]
    return tuple(sorted(found, key=lambda one: (-one.n_open, one.name)))


def monitor_of(connection: Connection, name: str) -> tuple[MonitorRow, Mapping[str, Any]] | None:
    """A monitor and its definition."""
    row = connection.execute(select(MONITORS).where(MONITORS.c.name == name)).mappings().first()
    return None if row is None else (_monitor(connection, row), _definition(row["definition"]))


def newest_intervals(connection: Connection, monitor: str, *, limit: int) -> tuple[IntervalRow, ...]:
    """The newest revisions of the newest intervals, newest first."""
    rows = connection.execute(_newest(monitor).limit(limit)).mappings()
    return tuple(_interval(row) for row in rows)


def intervals_page(connection: Connection, monitor: str, *, after: str | None, limit: int = 50) -> IntervalPage:
    """A page of intervals, newest first.

    Raises:
        UsageError: if `after` is no place in a list.
    """
    query = _newest(monitor).limit(limit + 1)
    if place := read_place(after, int):
        here = tuple_(literal(place[0], UtcTime), literal(place[1]))
        query = query.where(tuple_(INTERVALS.c.end_utc, INTERVALS.c.id) < here)
    items = tuple(_interval(row) for row in connection.execute(query).mappings())
    more = place_of(items[limit - 1].end_utc, items[limit - 1].id) if len(items) > limit else None
    return IntervalPage(items[:limit], more)


def interval_of(connection: Connection, monitor: str, interval_id: int) -> IntervalRow | None:
    """One revision of an interval of `monitor`."""
    where = INTERVALS.c.id == interval_id, INTERVALS.c.monitor == monitor
    row = connection.execute(select(INTERVALS).where(*where)).mappings().first()
    return None if row is None else _interval(row)


def interval_folder(connection: Connection, interval_id: int, reports: Path) -> Path | None:
    """Where the files of an interval lie, as the registry knows it; None where there are none."""
    path: str | None = connection.execute(select(INTERVALS.c.path).where(INTERVALS.c.id == interval_id)).scalar()
    return reports / path if path and (reports / path).is_dir() else None


def figures_in(connection: Connection, interval_id: int) -> tuple[IntervalFigure, ...]:
    """The figures of an interval, in the order in which they were measured."""
    query = select(FIGURES).where(FIGURES.c.interval_id == interval_id).order_by(FIGURES.c.id)
    return tuple(
        IntervalFigure(
            row["column_name"],
            row["segment"],
            row["name"],
            number(row["value"]),
            number(row["ci_low"]),
            number(row["ci_high"]),
            row["n"],
        )
        for row in connection.execute(query).mappings()
    )


def figure_names(connection: Connection, interval_ids: Sequence[int]) -> tuple[tuple[str, str, str], ...]:
    """(column, figure, segment) of some intervals, in the order in which they were measured."""
    query = (
        select(FIGURES.c.column_name, FIGURES.c.name, FIGURES.c.segment)
        .where(FIGURES.c.interval_id.in_(interval_ids))
        .group_by(FIGURES.c.column_name, FIGURES.c.name, FIGURES.c.segment)
        .order_by(func.min(FIGURES.c.id))
    )
    return tuple((row[0], row[1], row[2]) for row in connection.execute(query))


def findings_in(connection: Connection, interval_id: int) -> tuple[FindingRow, ...]:
    """The findings of an interval: drifted ones first, and of these the one furthest beyond its threshold."""
    query = select(FINDINGS).where(FINDINGS.c.interval_id == interval_id).order_by(FINDINGS.c.id)
    rows = [
        FindingRow(
            column=row["column_name"],
            segment=row["segment"],
            kind=row["kind"],
            test=row["test"],
            state=row["state"],
            reason=row["reason"],
            p_value=number(row["p_value"]),
            q_value=number(row["q_value"]),
            effect=number(row["effect"]),
            effect_low=number(row["effect_low"]),
            effect_high=number(row["effect_high"]),
            effect_name=row["effect_name"],
            effect_threshold=number(row["effect_threshold"]),
            n_reference=row["n_reference"],
            n_current=row["n_current"],
        )
        for row in connection.execute(query).mappings()
    ]
    order = {"drift": 0, "small": 1, "no_drift": 2, "too_few": 3}
    return tuple(sorted(rows, key=lambda one: (order.get(one.state, 4), -_excess(one), one.column, one.segment)))


def series(
    connection: Connection,
    monitor: str,
    column: str,
    name: str,
    *,
    segment: str = "",
    limit: int = MOST_POINTS,
) -> tuple[FigurePoint, ...]:
    """A figure of the newest intervals of a monitor, the oldest first."""
    spans = {row.id: row for row in newest_intervals(connection, monitor, limit=limit)}
    query = select(FIGURES).where(
        FIGURES.c.interval_id.in_(list(spans)),
        FIGURES.c.column_name == column,
        FIGURES.c.name == name,
        FIGURES.c.segment == segment,
    )
    points = [
        FigurePoint(
            row["interval_id"],
            spans[row["interval_id"]].start_utc,
            spans[row["interval_id"]].end_utc,
            number(row["value"]),
            number(row["ci_low"]),
            number(row["ci_high"]),
            row["n"],
        )
        for row in connection.execute(query).mappings()
    ]
    return tuple(sorted(points, key=lambda point: (point.end_utc, point.interval_id)))


def estimates_of(connection: Connection, monitor: str, names: Sequence[tuple[str, str, str]]) -> tuple[Estimated, ...]:
    """What was estimated of the newest intervals, with what labels said; `names` as `figure_names` finds them."""
    found = []
    for column in dict.fromkeys(column for column, name, _ in names if _is_estimate(column, name)):
        guesses = series(connection, monitor, column, "value")
        known = {one.interval_id: one for one in series(connection, monitor, column, "realised")}
        found.append(
            Estimated(column.removeprefix("estimate."), tuple((one, known.get(one.interval_id)) for one in guesses))
        )
    return tuple(found)


def _is_estimate(column: str, name: str) -> bool:
    return column.startswith("estimate.") and name == "value"


def _excess(one: FindingRow) -> float:
    if one.effect is None or not one.effect_threshold:
        return 0.0
    return abs(one.effect) / one.effect_threshold


def _newest(monitor: str | ColumnElement[str]) -> Select[Any]:
    """The newest revision of each interval of a monitor, newest first."""
    later = INTERVALS.alias()
    replaced = select(later.c.id).where(
        later.c.monitor == INTERVALS.c.monitor,
        later.c.start_utc == INTERVALS.c.start_utc,
        later.c.end_utc == INTERVALS.c.end_utc,
        later.c.revision > INTERVALS.c.revision,
    )
    query = select(INTERVALS).where(INTERVALS.c.monitor == monitor, ~replaced.exists())
    return query.order_by(INTERVALS.c.end_utc.desc(), INTERVALS.c.id.desc())


def _interval(row: Mapping[Any, Any]) -> IntervalRow:
    return IntervalRow(**{name: row[name] for name in IntervalRow.__dataclass_fields__})


def _monitor(connection: Connection, row: Mapping[Any, Any]) -> MonitorRow:
    name = row["name"]
    definition = _definition(row["definition"])
    n_open = select(func.count()).where(ALERTS.c.monitor == name, ALERTS.c.state.in_(OPEN))
    due = select(HEARTBEATS.c.due_utc).where(HEARTBEATS.c.monitor == name)
    return MonitorRow(
        name=name,
        created_utc=row["created_utc"],
        cursor_utc=row["cursor_utc"],
        schedule=str(definition.get("schedule", "")),
        timezone=str(definition.get("timezone", "UTC")),
        last=next(iter(newest_intervals(connection, name, limit=1)), None),
        n_open=connection.execute(n_open).scalar_one(),
        due_utc=connection.execute(due).scalar(),
    )


def _definition(text: str) -> Mapping[str, Any]:
    """A monitor's definition as it was recorded; empty where it cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""The metrics that Prometheus may scrape, and what reads each of them from the registry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, case, func, select

from evalharness.record.alert_tables import ALERT_EVENTS, ALERTS, HEARTBEATS, OUTBOX
from evalharness.record.monitor_tables import FIGURES, FINDINGS, INTERVALS
from evalharness.record.silences import silences
from evalharness.record.tables import RESULTS, RUNS

__all__ = ["FAMILIES", "LONGEST_LABEL", "MOST_SERIES", "Family"]

MOST_SERIES: Final = 1000
LONGEST_LABEL: Final = 200
_STATES: Final = ("ok", "pending", "firing", "resolved", "no_data", "error")
_Sample = tuple[tuple[str, ...], float]


class Family(NamedTuple):
    """A metric: its name, kind, help and labels, and what reads its samples."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Connection, datetime], Iterable[_Sample]]


def _unique(samples: Iterable[_Sample]) -> list[_Sample]:
    """One sample for each set of labels (the last one): two of them would make the whole text unreadable."""
    found: dict[tuple[str, ...], float] = {}
    for labels, value in samples:
        found[tuple(label[:LONGEST_LABEL] for label in labels)] = value
    return list(found.items())


def _alerts(connection: Connection, now: datetime) -> list[_Sample]:
    query = select(ALERTS.c.monitor, ALERTS.c.state, func.count()).group_by(ALERTS.c.monitor, ALERTS.c.state)
    counts = {(row[0], row[1]): float(row[2]) for row in connection.execute(query)}
    # All states of a monitor, so that a count that falls to none is 0 and does not vanish.
    return [((m, s), counts.get((m, s), 0.0)) for m in sorted({m for m, _ in counts}) for s in _STATES]


def _open(connection: Connection, now: datetime) -> list[_Sample]:
    query = (
        select(ALERTS.c.monitor, ALERTS.c.alert_key, ALERTS.c.state, func.count())
        .where(ALERTS.c.state.in_(("firing", "no_data", "error")))
        .group_by(ALERTS.c.monitor, ALERTS.c.alert_key, ALERTS.c.state)
        .order_by(ALERTS.c.monitor, ALERTS.c.alert_key, ALERTS.c.state)
    )
    return _unique(((m, key, state), float(n)) for m, key, state, n in connection.execute(query))


def _messages(connection: Connection, now: datetime) -> list[_Sample]:
    query = (
        select(ALERT_EVENTS.c.monitor, ALERT_EVENTS.c.kind, func.count())
        .where(ALERT_EVENTS.c.kind.startswith("told_", autoescape=True))
        .group_by(ALERT_EVENTS.c.monitor, ALERT_EVENTS.c.kind)
        .order_by(ALERT_EVENTS.c.monitor, ALERT_EVENTS.c.kind)
    )
    return [((m, kind.removeprefix("told_")), float(n)) for m, kind, n in connection.execute(query)]


def _silences(connection: Connection, now: datetime) -> list[_Sample]:
    return [((), float(sum(silence.starts_utc <= now for silence in silences(connection, now))))]


def _outbox(state: str) -> Callable[[Connection, datetime], list[_Sample]]:
    def read(connection: Connection, now: datetime) -> list[_Sample]:
        # Channels that have nothing waiting are 0, as long as they are known.
        count = func.sum(case((OUTBOX.c.state == state, 1), else_=0))
        query = select(OUTBOX.c.channel, count).group_by(OUTBOX.c.channel).order_by(OUTBOX.c.channel)
        return _unique(((channel,), float(n)) for channel, n in connection.execute(query))

    return read


def _oldest(connection: Connection, now: datetime) -> list[_Sample]:
    query = (
        select(OUTBOX.c.channel, func.min(OUTBOX.c.created_utc))
        .where(OUTBOX.c.state == "waiting")
        .group_by(OUTBOX.c.channel)
        .order_by(OUTBOX.c.channel)
    )
    return _unique(((channel,), made.timestamp()) for channel, made in connection.execute(query))


def _heartbeat(column: str) -> Callable[[Connection, datetime], list[_Sample]]:
    def read(connection: Connection, now: datetime) -> list[_Sample]:
        query = select(HEARTBEATS.c.monitor, HEARTBEATS.c[column]).order_by(HEARTBEATS.c.monitor)
        return _unique(((monitor,), time.timestamp()) for monitor, time in connection.execute(query))

    return read


def _intervals(connection: Connection, now: datetime) -> list[_Sample]:
    query = (
        select(INTERVALS.c.monitor, INTERVALS.c.status, func.count())
        .group_by(INTERVALS.c.monitor, INTERVALS.c.status)
        .order_by(INTERVALS.c.monitor, INTERVALS.c.status)
    )
    return _unique(((m, status), float(n)) for m, status, n in connection.execute(query))


def _newest(connection: Connection) -> list[Mapping[str, Any]]:
    """The newest interval of each monitor, in its newest revision."""
    end = select(INTERVALS.c.monitor, func.max(INTERVALS.c.end_utc).label("end_utc"))
    newest = end.group_by(INTERVALS.c.monitor).subquery()
    query = (
        select(INTERVALS)
        .join(newest, (INTERVALS.c.monitor == newest.c.monitor) & (INTERVALS.c.end_utc == newest.c.end_utc))
        .order_by(INTERVALS.c.monitor, INTERVALS.c.start_utc, INTERVALS.c.revision)
    )
    return list({row["monitor"]: dict(row) for row in connection.execute(query).mappings()}.values())


def _rows(connection: Connection, now: datetime) -> list[_Sample]:
    kinds = {"read": "n_rows", "duplicate": "n_duplicates", "quarantined": "n_quarantined", "late": "n_late"}
    return [((row["monitor"], kind), float(row[n])) for row in _newest(connection) for kind, n in kinds.items()]


def _drifted(connection: Connection, now: datetime) -> list[_Sample]:
    return [((row["monitor"],), float(row["n_drifted"])) for row in _newest(connection)]


def _figures(connection: Connection, now: datetime) -> list[_Sample]:
    found: list[_Sample] = []
    for row in _newest(connection):
        query = select(FIGURES).where(FIGURES.c.interval_id == row["id"]).order_by(FIGURES.c.id).limit(2 * MOST_SERIES)
        for one in connection.execute(query).mappings():
            if math.isfinite(one["value"]):
                labels = (row["monitor"], one["column_name"], one["segment"], one["name"])
                found.append((labels, one["value"]))
    return _unique(found)


def _effects(column: str) -> Callable[[Connection, datetime], list[_Sample]]:
    def read(connection: Connection, now: datetime) -> list[_Sample]:
        found: list[_Sample] = []
        for row in _newest(connection):
            where = FINDINGS.c.interval_id == row["id"]
            query = select(FINDINGS).where(where).order_by(FINDINGS.c.id).limit(2 * MOST_SERIES)
            for one in connection.execute(query).mappings():
                labels = (row["monitor"], one["column_name"], one["segment"], one["test"])
                value = float(one["state"] == "drift") if column == "state" else one[column]
                if math.isfinite(value):
                    found.append((labels, value))
        return _unique(found)

    return read


def _newest_runs(connection: Connection) -> Sequence[Mapping[str, Any]]:
    newest = select(RUNS.c.suite_name, func.max(RUNS.c.created_utc).label("created_utc")).group_by(RUNS.c.suite_name)
    named = newest.subquery()
    same = (RUNS.c.suite_name == named.c.suite_name) & (RUNS.c.created_utc == named.c.created_utc)
    rows = connection.execute(select(RUNS).join(named, same).order_by(RUNS.c.suite_name, RUNS.c.id)).mappings()
    return list({row["suite_name"]: dict(row) for row in rows}.values())


def _results(connection: Connection, now: datetime) -> list[_Sample]:
    found: list[_Sample] = []
    for run in _newest_runs(connection):
        where = (RESULTS.c.run_id == run["id"]) & RESULTS.c.group_name.is_(None)
        for row in connection.execute(select(RESULTS).where(where).order_by(RESULTS.c.id)).mappings():
            if math.isfinite(row["value"]):
                found.append(((run["suite_name"], row["task"], row["model"], row["metric"]), row["value"]))
    return _unique(found)


def _run_times(connection: Connection, now: datetime) -> list[_Sample]:
    return _unique(
        ((run["suite_name"],), (run["finished_utc"] or run["created_utc"]).timestamp())
        for run in _newest_runs(connection)
    )


def _gauge(name: str, help: str, labels: str, samples: Callable[[Connection, datetime], Iterable[_Sample]]) -> Family:
    return Family(f"evalharness_{name}", "gauge", help, tuple(labels.split()), samples)


_WHERE = "monitor column segment"
FAMILIES: Final = (
    _gauge("alerts", "Alerts by their state.", "monitor state", _alerts),
    _gauge(
        "alerts_open",
        "Alerts that fire, have no data or are errors, by what they are of.",
        "monitor alert state",
        _open,
    ),
    Family(
        "evalharness_alert_messages",
        "counter",
        "Messages of alerts that were put into the outbox, by kind.",
        ("monitor", "kind"),
        _messages,
    ),
    _gauge("silences", "Silences that hold now.", "", _silences),
    _gauge("outbox_waiting", "Messages that wait for their receiver.", "channel", _outbox("waiting")),
    _gauge("outbox_dead", "Messages that were given up.", "channel", _outbox("dead")),
    _gauge("outbox_oldest_waiting_timestamp_seconds", "When the oldest waiting message was made.", "channel", _oldest),
    _gauge("monitor_interval_end_timestamp_seconds", "End of the newest interval.", "monitor", _heartbeat("end_utc")),
    _gauge(
        "monitor_observed_timestamp_seconds",
        "When an interval was last recorded.",
        "monitor",
        _heartbeat("observed_utc"),
    ),
    _gauge(
        "monitor_due_timestamp_seconds", "When the next interval should have ended.", "monitor", _heartbeat("due_utc")
    ),
    _gauge("monitor_intervals", "Intervals in the registry by their status.", "monitor status", _intervals),
    _gauge("monitor_interval_rows", "Responses of the newest interval.", "monitor kind", _rows),
    _gauge(
        "monitor_drifted_findings", "Findings of the newest interval with evidence and effect.", "monitor", _drifted
    ),
    _gauge("monitor_figure", "Figures of the newest interval, in their own units.", f"{_WHERE} name", _figures),
    _gauge("monitor_drift", "Whether a column of the newest interval drifted.", f"{_WHERE} test", _effects("state")),
    _gauge("monitor_drift_effect", "Effect of a column in the newest interval.", f"{_WHERE} test", _effects("effect")),
    _gauge(
        "monitor_drift_effect_threshold",
        "Effect from which on it counts.",
        f"{_WHERE} test",
        _effects("effect_threshold"),
    ),
    _gauge("run_result", "Results of the newest run of each suite.", "suite task model metric", _results),
    _gauge("run_finished_timestamp_seconds", "When the newest run of each suite ended.", "suite", _run_times),
)
"""All metrics, but for `evalharness_series_dropped`."""

"""`observe`: what an interval found moves the alerts of its monitor, and puts messages into the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from evalharness.core.errors import UsageError
from evalharness.monitor.conditions import Condition, Watched, Window, fingerprint
from evalharness.suite.alert_entry import Alerts

from .heartbeat import HEARTBEAT, note_window, ping, seen_window
from .machine import Rules, look
from .notify import settle
from .store import Alert, add_event, load, new_alert, save, seen

__all__ = ["observe"]


def observe(
    connection: Connection,
    monitor: Watched,
    interval: Window,
    conditions: Sequence[Condition],
    now: datetime,
    *,
    due: datetime | None = None,
) -> tuple[str, ...]:
    """Move the alerts of `monitor`; returns the keys of the messages that were put into the outbox.

    It writes over `connection` and commits nothing, so that alerts and messages come about with the interval's own
    rows or not at all; the transaction must be one of `record.database.writing`. `due` is when the next interval should
    have ended at the latest (default: as long after `now` as the interval lasted).

    Only the newest window moves alerts. A window that was seen already, in this or a later revision, changes nothing;
    a further revision of the newest one takes the place of its earlier look; and one of an older window goes into the
    history as `late` where it is bad, and does nothing else: newer windows have said since how things are.

    Raises:
        UsageError: if two of the conditions are one alert's, or the monitor has no name.
    """
    name = monitor.name
    if name is None:
        raise UsageError("a monitor needs a name before it has alerts")
    held = tuple(condition.key for condition in conditions if condition.state == "held")
    found = _by_fingerprint(name, [condition for condition in conditions if condition.state != "held"])
    known = {identity: one for identity, one in load(connection, monitor=name).items() if not _is_held(one, held)}
    newest = seen_window(connection, name)
    if newest is not None and (newest.end, newest.start) >= (interval.end, interval.start):
        if (newest.end, newest.start) != (interval.end, interval.start):
            _note_late(connection, name, interval, found, known, now)
            return ()
        if newest.revision >= interval.revision:
            return ()
    is_new = newest is None or (newest.end, newest.start) != (interval.end, interval.start)
    for identity, condition in _all(name, found, known, is_new=is_new).items():
        alert = known.get(identity) or new_alert(name, condition, interval, now)
        again = identity in known and alert.window[:2] == interval[:2]
        _look(connection, alert, condition, monitor.alerts, interval, now, revision=again)
    note_window(connection, name, monitor.alerts, interval, now, due=due)
    ping(connection, name, monitor.alerts, interval, now)
    return settle(connection, name, monitor.alerts, now)


def _is_held(alert: Alert, held: Sequence[str]) -> bool:
    """Whether nobody looked at what the alert is of."""
    return any(alert.alert_key == key or alert.alert_key.startswith(f"{key}:") for key in held)


def _by_fingerprint(monitor: str, conditions: Sequence[Condition]) -> dict[str, Condition]:
    found: dict[str, Condition] = {}
    for condition in conditions:
        identity = fingerprint(monitor, condition)
        if identity in found:
            raise UsageError(
                f"monitor {monitor}: two conditions are one alert: {condition.key} {dict(condition.labels)}; "
                "give them labels that differ"
            )
        found[identity] = condition
    return found


def _all(monitor: str, found: dict[str, Condition], known: dict[str, Alert], *, is_new: bool) -> dict[str, Condition]:
    """The conditions of a window, with those of alerts that it does not speak of.

    What is measured no more (a rule that was removed, a segment that is gone) ends its alert; not so in a window that
    has no answer to something, since that may be why.
    """
    everything = dict(found)
    answered = not any(condition.state in ("no_data", "error") for condition in found.values())
    for identity, alert in known.items():
        if identity in found or (alert.track.state in ("ok", "resolved") and alert.track.told == "none"):
            continue
        if alert.alert_key == HEARTBEAT:
            if is_new:
                summary = "an interval ended again"
                everything[identity] = Condition(HEARTBEAT, "ok", dict(alert.labels), summary=summary)
        elif answered:
            everything[identity] = Condition(alert.alert_key, "ok", dict(alert.labels), summary="measured no more")
    return everything


def _look(
    connection: Connection,
    alert: Alert,
    condition: Condition,
    alerts: Alerts,
    window: Window,
    now: datetime,
    *,
    revision: bool,
) -> None:
    is_heartbeat = condition.key == HEARTBEAT
    rules = Rules(
        condition.for_intervals or (1 if is_heartbeat else alerts.for_intervals),
        1 if is_heartbeat else alerts.resolve_after,
        alerts.no_data,
        alerts.error,
    )
    track = look(alert.track, condition, rules, revision=revision)
    after = seen(alert, condition, track, window, now)
    save(connection, after)
    if track.state != alert.track.state:
        add_event(connection, after, track.state, now, note=condition.summary)


def _note_late(
    connection: Connection,
    monitor: str,
    window: Window,
    found: dict[str, Condition],
    known: dict[str, Alert],
    now: datetime,
) -> None:
    """Keep in the history what an older window says that is bad."""
    for identity, condition in found.items():
        if condition.state == "bad":
            alert = known.get(identity) or new_alert(monitor, condition, window, now)
            late = replace(alert, window=window, value=condition.value)
            add_event(connection, late, "late", now, note=condition.summary)

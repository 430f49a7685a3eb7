"""`remove_old`: what is removed of intervals that are older than `retention_days`: their files, never their rows.

First the rows say that their files are removed, in one transaction under the lease; then the folders go, each by a
rename, so that nobody sees half of one. Who is killed in between leaves folders that no row names: they are found by
their names and go the next time. The runs that the monitor has made of its suite go with their intervals.
Texts of references go when they are so old themselves (`forget_texts`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, select, update

from evalharness.core.errors import EvalHarnessError, UsageError
from evalharness.core.files import remove_abandoned
from evalharness.record import RunRegistry
from evalharness.record.database import reading, writing
from evalharness.record.monitor_tables import INTERVALS, MONITORS

from .alerts.store import load
from .files import folder_name, monitor_folder, remove_folder
from .forget_texts import forget_texts
from .lease import Lease, confirm
from .references import earlier
from .schedule import Interval

if TYPE_CHECKING:
    from .define import Definition
    from .run import Tools

__all__ = ["remove_old", "tidied"]

_FORM: Final = "%Y%m%dT%H%M%SZ"
_PURPOSES: Final = ("canary", "drift", "anchor")


def remove_old(tools: Tools, definition: Definition, lease: Lease) -> int:
    """Remove the files of intervals that ended longer ago than the monitor keeps them; returns how many folders went.

    Kept are those that the next interval is compared with, those that an alert which is not over speaks of, and runs
    that are promoted, rated by people, or named by a monitor.

    Raises:
        LeaseLostError: another process has the lease; nothing was removed.
        EvalHarnessError: the registry cannot be reached; the next time goes on.
    """
    days = definition.monitor.retention_days
    if days is None:
        return 0
    with writing(tools.engine) as connection:
        now = tools.clock()
        confirm(connection, lease, now)
        until = _until(connection, definition, now - timedelta(days=days))
        kept = _of_alerts(connection, definition.name)
        _note(connection, definition.name, until, kept, f"files removed after {days:g} days")
    folder = monitor_folder(tools.reports, definition.name)
    remove_abandoned(folder)
    doomed = [path for path, end in _folders(folder) if end <= until and _interval_of(path) not in kept]
    for path in doomed:
        remove_folder(path)
    forget_texts(folder, now - timedelta(days=days))
    _remove_runs(tools, definition, until, kept)
    return len(doomed)


def _until(connection: Connection, definition: Definition, oldest: datetime) -> datetime:
    """The end up to which intervals go: not those that the next interval, wherever the cursor stands, looks back to."""
    query = select(MONITORS.c.cursor_utc).where(MONITORS.c.name == definition.name)
    cursor = connection.execute(query).scalar()
    newest = connection.execute(
        select(INTERVALS.c.end_utc)
        .where(INTERVALS.c.monitor == definition.name, INTERVALS.c.path != "")
        # Evidence over time, and the interval before, lie in the newest folder, however old that is.
        .order_by(INTERVALS.c.end_utc.desc())
        .limit(1)
    ).scalar()
    schedule = definition.schedule
    found = [oldest]
    if newest is not None:
        found.append(newest - timedelta(microseconds=1))
    if cursor is not None and isinstance(definition.monitor.reference, str):
        coming = next(iter(schedule.firings(cursor, cursor + timedelta(days=9 * 366))), None)
        if coming is not None:
            found.append(earlier(definition, schedule.ending(coming)).end - timedelta(microseconds=1))
    return min(found)


def _of_alerts(connection: Connection, monitor: str) -> frozenset[str]:
    """The intervals that alerts speak of which are not over, as their folders are called."""
    return frozenset(
        _stem(Interval(alert.window.start, alert.window.end))
        for alert in load(connection, monitor=monitor).values()
        if alert.track.state not in ("ok", "resolved") or alert.track.told != "none"
    )


def _stem(interval: Interval) -> str:
    return folder_name(interval, 0).removesuffix(".r0")


def _interval_of(path: Path) -> str:
    return path.name.rpartition(".r")[0]


def _note(connection: Connection, monitor: str, until: datetime, kept: Collection[str], said: str) -> None:
    """Let the rows say that their files are gone."""
    query = select(INTERVALS.c.id, INTERVALS.c.path, INTERVALS.c.message).where(
        INTERVALS.c.monitor == monitor, INTERVALS.c.end_utc <= until, INTERVALS.c.path != ""
    )
    for number, path, message in connection.execute(query).all():
        if _interval_of(Path(path)) not in kept:
            told = f"{message}; {said}" if message else said
            connection.execute(update(INTERVALS).where(INTERVALS.c.id == number).values(path="", message=told))


def _folders(folder: Path) -> Iterator[tuple[Path, datetime]]:
    """The folders of intervals, with the ends of these."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        end = _interval_of(path).partition("_")[2]
        with suppress(ValueError):
            yield path, _moment(end)


def _moment(text: str) -> datetime:
    form = _FORM if "." not in text else _FORM.replace("%SZ", "%S.%fZ")
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def _remove_runs(tools: Tools, definition: Definition, until: datetime, kept: Collection[str]) -> None:
    """Remove the canaries, and the runs that followed drift, of intervals whose files are removed."""
    if definition.suite is None:
        return
    runs = RunRegistry(tools.engine, tools.reports, tools.clock)
    with reading(tools.engine) as connection:
        named = "\n".join(connection.execute(select(MONITORS.c.definition)).scalars())
    named += json.dumps(definition.suite.suite.model_dump(mode="json", include={"gates"}))
    for purpose in _PURPOSES:
        for run in runs.list(suite=f"{definition.suite.suite.name}/{purpose}"):
            of, _, span = run.name.partition(", ")
            stem = span.replace("/", "_")
            with suppress(ValueError):
                is_old = of == f"{purpose} of {definition.name}" and _moment(stem.partition("_")[2]) <= until
                if is_old and stem not in kept and run.id not in named and not runs.ratings(run_id=run.id):
                    with suppress(UsageError):  # promoted: a baseline now
                        runs.delete(run.id)


def tidied(tools: Tools, definition: Definition, lease: Lease) -> str:
    """What `remove_old` did, in words, "" for nothing: an interval that is recorded does not fail by it."""
    try:
        gone = remove_old(tools, definition, lease)
    except EvalHarnessError as error:
        return f"{definition.name}: files of older intervals could not be removed: {error}"
    if not gone:
        return ""
    return f"{definition.name}: the files of {gone:,} older interval{'s' if gone > 1 else ''} were removed"

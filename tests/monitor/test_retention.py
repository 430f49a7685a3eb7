"""Files of older intervals go, and only these: by the fake clock, with alerts that are open, and with kills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.monitor import retention
from evalharness.monitor.alerts.machine import Track
from evalharness.monitor.alerts.store import new_alert, save
from evalharness.monitor.backfill import backfill
from evalharness.monitor.conditions import Condition, Window
from evalharness.monitor.daemon import Daemon
from evalharness.monitor.files import folder_name
from evalharness.monitor.lease import LeaseLostError
from evalharness.monitor.retention import remove_old
from evalharness.monitor.store import advance, ensure_monitor, figures_of, recorded
from evalharness.record.database import reading, writing

from .conftest import BEGIN, Bench, hour

KEPT = "retention_days: 0.25\n"  # six hours


@pytest.fixture
def served(bench: Callable[..., Bench]) -> Callable[..., Bench]:
    def make(text: str = "", hours: int = 12, **rows: Any) -> Bench:
        made = bench(KEPT + text, rows={hour(i).start: [0.0, 1.0] for i in range(hours)})
        return made

    return make


def serve(bench: Bench, until: int) -> list[str]:
    """Look at each hour up to `until`; returns what the daemon said."""
    said: list[str] = []
    daemon = Daemon(bench.tools, [bench.definition], log=said.append, threads=False)
    while bench.now < BEGIN + timedelta(hours=until, minutes=1):
        bench.now += timedelta(hours=1) if bench.now > BEGIN else timedelta(minutes=1)
        daemon.look()
    return said


def folders(bench: Bench) -> list[str]:
    return sorted(path.name for path in (bench.reports / "monitors" / "bot").iterdir())


def names(first: int, last: int) -> list[str]:
    return [folder_name(hour(i), 0) for i in range(first, last)]


def test_a_daemon_removes_what_is_older_and_the_rows_say_so(served: Callable[..., Bench]) -> None:
    bench = served()
    said = serve(bench, 12)
    # At 12:01 what ended at 06:01 or before goes.
    assert folders(bench) == names(6, 12)
    assert "bot: the files of 1 older interval were removed" in said
    with reading(bench.registry.engine) as connection:
        rows = recorded(connection, "bot")
        gone = [row for row in rows if not row.path]
        assert len(figures_of(connection, gone[0].id)) == 1
    assert [row.interval for row in gone if row.n_rows] == [hour(i) for i in reversed(range(6))]
    assert all(row.message.endswith("files removed after 0.25 days") for row in gone if row.n_rows)
    assert all("removed" not in row.message for row in rows if row.path)


def test_without_the_key_nothing_goes(bench: Callable[..., Bench]) -> None:
    made = bench("", rows={hour(i).start: [0.0] for i in range(12)})
    serve(made, 12)
    assert folders(made) == names(0, 12)


def test_what_an_open_alert_speaks_of_stays_until_it_is_over(served: Callable[..., Bench]) -> None:
    bench = served()
    serve(bench, 4)
    # One that nobody has looked at since: its window is the one in which it fired.
    alert = new_alert("bot", Condition("canary:t.m", "bad"), Window(*hour(1)), bench.now)
    for state, left in (("firing", names(1, 2)), ("resolved", [])):
        with writing(bench.registry.engine) as connection:
            save(connection, replace(alert, track=Track(state)))
        bench.now += timedelta(hours=5)
        remove_old(bench.tools, bench.definition, bench.lease())
        assert folders(bench) == [*left, *names(3, 4)]
        with reading(bench.registry.engine) as connection:
            assert [row.interval for row in recorded(connection, "bot") if row.path][1:] == [hour(1)] * len(left)


def test_the_newest_folder_stays(bench: Callable[..., Bench]) -> None:
    made = bench(KEPT, rows={hour(0).start: [0.0], hour(1).start: [0.0]})
    serve(made, 30)
    assert folders(made) == names(1, 2)


def test_what_the_next_interval_looks_back_to_stays(bench: Callable[..., Bench]) -> None:
    weekly = bench(KEPT + "reference: same_slot_last_week\n", rows={hour(i).start: [0.0] for i in range(20)})
    weekly.now = BEGIN + timedelta(days=7, hours=5, minutes=1)
    lease = weekly.lease()
    list(backfill(weekly.tools, weekly.definition, tuple(hour(i) for i in range(20)), lease))
    with writing(weekly.registry.engine) as connection:
        ensure_monitor(connection, weekly.definition, weekly.now)
        advance(connection, "bot", BEGIN + timedelta(days=7, hours=5))
    remove_old(weekly.tools, weekly.definition, lease)
    # The next interval ends at 06:00 and looks at the one that ended at 06:00 a week ago.
    assert folders(weekly) == names(5, 20)


def test_a_kill_between_rows_and_folders_leaves_nothing_behind(
    served: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = served()
    serve(bench, 5)

    class Killed(BaseException):
        pass

    def kill(path: Path) -> None:
        raise Killed

    lease = bench.lease()
    bench.now = BEGIN + timedelta(hours=9)
    with monkeypatch.context() as patched:
        patched.setattr(retention, "remove_folder", kill)
        with pytest.raises(Killed):
            remove_old(bench.tools, bench.definition, lease)
    with reading(bench.registry.engine) as connection:
        assert sum(not row.path for row in recorded(connection, "bot") if row.n_rows) == 3
    assert folders(bench) == names(0, 5)
    assert remove_old(bench.tools, bench.definition, lease) == 3
    assert folders(bench) == names(3, 5)
    assert remove_old(bench.tools, bench.definition, lease) == 0


def test_who_has_lost_the_lease_removes_nothing(served: Callable[..., Bench]) -> None:
    bench = served()
    serve(bench, 5)
    lease = bench.lease()
    bench.now += timedelta(hours=9)
    bench.lease("two")
    before = folders(bench)
    with pytest.raises(LeaseLostError):
        remove_old(bench.tools, bench.definition, lease)
    assert folders(bench) == before

"""One interval: recorded once, revised when its source has other rows, and never half."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from evalharness.core.errors import RecordError, RunError
from evalharness.monitor.alerts.store import load
from evalharness.monitor.files import read_window, verify_folder
from evalharness.monitor.lease import LeaseLostError
from evalharness.monitor.run import StoppedError, run_interval
from evalharness.monitor.store import ensure_monitor, figures_of, newest, recorded
from evalharness.record.database import reading, writing
from evalharness.record.monitor_tables import FIGURES, INTERVALS

from .conftest import BEGIN, Bench, hour

Make = Callable[..., Bench]


def rows_of(bench: Bench, table: Any) -> int:
    with reading(bench.registry.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)


def all_rows(bench: Bench) -> list[tuple[int, str]]:
    with reading(bench.registry.engine) as connection:
        found = recorded(connection, "bot", all_revisions=True)
    return [(row.revision, row.status) for row in found]


def test_an_interval_is_recorded_once_with_figures_files_and_checksums(bench: Make) -> None:
    b = bench(rows={BEGIN: [0.0, 1.0]})
    lease = b.lease()
    first = run_interval(b.tools, b.definition, hour(0), lease)
    b.now += timedelta(seconds=5)
    again = run_interval(b.tools, b.definition, hour(0), lease)
    assert (first.action, again.action) == ("recorded", "unchanged")
    assert (rows_of(b, INTERVALS), rows_of(b, FIGURES)) == (1, 1)
    with reading(b.registry.engine) as connection:
        row = newest(connection, "bot", hour(0))
        assert row is not None
        (figure,) = figures_of(connection, row.id)
    assert (figure.column, figure.name, figure.value, figure.n) == ("error", "rate", 0.5, 2)
    assert row.checked_utc == b.now
    assert row.recorded_utc == BEGIN
    folder = b.reports / row.path
    assert folder.name == "20260302T000000Z_20260302T010000Z.r0"
    verify_folder(folder)
    window = read_window(folder)
    assert (window["revision"], window["n_rows"], window["figures"][0]["value"]) == (0, 2, 0.5)
    assert [states for _, _, states in b.looked] == [("ok", "ok")]
    (folder / "state.bin").write_bytes(b"other")
    with pytest.raises(RecordError, match=r"state\.bin was changed after it was written"):
        verify_folder(folder)


def test_other_rows_make_a_revision_and_the_old_one_stays(bench: Make) -> None:
    b = bench(rows={BEGIN: [0.0, 1.0]})
    lease = b.lease()
    run_interval(b.tools, b.definition, hour(0), lease)
    b.rows[BEGIN] = [1.0, 1.0, 1.0]
    revised = run_interval(b.tools, b.definition, hour(0), lease)
    assert (revised.action, revised.row.revision) == ("revised", 1)
    assert all_rows(b) == [(1, "no_reference"), (0, "no_reference")]
    assert [(b.looked[i][1], b.looked[i][2]) for i in (0, 1)] == [(0, ("ok", "ok")), (1, ("ok", "bad"))]
    names = sorted(path.name for path in (b.reports / "monitors" / "bot").iterdir())
    assert [name[-2:] for name in names] == ["r0", "r1"]
    with reading(b.registry.engine) as connection:
        assert {alert.track.state for alert in load(connection, monitor="bot").values()} == {"ok", "firing"}


def test_another_definition_of_what_is_measured_makes_a_revision_and_another_schedule_none(bench: Make) -> None:
    b = bench(rows={BEGIN: [0.0]})
    lease = b.lease()
    run_interval(b.tools, b.definition, hour(0), lease)
    other = replace(b.definition, monitor=b.definition.monitor.model_copy(update={"schedule": "*/5 * * * *"}))
    assert run_interval(b.tools, other, hour(0), lease).action == "unchanged"
    other = replace(b.definition, monitor=b.definition.monitor.model_copy(update={"segments": ("tier",)}))
    assert run_interval(b.tools, other, hour(0), lease).action == "revised"


def test_a_failure_is_recorded_tried_again_and_told_of(bench: Make) -> None:
    b = bench(rows={BEGIN: RunError("the source is away")})
    lease = b.lease()
    for attempt in (1, 2):
        failed = run_interval(b.tools, b.definition, hour(0), lease)
        assert (failed.action, failed.row.attempts, failed.row.message) == ("failed", attempt, "the source is away")
    assert all_rows(b) == [(0, "error")]
    b.rows[BEGIN] = [1.0]
    assert run_interval(b.tools, b.definition, hour(0), lease).action == "recorded"
    # The failed reading keeps its number: alerts look at each revision once.
    assert all_rows(b) == [(1, "no_reference"), (0, "error")]
    assert [states for _, _, states in b.looked] == [("error",), ("error",), ("ok", "bad")]


def test_a_reading_that_fails_later_does_not_hide_figures(bench: Make) -> None:
    b = bench(rows={BEGIN: [0.0]})
    lease = b.lease()
    run_interval(b.tools, b.definition, hour(0), lease)
    b.rows[BEGIN] = RunError("the source is away")
    with pytest.raises(RunError, match="the source is away"):
        run_interval(b.tools, b.definition, hour(0), lease)
    assert all_rows(b) == [(0, "no_reference")]


def test_a_fault_of_ours_is_recorded_too(bench: Make) -> None:
    b = bench(rows={BEGIN: ZeroDivisionError("division by zero")})
    failed = run_interval(b.tools, b.definition, hour(0), b.lease())
    assert failed.row.message == "internal error: ZeroDivisionError: division by zero"


def test_an_old_token_writes_nothing(bench: Make) -> None:
    b = bench(rows={BEGIN: [1.0]})
    old = b.lease("one")

    def other_takes_over() -> None:
        b.then = lambda: None
        b.now += timedelta(minutes=5)
        new = b.lease("two")
        assert new.token == old.token + 1
        run_interval(b.tools, b.definition, hour(0), new)

    b.then = other_takes_over
    with pytest.raises(LeaseLostError, match=r"token 1.* passed to another process"):
        run_interval(b.tools, b.definition, hour(0), old)
    assert all_rows(b) == [(0, "no_reference")]
    assert len(b.looked) == 1
    assert [path.suffix for path in (b.reports / "monitors" / "bot").iterdir()] == [".r0"]


@pytest.mark.parametrize("what", ["error", "revision", "unchanged"])
def test_an_old_token_changes_nothing_that_is_there(bench: Make, what: str) -> None:
    b = bench(rows={BEGIN: [1.0]})
    old = b.lease("one")
    if what != "error":
        run_interval(b.tools, b.definition, hour(0), old)
    b.now += timedelta(minutes=5)
    b.lease("two")
    b.rows[BEGIN] = {"error": RunError("away"), "revision": [0.0], "unchanged": [1.0]}[what]  # type: ignore[assignment]
    before = all_rows(b)
    with pytest.raises(LeaseLostError):
        run_interval(b.tools, b.definition, hour(0), old)
    assert all_rows(b) == before


def test_what_fails_at_the_end_leaves_no_row_and_its_folder_is_taken_over(bench: Make) -> None:
    b = bench(rows={BEGIN: [1.0]})
    lease = b.lease()

    def broken(*values: Any, **more: Any) -> object:
        raise MemoryError

    with pytest.raises(MemoryError):
        run_interval(replace(b.tools, observe=broken), b.definition, hour(0), lease)
    assert all_rows(b) == []
    (orphan,) = (b.reports / "monitors" / "bot").iterdir()
    (orphan / "window.json").write_text("{}")
    run_interval(b.tools, b.definition, hour(0), lease)
    (folder,) = (b.reports / "monitors" / "bot").iterdir()
    verify_folder(folder)
    assert json.loads((folder / "window.json").read_text())["monitor"] == "bot"


def test_an_interval_that_is_given_up_leaves_nothing(bench: Make) -> None:
    b = bench(rows={BEGIN: [1.0]})

    def beat() -> None:
        raise StoppedError("told to end")

    with pytest.raises(StoppedError):
        run_interval(b.tools, b.definition, hour(0), b.lease(), beat=beat)
    assert all_rows(b) == []
    assert b.looked == []


def test_a_monitor_begins_with_the_latest_interval_that_is_due(bench: Make) -> None:
    b = bench(now=BEGIN + timedelta(hours=5, minutes=20))
    with writing(b.registry.engine) as connection:
        cursor = ensure_monitor(connection, b.definition, b.now)
    assert cursor == hour(4).start
    assert next(b.definition.schedule.intervals(cursor, b.now)) == hour(4)

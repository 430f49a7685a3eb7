"""A run registered without SQLAlchemy stands in the registry as one registered with it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import RecordError
from evalharness.record import Record, RunRegistry, register
from evalharness.record.register import TABLES
from evalharness.record.schema import REGISTRY_FILE


def content(reports: Path) -> dict[str, Any]:
    """The schema of the registry in `reports`, and all of its rows."""
    connection = sqlite3.connect(reports / REGISTRY_FILE)
    found: dict[str, Any] = dict(connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall())
    for table in ("runs", "results", "run_models", "promotions", "ratings", "alembic_version"):
        found[f"rows of {table}"] = connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
        found[f"types of {table}"] = connection.execute(
            f"SELECT {', '.join(f'typeof({row[1]})' for row in connection.execute(f'PRAGMA table_info({table})'))} "
            f"FROM {table} ORDER BY rowid"
        ).fetchall()
    connection.close()
    return found


Make = Callable[..., Any]


def both_ways(make_record: Make, tmp_path: Path, *records: dict[str, Any], verdict: str | None = None) -> list[Any]:
    """The registries after the same records were registered without SQLAlchemy, and with it."""
    quick, whole = tmp_path / "quick", tmp_path / "whole"
    for values in records:
        register(make_record(reports=quick, **values), reports=quick, verdict=verdict, environ={})
        with RunRegistry.open(reports=whole, environ={}) as runs:
            runs.add(make_record(reports=whole, **values), verdict=verdict)
    return [content(quick), content(whole)]


def test_both_write_the_same_file(make_record: Make, make_figure: Make, tmp_path: Path) -> None:
    nasty = "group=\x00\ud800 \x1a"
    figures = (make_figure(group=nasty), make_figure(value=1, ci_low=float("nan"), n=0))
    quick, whole = both_ways(
        make_record,
        tmp_path,
        {"id": "20260101T000000Z-demo-aaa111", "name": nasty, "results": figures, "complete": False},
        {"id": "20260102T000000Z-demo-bbb222", "results": (), "finished_utc": None, "parent": "x"},
        {"id": "20260103T000000Z-demo-ccc333", "created_utc": "2026-01-03T05:04:05.678+02:00"},
    )
    assert quick == whole
    assert len(quick["rows of runs"]) == 3


def test_its_tables_are_those_of_sqlalchemy(tmp_path: Path) -> None:
    RunRegistry.open(reports=tmp_path, environ={}).close()
    connection = sqlite3.connect(tmp_path / REGISTRY_FILE)
    assert {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")} == set(TABLES)
    connection.close()


def test_registering_again_keeps_the_verdict(make_record: Make, tmp_path: Path) -> None:
    record = make_record()
    reports = tmp_path / "reports"
    register(record, reports=reports, verdict="pass", environ={})
    register(record, reports=reports, environ={})
    with RunRegistry.open(reports=reports, environ={}) as runs:
        (run,) = runs.list()
        assert (run.verdict, run.path) == ("pass", record.folder)
    register(record, reports=reports, verdict="fail", environ={})
    assert [row[11] for row in content(reports)["rows of runs"]] == ["fail"]
    assert len(content(reports)["rows of results"]) == 2


def test_a_lost_registry_is_made_again_from_all_records(make_record: Make, tmp_path: Path) -> None:
    make_record("20260101T000000Z-demo-aaa111")
    register(make_record("20260102T000000Z-demo-bbb222"), reports=tmp_path / "reports", environ={})
    assert len(content(tmp_path / "reports")["rows of runs"]) == 2


def test_what_is_no_registry_is_refused_and_left_alone(make_record: Make, tmp_path: Path) -> None:
    record = make_record()
    file = tmp_path / "reports" / REGISTRY_FILE
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE cakes (name TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(RecordError, match="something else"):
        register(record, reports=tmp_path / "reports", environ={})
    connection = sqlite3.connect(file)
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["cakes"]
    connection.close()


def test_a_registry_of_another_schema_is_left_to_the_migrations(make_record: Make, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    register(make_record(), reports=reports, environ={})
    connection = sqlite3.connect(reports / REGISTRY_FILE)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(RecordError, match="9999"):
        register(make_record("20260102T000000Z-demo-bbb222"), reports=reports, environ={})


def test_another_database_is_used_where_one_is_named(make_record: Make, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    register(make_record(), other, reports=tmp_path / "reports", environ={})
    register(
        make_record("20260102T000000Z-demo-bbb222"),
        reports=tmp_path / "reports",
        environ={"EVALHARNESS_REGISTRY": other},
    )
    assert not (tmp_path / "reports" / REGISTRY_FILE).exists()
    with RunRegistry.open(other, reports=tmp_path / "reports", environ={}) as runs:
        assert len(runs.list()) == 2


def test_two_processes_register_at_once(make_record: Make, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    ids = [f"20260101T00000{i}Z-demo-aaa11{i}" for i in range(6)]
    folders = [str(make_record(run_id).folder) for run_id in ids]
    register(Record.open(Path(folders[0])), reports=reports, environ={})
    code = (
        "import sys; from pathlib import Path; from evalharness.record import Record, register\n"
        "for folder in sys.argv[2:]:\n    register(Record.open(Path(folder)), reports=sys.argv[1], environ={})\n"
        "assert 'sqlalchemy' not in sys.modules\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(reports), *folders[i::2]]) for i in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert [row[0] for row in content(reports)["rows of runs"]] == ids

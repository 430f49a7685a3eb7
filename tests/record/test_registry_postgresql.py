"""The registry over a real PostgreSQL server, where one is installed: the same flows, and writers at once."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from evalharness.core.errors import MissingExtraError, RecordError, RunError, UsageError
from evalharness.record import Rating, RunRegistry
from evalharness.record.database import alembic_config, reading, writing
from evalharness.record.tables import METADATA, RESULTS

HAS_DRIVER = importlib.util.find_spec("psycopg") is not None
Make = Callable[..., Any]


@pytest.fixture
def url(postgresql: str) -> Iterator[str]:
    yield postgresql
    with RunRegistry.open(postgresql) as registry, writing(registry.engine) as connection:
        METADATA.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))


@pytest.mark.slow
@pytest.mark.postgresql
def test_the_same_flows(url: str, tmp_path: Path, make_record: Make, make_figure: Make) -> None:
    nasty = "g=\x00\ud800"
    one = make_record(
        "one", created_utc="2026-01-01T00:00:00+02:00", results=(make_figure(group=nasty, value=math.nan),)
    )
    two = make_record("two", created_utc="2026-01-02T00:00:00Z")
    with RunRegistry.open(url, reports=tmp_path / "reports") as registry:
        registry.add(one)
        registry.add(two)
        assert registry.add(one) == registry.get("one")
        assert [run.id for run in registry.list()] == ["two", "one"]
        assert registry.get("one").created_utc == "2025-12-31T22:00:00.000Z"
        registry.promote("one", note="\x00 first")
        registry.promote("two")
        assert registry.resolve("demo@production") == two.folder
        assert registry.promotions()[1].note == "\x00 first"
        with reading(registry.engine) as connection:
            (value, group), *_ = connection.execute(
                select(RESULTS.c.value, RESULTS.c.group_name).where(RESULTS.c.run_id == "one")
            )
            assert math.isnan(value)
            assert group == nasty
        with pytest.raises(UsageError, match="promoted as production"):
            registry.delete("two")
        registry.delete("one")
        assert [run.id for run in registry.list()] == ["two"]


@pytest.mark.slow
@pytest.mark.postgresql
def test_people_rate(url: str) -> None:
    nasty = "=\x00\ud800"
    first = Rating("run", "qa", "m", nasty, 0, "anna", "scale", value=4.0, comment=nasty)
    pair = Rating("run", "qa", "a", "s", 0, "anna", "pairwise", label="tie", against="b")
    with RunRegistry.open(url) as registry:
        registry.add_ratings([first, pair])
        (second,) = registry.add_ratings([replace(first, value=2.0, created_utc="2026-01-01T00:00:00Z")])
        assert registry.ratings()[-1] == second
        assert [r.question for r in registry.ratings(run_id="run")] == ["pairwise", "scale"]
        assert [r.value for r in registry.ratings(question="scale", history=True)] == [4.0, 2.0]
        registry.withdraw_ratings([first])
        assert [r.against for r in registry.ratings()] == ["b"]


@pytest.mark.slow
@pytest.mark.postgresql
def test_migrations_and_tables_agree(url: str) -> None:
    from alembic import command
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with RunRegistry.open(url) as registry, writing(registry.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        command.downgrade(alembic_config(connection), "base")
        command.upgrade(alembic_config(connection), "head")


@pytest.mark.slow
@pytest.mark.postgresql
def test_many_processes_open_a_new_registry_at_once(url: str, tmp_path: Path, make_record: Make) -> None:
    folders = [make_record(f"run{i}").folder for i in range(4)]
    code = """
import sys
from evalharness.record import Record, RunRegistry
with RunRegistry.open(sys.argv[1], reports=sys.argv[2]) as registry:
    for folder in sys.argv[3:]:
        registry.add(Record.open(folder))
"""
    command = [sys.executable, "-c", code, url, str(tmp_path / "reports"), *map(str, folders)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    with RunRegistry.open(url) as registry, reading(registry.engine) as connection:
        assert len(registry.list()) == 4
        assert connection.execute(text("SELECT count(*) FROM results")).scalar() == 8


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_database_with_tables_of_our_names_is_left_alone(postgresql: str) -> None:
    import psycopg

    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE TABLE runs (mine int)")
        try:
            with pytest.raises(RecordError, match="a database of something else"):
                RunRegistry.open(postgresql)
        finally:
            connection.execute("DROP TABLE runs")


@pytest.mark.skipif(HAS_DRIVER, reason="the package psycopg is installed")
def test_a_missing_driver_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"psycopg.*evalharness\[postgres\]"):
        RunRegistry.open("postgresql://someone:secret@127.0.0.1/x")


@pytest.mark.skipif(not HAS_DRIVER, reason="the package psycopg is not installed")
def test_a_server_that_is_not_there() -> None:
    with pytest.raises(RunError, match="can be reached") as caught:
        RunRegistry.open("postgresql://someone:secret@127.0.0.1:9/x")
    assert "secret" not in str(caught.value)

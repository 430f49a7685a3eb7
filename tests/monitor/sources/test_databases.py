"""Queries: the interval is bound, nothing can be written, passwords are not shown, and large results stream."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import RunError, UsageError
from evalharness.monitor.sources.sql import checked_query
from evalharness.suite.source_entry import Source


@pytest.fixture
def database(tmp_path: Path, make: Any) -> Path:
    file = tmp_path / "log.sqlite3"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE log (rid TEXT, at REAL, reply TEXT, attrs TEXT)")
    connection.executemany(
        "INSERT INTO log VALUES (?, ?, ?, ?)",
        [(f"r{n}", make.START.timestamp() + 600 * n, f"Answer {n}", '{"tier": "gold"}') for n in range(-1, 8)],
    )
    connection.commit()
    connection.close()
    return file


def test_columns_of_ones_own_and_seconds(database: Path, reading: Callable[..., Any]) -> None:
    source = Source(
        url=f"sqlite:///{database}", format="sql", content=True, time_unit="s",
        query="SELECT * FROM log WHERE at >= :start_s AND at < :end_s ORDER BY at",
        fields={"id": "rid", "event_time": "at", "output": "reply", "attributes": "attrs"},
    )  # fmt: skip
    found = reading(source)
    assert [response.id for response in found.responses] == [f"r{n}" for n in range(6)]
    assert found.responses[0].output == "Answer 0"
    assert found.responses[0].attributes == {"tier": "gold"}
    # The database was told the interval: nothing else was read.
    assert (found.counts.rows, found.counts.outside) == (6, 0)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM log WHERE at > :start AND at < :end",
        "SELECT 1 WHERE 1 > :start AND 1 < :end; DELETE FROM log",
        "SELECT * FROM log",
        "SELECT * FROM log WHERE at >= :start",
        "SELECT ':start :end' FROM log -- :start :end",
    ],
)
def test_a_query_that_is_not_one_select_of_an_interval(database: Path, reading: Callable[..., Any], query: str) -> None:
    with pytest.raises(UsageError, match="query must"):
        reading(Source(url=f"sqlite:///{database}", format="sql", query=query))


def test_the_database_cannot_be_written(database: Path, reading: Callable[..., Any]) -> None:
    """What slips by as a SELECT meets a connection that cannot write."""
    query = "WITH gone AS (SELECT 1) INSERT INTO log SELECT :start, :end, 1, 1 FROM gone RETURNING *"
    before = database.read_bytes()
    with pytest.raises(RunError, match="the query failed"):
        reading(Source(url=f"sqlite:///{database}", format="sql", query=query))
    assert database.read_bytes() == before


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, reading: Callable[..., Any]) -> None:
    source = Source(url=f"sqlite:///{tmp_path / 'none.sqlite3'}", format="sql", query="SELECT :start, :end")
    with pytest.raises(RunError):
        reading(source)
    assert not (tmp_path / "none.sqlite3").exists()


def test_secrets_come_from_the_environment_and_are_not_shown(
    reading: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2-hunter2")
    source = Source(
        url="postgresql+nosuchdriver://me:${env:DB_PASSWORD}@127.0.0.1:1/x", format="sql", query="SELECT :start, :end"
    )
    with pytest.raises(UsageError) as refused:
        reading(source)
    assert "hunter2" not in str(refused.value)
    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(UsageError, match="DB_PASSWORD is not set"):
        reading(source)


def test_a_file_whose_name_an_address_would_read_otherwise(database: Path, reading: Callable[..., Any]) -> None:
    odd = database.with_name("a log#1.sqlite3")
    database.rename(odd)
    query = "SELECT rid AS id, at AS event_time FROM log WHERE at >= :start_s AND at < :end_s"
    found = reading(Source(url=f"sqlite:///{odd}", format="sql", query=query, time_unit="s"))
    assert found.counts.kept > 0


def test_a_query_that_fails_says_why(database: Path, reading: Callable[..., Any]) -> None:
    with pytest.raises(RunError, match="no such column: nope"):
        reading(Source(url=f"sqlite:///{database}", format="sql", query="SELECT nope FROM log WHERE :start < :end"))


def test_what_counts_as_one_select() -> None:
    assert checked_query("  SELECT 1 ; ") == "SELECT 1"
    assert checked_query("/* a; b */ with x as (select ';') select * from x -- ; end\n")
    with pytest.raises(UsageError):
        checked_query("UPDATE log SET at = 1")


def _parquet(file: Path, start: datetime, n: int, group: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"id": f"r{i}", "event_time": start + timedelta(minutes=i), "output": f"Answer {i}"} for i in range(n)]
    parquet.write_table(pa.Table.from_pylist(rows), file, row_group_size=group)


def test_duckdb_takes_a_query_over_the_files(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    _parquet(tmp_path / "a.parquet", make.START, 40, 10)
    query = "SELECT id, event_time FROM responses WHERE event_time >= $start AND event_time < $end AND id <> 'r3'"
    found = reading(Source(path=str(tmp_path / "*.parquet"), format="duckdb", query=query))
    assert found.counts.kept == 39


@pytest.mark.parametrize("zone", ["UTC", None])
def test_duckdb_takes_a_query_over_times_to_the_nanosecond(
    tmp_path: Path, make: Any, reading: Callable[..., Any], zone: str | None
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    times = [(make.START + timedelta(minutes=i)).replace(tzinfo=None) for i in range(-2, 3)]
    table = pa.table({"id": list("abcde"), 'the "at"': pa.array(times, pa.timestamp("ns", zone))})
    parquet.write_table(table, tmp_path / "a.parquet")
    query = 'SELECT * FROM responses WHERE "the ""at""" >= $start AND "the ""at""" < $end'
    source = Source(
        path=str(tmp_path / "*.parquet"), format="duckdb", query=query, event_time='the "at"', timezone="UTC"
    )
    found = reading(source)
    assert [response.id for response in found.responses] == ["c", "d", "e"]
    assert found.counts.rows == 3


@pytest.mark.parametrize(
    "query",
    [
        "COPY responses TO '{0}/out.csv'",
        "SELECT * FROM read_csv('{0}/secret.csv')",
        "SELECT * FROM '{0}/other.parquet'",
        "SELECT * FROM responses; SELECT 2",
        "SELECT nope FROM responses",
        "FROM read_text('/etc/passwd')",
        "ATTACH '{0}/x.db'",
    ],
)
def test_duckdb_reads_nothing_else(tmp_path: Path, make: Any, reading: Callable[..., Any], query: str) -> None:
    _parquet(tmp_path / "a.parquet", make.START, 4, 10)
    _parquet(tmp_path / "other.parquet", make.START, 4, 10)
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    with pytest.raises((UsageError, RunError)):
        reading(Source(path=str(tmp_path / "a.parquet"), format="duckdb", query=query.format(tmp_path)))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.parquet", "other.parquet", "secret.csv"]


def test_row_groups_that_cannot_hold_the_interval_are_passed_over(
    tmp_path: Path, make: Any, reading: Callable[..., Any]
) -> None:
    file = tmp_path / "a.parquet"
    _parquet(file, make.START - timedelta(hours=2), 240, 10)  # an hour is 6 of 24 groups
    found = reading(Source(path=str(file)))
    assert (found.counts.kept, found.counts.rows) == (60, 60)
    assert found.responses[0].id == "r120"
    # A place is that of the row in the file, whatever was passed over.
    late = reading(Source(path=str(file), fields={"model": "event_time"}))
    assert late.quarantine.listed[0].place.line == 121


def test_times_that_are_missing_are_never_passed_over(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"id": "a", "event_time": make.START - timedelta(days=1)}, {"id": "b", "event_time": None}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for format_ in ("response.v1", "duckdb"):
        found = reading(Source(path=str(tmp_path / "a.parquet"), format=format_))
        assert dict(found.quarantine.by_rule) == {"no-time": 1}


def test_parquet_without_a_zone(tmp_path: Path, make: Any, reading: Callable[..., Any]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"id": "a", "event_time": make.START.replace(tzinfo=None) + timedelta(hours=1)}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for format_ in ("response.v1", "duckdb"):
        path = str(tmp_path / "a.parquet")
        assert dict(reading(Source(path=path, format=format_)).quarantine.by_rule) == {"no-zone": 1}
        found = reading(Source(path=path, format=format_, timezone="Europe/Berlin"))
        assert [response.event_time for response in found.responses] == [make.START.astimezone(UTC)]

"""DuckDB over Parquet files: a SELECT over the view `responses`; nothing else can be read, and nothing written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from evalharness.core.errors import MissingExtraError, Place, RunError, UsageError

from .files import Item
from .parquet import arrow_records
from .sql import checked_query

__all__ = ["duck_records"]

_ROWS: Final = 2048
_COARSER: Final = {"TIMESTAMPTZ_NS": "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS": "TIMESTAMP"}


def duck_records(
    files: Sequence[Path], query: str | None, start: datetime, end: datetime, *, time: str
) -> Iterator[tuple[Place, Item]]:
    """The rows of `query` over the files, in which $start and $end are the interval; without one, all of the interval.

    Raises:
        UsageError: the query is not one SELECT.
        RunError: DuckDB refuses it, or cannot read a file.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("duckdb", "monitor", purpose="format: duckdb") from error
    if query is not None:
        query = checked_query(query)
    if not files:
        return
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET allowed_paths = " + _list(files))
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        connection.execute(f"CREATE VIEW responses AS {_view(connection, files)}")
        statement = query or _default(connection, time)
        given = {name: value for name, value in (("start", start), ("end", end)) if f"${name}" in statement}
        relation = connection.sql(statement, params=given) if given else connection.sql(statement)
        # The method's name before DuckDB 1.4.
        reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        batches = reader(_ROWS)
        yield from arrow_records(batches, "duckdb:responses")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if isinstance(error, duckdb.ParserException | duckdb.BinderException | duckdb.CatalogException):
            raise UsageError(f"source: DuckDB refuses the query: {reason}") from error
        raise RunError(f"source: DuckDB: {reason}") from error
    finally:
        connection.close()


def _view(connection: Any, files: Sequence[Path]) -> str:
    """All columns, moments to the microsecond: those to the nanosecond, as pandas writes them, cannot be compared."""
    plain = f"FROM read_parquet({_list(files)}, union_by_name = true)"
    casts = [
        f"CAST({_quoted(name)} AS {_COARSER[str(kind)]}) AS {_quoted(name)}"
        for name, kind, *_ in connection.execute(f"DESCRIBE {plain}").fetchall()
        if str(kind) in _COARSER
    ]
    return f"SELECT * {'REPLACE (' + ', '.join(casts) + ')' if casts else ''} {plain}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _default(connection: Any, time: str) -> str:
    columns = {row[0]: str(row[1]) for row in connection.execute("DESCRIBE responses").fetchall()}
    # A time without a zone may be meant in another one than UTC: those rows are chosen later.
    if columns.get(time) == "TIMESTAMP WITH TIME ZONE":
        name = _quoted(time)
        return f"SELECT * FROM responses WHERE {name} IS NULL OR ({name} >= $start AND {name} < $end)"
    return "SELECT * FROM responses"


def _list(files: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(file).replace("'", "''") + "'" for file in files) + "]"

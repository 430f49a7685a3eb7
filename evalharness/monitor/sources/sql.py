"""Rows of a database: a SELECT that is told the interval, read a piece at a time in a transaction that cannot write."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from evalharness.core.errors import MissingExtraError, Place, RunError, UsageError
from evalharness.core.secrets import Redactor, resolve
from evalharness.data.values import json_value

from .files import Item
from .refusal import Refusal, shown

__all__ = ["checked_query", "sql_records"]

_ROWS: Final = 2048
# Texts and names in quotes come first: what looks like a comment within them is none.
_TOKENS: Final = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|--[^\n]*|/\*.*?\*/", re.DOTALL)


def checked_query(query: str) -> str:
    """`query` without its comments, if it is one SELECT (or WITH … SELECT).

    Raises:
        UsageError: it is not. That is said early; what keeps the database from change is the transaction.
    """
    found = _TOKENS.sub(lambda match: match[1] or " ", query).strip().rstrip("; \t\r\n")
    plain = _unquoted(found)
    if not re.match(r"(?i)(select|with|from)\b", plain):
        raise UsageError(f"source: the query must be a SELECT, and begins with {plain[:20]!r}")
    if ";" in plain:
        raise UsageError("source: the query must be one statement; remove what comes after the semicolon")
    return found


def _unquoted(query: str) -> str:
    return _TOKENS.sub("''", query)


def _parameters(query: str) -> set[str]:
    """Which of the interval's parameters `query` names, outside of quotes.

    Raises:
        UsageError: it lacks the beginning or the end.
    """
    plain = _unquoted(query)
    given = {name for name in ("start", "end", "start_s", "end_s") if re.search(rf"(?<!:):{name}\b", plain)}
    missing = [name for name in ("start", "end") if not {name, f"{name}_s"} & given]
    if missing:
        raise UsageError(
            f"source: the query must name the interval, and lacks {' and '.join(':' + name for name in missing)}; "
            f"write WHERE event_time >= :start AND event_time < :end"
        )
    return given


def sql_records(
    url: str, query: str, start: datetime, end: datetime, environ: Mapping[str, str] | None = None
) -> Iterator[tuple[Place, Item]]:
    """The rows of `query`; the number of a place is the row's, from 1.

    `:start` and `:end` are moments with a zone; for SQLite, which knows no moments, their text in UTC as SQLAlchemy
    stores it (2026-11-22 10:00:00.000000). `:start_s` and `:end_s` are seconds since 1970.

    Raises:
        UsageError: the address is none, its driver is missing, or the query is not one SELECT.
        RunError: the database cannot be reached, or refuses the query.
    """
    from urllib.parse import quote

    from sqlalchemy import create_engine, event, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

    plain = checked_query(query)
    given = _parameters(plain)
    # SQLAlchemy looks for parameters within quotes, too.
    plain = _TOKENS.sub(lambda match: match[0].replace(":", r"\:"), plain)
    found = os.environ if environ is None else environ
    secret = resolve(url, found)
    try:
        address = make_url(secret)
        shown_url = address.render_as_string(hide_password=True)
        if address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:"):
            address = address.set(
                database=f"file:{quote(address.database)}", query={**address.query, "mode": "ro", "uri": "true"}
            )
        engine = create_engine(address)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UsageError("source: the url is not one of a database; write sqlite:///path or postgresql://…") from error
    except ModuleNotFoundError as error:
        extra = "postgres" if "psycopg" in (error.name or "") else "monitor"
        raise MissingExtraError(error.name or "the driver", extra, purpose=f"source: {shown_url}") from error
    dialect = engine.dialect.name
    event.listen(engine, "connect", _read_only(dialect))
    options: dict[str, Any] = {"stream_results": True, "yield_per": _ROWS}
    if dialect == "postgresql":
        options |= {"postgresql_readonly": True}
    values: dict[str, Any] = {"start": start, "end": end, "start_s": start.timestamp(), "end_s": end.timestamp()}
    if dialect == "sqlite":
        values |= {name: f"{values[name]:%Y-%m-%d %H:%M:%S.%f}" for name in ("start", "end")}
    number = 0
    try:
        with engine.connect().execution_options(**options) as connection:
            result = connection.execute(text(plain), {name: values[name] for name in sorted(given)})
            names = list(result.keys())
            for partition in result.partitions(_ROWS):
                for row in partition:
                    number += 1
                    yield Place(shown_url, number), _record(names, row)
    except (DBAPIError, SQLAlchemyError) as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()
        reason = Redactor([secret, *([address.password] if isinstance(address.password, str) else [])])(
            cause[0] if cause else ""
        )
        raise RunError(f"source: {shown_url}: the query failed: {reason}") from error
    finally:
        engine.dispose()


def _record(names: list[str], row: Any) -> Item:
    try:
        return {
            name: value if isinstance(value, datetime) else json_value(value)  # type: ignore[misc]
            for name, value in zip(names, row, strict=True)
        }
    except (TypeError, OverflowError, ValueError) as error:
        return Refusal("no-json-form", "row", shown(str(error)), "leave the column out, or cast it to text")


def _read_only(dialect: str) -> Any:
    statements = {
        "sqlite": ("PRAGMA query_only = ON",),
        # A column without a zone is compared with the interval in UTC, wherever the server stands.
        "postgresql": ("SET TIME ZONE 'UTC'",),
        "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'"),
        "mariadb": ("SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'"),
    }.get(dialect, ())

    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        if statements and dialect == "postgresql":
            connection.commit()

    return prepare

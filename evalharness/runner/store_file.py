"""The SQLite file of the response store: how it is opened, what is in it, how an older one is brought up to date."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..core.errors import StoreError
from .store_errors import as_store_error

__all__ = ["VERSION", "connect", "guarded", "prepare", "transaction"]

VERSION: Final = 2
_APPLICATION_ID: Final = 0x65766852  # "evhR": tells our file from any other SQLite database
# `model` is what the answer was asked of, for people who look into the store; the key alone decides what is found.
_MODEL: Final = "model TEXT NOT NULL DEFAULT ''"
_SCHEMA: Final = (
    f"""CREATE TABLE responses (
        key TEXT PRIMARY KEY, status TEXT NOT NULL, stored_s REAL NOT NULL,
        checksum BLOB NOT NULL, payload BLOB NOT NULL, {_MODEL})""",
    "CREATE INDEX responses_stored_s ON responses (stored_s)",
    "CREATE TABLE damaged (key TEXT, found_s REAL NOT NULL, checksum BLOB, payload BLOB)",
)


def connect(path: Path, wait_s: float) -> sqlite3.Connection:
    """A connection to the file at `path`; the caller's lock says who uses it."""
    connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    # A damaged key must not stop the reading of the sound ones; its checksum gives it away.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def prepare(connection: sqlite3.Connection, path: Path, wait_s: float) -> None:
    """Set the file up for durable, shared writing; make its tables, or bring them up to date, where that is needed.

    A store that is as it should be is opened without a lock, so that a writer at work holds no reader up.

    Raises:
        StoreError: it is no response store, or of a newer version.
    """
    with guarded(path):
        connection.execute("PRAGMA schema_version").fetchone()  # reads the header: no SQLite file fails here
        _set_wal(connection, wait_s)
        connection.execute("PRAGMA synchronous=FULL")
        version, application, n_tables = _state(connection)
    if (version, application) == (VERSION, _APPLICATION_ID):
        return
    with transaction(connection, path):
        # Another process may have done it since.
        version, application, n_tables = _state(connection)
        if version == 0 and n_tables == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            return
        if application == _APPLICATION_ID and version == 1:
            connection.execute(f"ALTER TABLE responses ADD COLUMN {_MODEL}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            return
    if application != _APPLICATION_ID:
        raise StoreError(
            f"{path} is an SQLite database, but no response store; choose another folder with --reports, "
            f"or move that file away"
        )
    if version > VERSION:
        raise StoreError(
            f"the response store {path} has version {version} and this evalharness knows {VERSION}; "
            f"upgrade evalharness, or choose another folder with --reports"
        )


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turns what SQLite raises into a `StoreError` with its remedy."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: SQLite quotes damaged bytes in its message
        raise as_store_error(error, path) from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All or nothing; takes the write lock at once, so that two writers queue instead of failing half-way."""
    with guarded(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _state(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Version, application and number of tables of the file."""
    statements = ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    version, application, n_tables = (connection.execute(each).fetchone()[0] for each in statements)
    return version, application, n_tables


def _set_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """Switch to WAL. SQLite reports "locked" at once, without waiting, while another process makes the same switch."""
    end = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)

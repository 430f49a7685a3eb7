"""The response store: every answer a model ever gave, found again by its request key.

It is both the cache and the means to resume: an interrupted run asks only what is not stored yet.

**Durability.** `put` returns once its batch is on the disk: SQLite in WAL mode with `synchronous=FULL`, which syncs the
log at each commit. With `NORMAL` a commit outlives the death of the process, but not a power cut; with `FULL` it
outlives both. The price is one sync for each *batch*, so callers hand over several responses at once.

**Damage.** Every entry carries a checksum over its key and content. A damaged one is moved to the table `damaged` and
counts as a miss: it is asked again, never used. Answers with status `error` are not stored: they too are asked again.

**Sharing.** Several threads and processes may use one store; writers wait for each other.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..core.errors import StoreError
from ..core.types import Response, Status
from .store_entries import decode_entry, encode_entry
from .store_errors import as_store_error, unusable_folder

__all__ = ["STORED_STATES", "ResponseStore", "StoreStats"]

STORED_STATES: Final[frozenset[Status]] = frozenset({"ok", "truncated", "refusal", "unparsed"})

_VERSION: Final = 1
_APPLICATION_ID: Final = 0x65766852  # "evhR": tells our file from any other SQLite database
_SCHEMA: Final = (
    """CREATE TABLE responses (
        key TEXT PRIMARY KEY, status TEXT NOT NULL, stored_s REAL NOT NULL,
        checksum BLOB NOT NULL, payload BLOB NOT NULL)""",
    "CREATE INDEX responses_stored_s ON responses (stored_s)",
    "CREATE TABLE damaged (key TEXT, found_s REAL NOT NULL, checksum BLOB, payload BLOB)",
)
_CHUNK: Final = 500  # keys a SELECT: below every SQLite's limit on variables
_DEFAULT_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds, and what this opening of it found, missed, stored and set aside as damaged."""

    path: Path
    n_entries: int
    n_damaged: int
    by_status: dict[str, int]
    size_bytes: int
    oldest_utc: str | None
    newest_utc: str | None
    hits: int
    misses: int
    stored: int


class ResponseStore:
    """Responses by request key, in one SQLite file. Open it with `ResponseStore.open`; use it as a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock
        self._lock = threading.RLock()
        self._hits = self._misses = self._stored = 0

    @classmethod
    def open(cls, path: Path | str, *, clock: Callable[[], float] = time.time, wait_s: float = _DEFAULT_WAIT_S) -> Self:
        """The store at `path`, made if it is missing. `wait_s` is the longest wait for other writers.

        Raises:
            StoreError: if it cannot be made, is no response store, or is of a newer version.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable_folder(path, error) from error
        try:
            connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise as_store_error(error, path) from error
        # A damaged key must not stop the reading of the sound ones; its checksum gives it away.
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        store = cls(connection, path, clock)
        try:
            store._prepare(wait_s)
        except BaseException:
            connection.close()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; safe to call twice."""
        with self._lock:
            self._connection.close()

    def get_many(self, keys: Iterable[str]) -> dict[str, Response]:
        """The stored responses among `keys`, in their order; those that are missing or damaged are left out."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Response] = {}
        damaged: list[str] = []
        with self._lock, self._guard():
            for key, checksum, payload in self._select(wanted):
                response = decode_entry(key, checksum, payload)
                if response is None:
                    damaged.append(key)
                else:
                    found[key] = response
            if damaged:
                # In a store that cannot be written they stay where they are, and are misses all the same.
                with suppress(StoreError):
                    self._set_aside(damaged)
            self._hits += len(found)
            self._misses += len(wanted) - len(found)
        return {key: found[key] for key in wanted if key in found}

    def put(self, responses: Iterable[Response]) -> None:
        """Store those `responses` that are answers (see `STORED_STATES`); a newer one replaces an older one.

        When it returns they are on the disk, all of them; when it raises, none of them is stored.

        Raises:
            StoreError: if they cannot be written; what was stored before stays.
        """
        now = self._clock()
        rows = [
            (response.key, response.status, now, *encode_entry(response))
            for response in responses
            if response.status in STORED_STATES
        ]
        if not rows:
            return
        with self._lock, self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?)", rows)
            self._stored += len(rows)

    def stats(self) -> StoreStats:
        """What the store holds now."""
        with self._lock, self._guard():
            one = self._connection.execute
            by_status = dict(one("SELECT status, count(*) FROM responses GROUP BY status ORDER BY status").fetchall())
            oldest, newest = one("SELECT min(stored_s), max(stored_s) FROM responses").fetchone()
            (n_damaged,) = one("SELECT count(*) FROM damaged").fetchone()
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return StoreStats(
            path=self.path,
            n_entries=sum(by_status.values()),
            n_damaged=n_damaged,
            by_status=by_status,
            size_bytes=sum(file.stat().st_size for file in files if file.exists()),
            oldest_utc=_iso(oldest),
            newest_utc=_iso(newest),
            hits=self._hits,
            misses=self._misses,
            stored=self._stored,
        )

    def prune(self, *, older_than_days: float) -> int:
        """Remove what was stored longer ago, and all that is damaged; return how many. The file shrinks."""
        before = self._clock() - older_than_days * 86_400
        with self._lock:
            with self._transaction():
                removed = self._connection.execute("DELETE FROM responses WHERE stored_s < ?", (before,)).rowcount
                removed += self._connection.execute("DELETE FROM damaged").rowcount
            with self._guard():
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def __iter__(self) -> Iterator[Response]:
        """All stored responses, oldest first, read a chunk at a time; damaged ones are left out."""
        last = -(2**63)
        while True:
            with self._lock, self._guard():
                rows = self._connection.execute(
                    "SELECT rowid, key, checksum, payload FROM responses WHERE rowid > ? ORDER BY rowid LIMIT ?",
                    (last, _CHUNK),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for _, *entry in rows:
                response = decode_entry(*entry)
                if response is not None:
                    yield response

    def _prepare(self, wait_s: float) -> None:
        with self._guard():
            one = self._connection.execute
            one("PRAGMA schema_version").fetchone()  # reads the header: a file that is not SQLite fails here
            _set_wal(self._connection, wait_s)
            one("PRAGMA synchronous=FULL")
        with self._transaction():
            (version,) = one("PRAGMA user_version").fetchone()
            (application,) = one("PRAGMA application_id").fetchone()
            (n_tables,) = one("SELECT count(*) FROM sqlite_master").fetchone()
            if version == 0 and n_tables == 0:
                for statement in _SCHEMA:
                    one(statement)
                one(f"PRAGMA application_id={_APPLICATION_ID}")
                one(f"PRAGMA user_version={_VERSION}")
                return
        if application != _APPLICATION_ID:
            raise StoreError(
                f"{self.path} is an SQLite database, but no response store; choose another folder with --reports, "
                f"or move that file away"
            )
        if version > _VERSION:
            raise StoreError(
                f"the response store {self.path} has version {version} and this evalharness knows {_VERSION}; "
                f"upgrade evalharness, or choose another folder with --reports"
            )

    def _select(self, keys: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, checksum, payload FROM responses WHERE key IN ({marks})"
            yield from self._connection.execute(query, chunk).fetchall()

    def _set_aside(self, keys: Sequence[str]) -> None:
        now = self._clock()
        with self._transaction():
            for key in keys:
                # Another process may have replaced the entry by a sound one since it was read.
                row = self._connection.execute(
                    "SELECT key, checksum, payload FROM responses WHERE key = ?", (key,)
                ).fetchone()
                if row is None or decode_entry(*row) is not None:
                    continue
                self._connection.execute("INSERT INTO damaged VALUES (?, ?, ?, ?)", (key, now, row[1], row[2]))
                self._connection.execute("DELETE FROM responses WHERE key = ?", (key,))

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: SQLite quotes damaged bytes in its message
            raise as_store_error(error, self.path) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; takes the write lock at once, so that two writers queue instead of failing half-way."""
        with self._guard():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


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


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

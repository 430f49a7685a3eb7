"""The response store: every answer a model ever gave, found again by its request key.

It is both the cache and the means to resume: an interrupted run asks only what is not stored yet.

**Durability.** `put` returns once its batch is on the disk: SQLite in WAL mode with `synchronous=FULL`, which syncs the
log at each commit. With `NORMAL` a commit outlives the death of the process, but not a power cut; with `FULL` it
outlives both. The price is one sync for each *batch*, so callers hand over several responses at once.

**Damage.** Every entry carries a checksum over its key and content. A damaged one is moved to the table `damaged` and
counts as a miss: it is asked again, never used. Answers with status `error` are not stored: they too are asked again.

**Sharing.** Several threads and processes may use one store. Writers wait for each other; readers wait for nobody:
they have a connection of their own, and a log that is written does not change what they read.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..core.errors import StoreError
from ..core.types import Response, Status
from .store_entries import decode_entry, encode_entry
from .store_errors import as_store_error, unusable_folder
from .store_file import connect, guarded, prepare, transaction
from .store_upkeep import StoreStats, Tally, delete_beyond, pages_bytes, read_stats

__all__ = ["STORED_STATES", "ResponseStore", "StoreStats", "Tally"]

STORED_STATES: Final[frozenset[Status]] = frozenset({"ok", "truncated", "refusal", "unparsed"})

_CHUNK: Final = 500  # keys a SELECT: below every SQLite's limit on variables
_DEFAULT_WAIT_S: Final = 60.0


class ResponseStore:
    """Responses by request key, in one SQLite file. Open it with `ResponseStore.open`; use it as a context manager."""

    def __init__(
        self,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        path: Path,
        clock: Callable[[], float],
        names: Mapping[str, str],
    ) -> None:
        self.path = path
        self._connection = writer
        self._reader = reader
        self._clock = clock
        self._names = names
        self._lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._hits = self._misses = self._stored = self._set_aside_now = 0

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        clock: Callable[[], float] = time.time,
        wait_s: float = _DEFAULT_WAIT_S,
        names: Mapping[str, str] | None = None,
    ) -> Self:
        """The store at `path`, made if it is missing. `wait_s` is the longest wait for other writers.

        `names` are what answers of a model are filed under (see `put`), by the name that the caller uses.

        Raises:
            StoreError: if it cannot be made, is no response store, or is of a newer version.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable_folder(path, error) from error
        opened: list[sqlite3.Connection] = []
        try:
            opened.append(connect(path, wait_s))
            prepare(opened[0], path, wait_s)
            opened.append(connect(path, wait_s))
            return cls(opened[0], opened[1], path, clock, names or {})
        except BaseException as error:
            for connection in opened:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise as_store_error(error, path) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; safe to call twice."""
        with self._lock, self._read_lock:
            self._reader.close()
            self._connection.close()

    @property
    def n_set_aside(self) -> int:
        """How many damaged entries were met since the store was opened."""
        return self._set_aside_now

    def get_many(self, keys: Iterable[str]) -> dict[str, Response]:
        """The stored responses among `keys`, in their order; those that are missing or damaged are left out."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Response] = {}
        damaged: list[str] = []
        with self._reading() as connection:
            for key, checksum, payload in _select(connection, wanted):
                response = decode_entry(key, checksum, payload)
                if response is None:
                    damaged.append(key)
                else:
                    found[key] = response
            self._hits += len(found)
            self._misses += len(wanted) - len(found)
        if damaged:
            self._set_aside_now += len(damaged)
            # In a store that cannot be written they stay where they are, and are misses all the same.
            with suppress(StoreError):
                self._set_aside(damaged)
        return {key: found[key] for key in wanted if key in found}

    def put(self, responses: Iterable[Response], *, model: str = "") -> None:
        """Store those `responses` that are answers (see `STORED_STATES`); a newer one replaces an older one.

        `model` is who gave them, for `stats`; it has no part in what is found. When it returns they are on the disk,
        all of them; when it raises, none of them is stored.

        Raises:
            StoreError: if they cannot be written; what was stored before stays.
        """
        now, name = self._clock(), self._names.get(model, model)
        rows = [
            (response.key, response.status, now, *encode_entry(response), name)
            for response in responses
            if response.status in STORED_STATES
        ]
        if not rows:
            return
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO responses (key, status, stored_s, checksum, payload, model) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._stored += len(rows)

    def stats(self) -> StoreStats:
        """What the store holds now."""
        with self._reading() as connection:
            return read_stats(
                connection,
                self.path,
                hits=self._hits,
                misses=self._misses,
                stored=self._stored,
                n_set_aside=self._set_aside_now,
            )

    def prune(self, *, older_than_days: float | None = None, max_bytes: int | None = None) -> int:
        """Remove what was stored longer ago, then the oldest until the file is no larger than `max_bytes`.

        What is damaged goes in any case. Returns how many entries went; the file shrinks.
        """
        removed = 0
        with self._writing() as connection:
            if older_than_days is not None:
                before = self._clock() - older_than_days * 86_400
                removed += connection.execute("DELETE FROM responses WHERE stored_s < ?", (before,)).rowcount
            removed += connection.execute("DELETE FROM damaged").rowcount
        self._vacuum()
        while max_bytes is not None:
            with self._writing() as connection:
                size = pages_bytes(connection)
                gone = delete_beyond(connection, max_bytes, size) if size > max_bytes else 0
            if not gone:
                break
            removed += gone
            self._vacuum()
        return removed

    def __iter__(self) -> Iterator[Response]:
        """All stored responses, oldest first, read a chunk at a time; damaged ones are left out."""
        last = -(2**63)
        while True:
            with self._reading() as connection:
                rows = connection.execute(
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

    def _set_aside(self, keys: Sequence[str]) -> None:
        now = self._clock()
        with self._writing() as connection:
            for key in keys:
                # Another process may have replaced the entry by a sound one since it was read.
                row = connection.execute(
                    "SELECT key, checksum, payload FROM responses WHERE key = ?", (key,)
                ).fetchone()
                if row is None or decode_entry(*row) is not None:
                    continue
                connection.execute("INSERT INTO damaged VALUES (?, ?, ?, ?)", (key, now, row[1], row[2]))
                connection.execute("DELETE FROM responses WHERE key = ?", (key,))

    def _vacuum(self) -> None:
        with self._lock, guarded(self.path):
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock, guarded(self.path):
            yield self._reader

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._connection, self.path):
            yield self._connection


def _select(connection: sqlite3.Connection, keys: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        query = f"SELECT key, checksum, payload FROM responses WHERE key IN ({marks})"
        yield from connection.execute(query, chunk).fetchall()

"""The ledger of batches: which requests were handed in to a service, and under which id the answers are to be had.

It stands in two tables of the response store's file. A line is written, durably, *before* a batch is handed in, and the
service's id goes into it as soon as the reply is there. So a run that is killed at any moment leaves at least the line:
the next one looks at the service whether the batch was taken, and does not hand its requests in a second time. What is
in the ledger is open; what is answered the response store tells. Batches leave the ledger when a record is sealed that
has all of their requests, or when the service has long forgotten them.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from evalharness.core.errors import StoreError

from .book import ResponseBook
from .store_errors import unusable_folder
from .store_file import connect, guarded, prepare, transaction

__all__ = ["KEPT_S", "BatchLedger", "OpenBatch"]

KEPT_S: Final = 30 * 86_400.0
"""So long services keep results, about."""

_WAIT_S: Final = 60.0
_CHUNK: Final = 5_000
_LOOK_S: Final = 0.2
_SCHEMA: Final = (
    # `identity` is the digest of the model's identity, `refused` the ids of batches that turned out to be others'.
    """CREATE TABLE IF NOT EXISTS batches (
        number INTEGER PRIMARY KEY AUTOINCREMENT, tag TEXT NOT NULL UNIQUE, identity TEXT NOT NULL, model TEXT NOT NULL,
        address TEXT NOT NULL, n_requests INTEGER NOT NULL, written_s REAL NOT NULL,
        file_id TEXT, batch_id TEXT, sure INTEGER NOT NULL DEFAULT 1, refused TEXT NOT NULL DEFAULT '')""",
    """CREATE TABLE IF NOT EXISTS batch_requests (
        number INTEGER NOT NULL, place INTEGER NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (number, place)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS batch_requests_key ON batch_requests (key)",
)
_COLUMNS: Final = "number, tag, model, address, n_requests, written_s, file_id, batch_id, sure, refused"


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A line of the ledger. Without a `batch_id` it is not known whether the batch was handed in."""

    number: int
    tag: str
    model: str
    address: str
    n_requests: int
    written_s: float
    file_id: str | None = None
    batch_id: str | None = None
    sure: bool = True
    refused: tuple[str, ...] = ()


class BatchLedger:
    """The open batches beside a response store. Open it with `BatchLedger.open`; use it as a context manager."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self.clock = clock
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """The ledger in the response store at `path`, made if it is missing.

        Raises:
            StoreError: it cannot be made or read.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable_folder(path, error) from error
        with guarded(path):
            connection = connect(path, _WAIT_S)
        try:
            prepare(connection, path, _WAIT_S)
            if not _has_tables(connection, path):
                with transaction(connection, path):
                    for statement in _SCHEMA:
                        connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path, clock)

    @classmethod
    def of_store(cls, path: Path) -> Self | None:
        """The ledger in the response store at `path` for reading; None where there is none yet, and none is made."""
        if not path.is_file():
            return None
        with guarded(path):
            connection = connect(path, _WAIT_S)
        try:
            if _has_tables(connection, path):
                return cls(connection, path, time.time)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @asynccontextmanager
    async def turn(self, sleep: Callable[[float], Awaitable[None]]) -> AsyncIterator[None]:
        """Within it no other process hands batches in; one that ends, however it ends, gives its turn up.

        So a line without an id, seen by whoever has the turn, is one that nobody is at work on any more.
        """
        if os.name != "posix":
            yield
            return
        import fcntl

        path = self.path.with_name(f".{self.path.name}-batches.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error.strerror or error}; choose another folder with --reports"
            ) from error
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await sleep(_LOOK_S)
                except OSError:  # a file system without locks
                    break
            yield
        finally:
            os.close(descriptor)

    # ── what is open ──────────────────────────────────────────────────────────────────────────────────────────────

    def batches(self, identity: str | None = None) -> list[OpenBatch]:
        """The open batches (of the model with this identity), in the order in which they were written down."""
        query = f"SELECT {_COLUMNS} FROM batches WHERE ? IS NULL OR identity = ? ORDER BY number"
        with guarded(self.path):
            rows = self._connection.execute(query, (identity, identity)).fetchall()
        return [_line(row) for row in rows]

    def keys(self, number: int) -> Iterator[list[str]]:
        """The keys of the requests of a batch, some thousand at a time."""
        last = -1
        while True:
            query = "SELECT place, key FROM batch_requests WHERE number = ? AND place > ? ORDER BY place LIMIT ?"
            with guarded(self.path):
                rows = self._connection.execute(query, (number, last, _CHUNK)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [key for _, key in rows]

    def holds(self, number: int, key: str) -> bool:
        """Whether the request with this key is in the batch."""
        with guarded(self.path):
            query = "SELECT 1 FROM batch_requests WHERE key = ? AND number = ?"
            return self._connection.execute(query, (key, number)).fetchone() is not None

    def held(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys`, a few hundred, whose requests are in an open batch."""
        marks = ",".join("?" * len(keys))
        with guarded(self.path):
            query = f"SELECT DISTINCT key FROM batch_requests WHERE key IN ({marks})"
            return {key for (key,) in self._connection.execute(query, keys)}

    # ── what happens to a batch; each is durable when it returns ──────────────────────────────────────────────────

    def intend(self, keys: Sequence[str], *, identity: str, model: str, address: str) -> OpenBatch:
        """Write down that the requests with these keys are about to be handed in."""
        tag, now = secrets.token_hex(16), self.clock()
        with transaction(self._connection, self.path):
            number = self._connection.execute(
                "INSERT INTO batches (tag, identity, model, address, n_requests, written_s) VALUES (?, ?, ?, ?, ?, ?)",
                (tag, identity, model, address, len(keys), now),
            ).lastrowid
            assert number is not None
            self._connection.executemany(
                "INSERT INTO batch_requests (number, place, key) VALUES (?, ?, ?)",
                ((number, place, key) for place, key in enumerate(keys)),
            )
        return OpenBatch(number, tag, model, address, len(keys), now)

    def sent(self, number: int, file_id: str) -> None:
        """Its file has been sent."""
        self._set(number, "file_id = ?, written_s = ?", file_id, self.clock())

    def submitted(self, number: int, batch_id: str, *, sure: bool = True) -> None:
        """The service has it; not `sure` where it may be somebody else's."""
        self._set(number, "batch_id = ?, sure = ?", batch_id, int(sure))

    def not_ours(self, number: int, batch_id: str) -> None:
        """The batch that was taken for it is another one."""
        self._set(number, "batch_id = NULL, sure = 1, refused = refused || ? || ' '", batch_id)

    def drop(self, numbers: Iterable[int]) -> None:
        """They are no longer open."""
        rows = [(number,) for number in numbers]
        if rows:
            with transaction(self._connection, self.path):
                self._connection.executemany("DELETE FROM batch_requests WHERE number = ?", rows)
                self._connection.executemany("DELETE FROM batches WHERE number = ?", rows)

    def forget(self, book: ResponseBook) -> None:
        """A record is sealed: drop the batches of which it has all requests, and those that are too old."""
        old = self.clock() - KEPT_S
        self.drop(
            batch.number
            for batch in self.batches()
            if batch.written_s < old
            or (
                batch.batch_id is not None
                and all((book.index.numbers(keys) >= 0).all() for keys in self.keys(batch.number))
            )
        )

    def _set(self, number: int, what: str, *values: object) -> None:
        with transaction(self._connection, self.path):
            self._connection.execute(f"UPDATE batches SET {what} WHERE number = ?", (*values, number))


def _has_tables(connection: sqlite3.Connection, path: Path) -> bool:
    with guarded(path):
        query = "SELECT count(*) FROM sqlite_master WHERE name IN ('batches', 'batch_requests', 'batch_requests_key')"
        found: int = connection.execute(query).fetchone()[0]
    return found == len(_SCHEMA)


def _line(row: Sequence[object]) -> OpenBatch:
    number, tag, model, address, n_requests, written_s, file_id, batch_id, sure, refused = row
    return OpenBatch(
        int(str(number)),
        str(tag),
        str(model),
        str(address),
        int(str(n_requests)),
        float(str(written_s)),
        None if file_id is None else str(file_id),
        None if batch_id is None else str(batch_id),
        bool(sure),
        tuple(str(refused).split()),
    )

"""What a response store holds, by state, model and day, and how it is made smaller."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["StoreStats", "Tally", "delete_beyond", "pages_bytes", "read_stats"]

# What an entry takes: its content, its key in the table and in the index of keys, and about this much around them.
_COST: Final = "(length(payload) + 2 * length(key) + 64)"


class Tally(NamedTuple):
    """So many answers, and the bytes that they take."""

    n_entries: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds, and what this opening of it found, missed, stored and set aside as damaged."""

    path: Path
    n_entries: int
    n_damaged: int
    by_status: dict[str, int]
    by_model: dict[str, Tally]
    """By what was asked (backend, model, address); "" for answers stored before that was written down."""
    by_day: dict[str, Tally]
    """By the day, in UTC, on which they were stored."""
    size_bytes: int
    oldest_utc: str | None
    newest_utc: str | None
    hits: int
    misses: int
    stored: int
    n_set_aside: int


def read_stats(
    connection: sqlite3.Connection, path: Path, *, hits: int, misses: int, stored: int, n_set_aside: int
) -> StoreStats:
    """The statistics of the store behind `connection`; the counts are those of this opening of it."""
    one = connection.execute
    by_status = dict(one("SELECT status, count(*) FROM responses GROUP BY status ORDER BY status").fetchall())
    oldest, newest = one("SELECT min(stored_s), max(stored_s) FROM responses").fetchone()
    (n_damaged,) = one("SELECT count(*) FROM damaged").fetchone()
    files = (path, path.with_name(path.name + "-wal"))
    return StoreStats(
        path=path,
        n_entries=sum(by_status.values()),
        n_damaged=n_damaged,
        by_status=by_status,
        by_model=_tallies(connection, "model", order="3 DESC, 1"),
        by_day=_tallies(connection, "date(stored_s, 'unixepoch')", order="1"),
        size_bytes=sum(file.stat().st_size for file in files if file.exists()),
        oldest_utc=_iso(oldest),
        newest_utc=_iso(newest),
        hits=hits,
        misses=misses,
        stored=stored,
        n_set_aside=n_set_aside,
    )


def pages_bytes(connection: sqlite3.Connection) -> int:
    """The size of the file once what was removed has been given back."""
    (pages,), (free,), (size,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def delete_beyond(connection: sqlite3.Connection, max_bytes: int, size_bytes: int) -> int:
    """Delete the oldest answers of a store of `size_bytes` so that about `max_bytes` are left; returns how many.

    At least one goes, so that asking again and again ends.
    """
    (cost,) = connection.execute(f"SELECT total({_COST}) FROM responses").fetchone()
    # The file is larger than its entries' content by a share that shrinks with them.
    may_stay = cost * max_bytes / size_bytes
    newest_first = "ORDER BY stored_s DESC, rowid DESC"
    removed = connection.execute(
        f"DELETE FROM responses WHERE rowid IN (SELECT rowid FROM (SELECT rowid, sum({_COST}) OVER ({newest_first} "
        "ROWS UNBOUNDED PRECEDING) AS kept FROM responses) WHERE kept > ?)",
        (may_stay,),
    ).rowcount
    if not removed:
        oldest = "SELECT rowid FROM responses ORDER BY stored_s, rowid LIMIT 1"
        removed = connection.execute(f"DELETE FROM responses WHERE rowid = ({oldest})").rowcount
    return removed


def _tallies(connection: sqlite3.Connection, by: str, *, order: str) -> dict[str, Tally]:
    query = f"SELECT {by}, count(*), sum({_COST}) FROM responses GROUP BY 1 ORDER BY {order}"
    return {str(name): Tally(n, size) for name, n, size in connection.execute(query)}


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Ratings in the registry's database. Rows are only added: the newest one of an identity holds.

So what was replaced or taken back stays in the table, and a rating is one insert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Engine, func, insert, select

from ..core.errors import UsageError
from .database import reading, writing
from .ratings import Rating, check_rating
from .runinfo import utc_text
from .tables import RATINGS

__all__ = ["add_ratings", "select_ratings", "withdraw_ratings"]

_IDENTITY: Final = ("run_id", "task", "model", "sample_id", "repeat", "rater", "question", "asked", "against")
_COLUMNS: Final = (*_IDENTITY, "value", "label", "comment", "created_utc")


def add_ratings(engine: Engine, ratings: Iterable[Rating], *, clock: Callable[[], datetime]) -> tuple[Rating, ...]:
    """Store `ratings`, all or none, durably; returns them as they are stored, with their time.

    Raises:
        UsageError: if one of them contradicts itself.
    """
    given = tuple(ratings)
    for rating in given:
        check_rating(rating)
    rows = [_row(rating, clock, withdrawn=False) for rating in given]
    _insert(engine, rows)
    return tuple(_rating(row) for row in rows)


def withdraw_ratings(engine: Engine, ratings: Iterable[Rating], *, clock: Callable[[], datetime]) -> None:
    """Take ratings back: those that have the identities of `ratings` are listed no more."""
    now = clock()
    _insert(engine, [_row(rating, lambda: now, withdrawn=True) | {"created_utc": now} for rating in ratings])


def select_ratings(engine: Engine, *, history: bool = False, **where: str | None) -> tuple[Rating, ...]:
    """The ratings whose fields have the values of `where` (None: any), in the order in which they were given."""
    query = select(*(RATINGS.c[name] for name in _COLUMNS)).where(RATINGS.c.withdrawn.is_(False))
    wanted = [RATINGS.c[name] == value for name, value in where.items() if value is not None]
    if history:
        query = query.where(*wanted)
    else:
        # A row that takes a rating back is the newest of its identity, too.
        newest = select(func.max(RATINGS.c.id)).where(*wanted)
        query = query.where(RATINGS.c.id.in_(newest.group_by(*(RATINGS.c[name] for name in _IDENTITY))))
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(RATINGS.c.id)).mappings().all()
    return tuple(_rating(dict(row)) for row in rows)


def _insert(engine: Engine, rows: list[dict[str, Any]]) -> None:
    if rows:
        with writing(engine) as connection:
            connection.execute(insert(RATINGS), rows)


def _row(rating: Rating, clock: Callable[[], datetime], *, withdrawn: bool) -> dict[str, Any]:
    values = {name: getattr(rating, name) for name in _COLUMNS}
    values["against"] = rating.against or ""  # NULLs are not equal to one another: they would make no group
    values["created_utc"] = _time(rating) if rating.created_utc else clock()
    return {**values, "withdrawn": withdrawn}


def _rating(row: dict[str, Any]) -> Rating:
    values = {name: row[name] for name in _COLUMNS}
    return Rating(**{**values, "against": row["against"] or None, "created_utc": utc_text(row["created_utc"])})


def _time(rating: Rating) -> datetime:
    try:
        value = datetime.fromisoformat(rating.created_utc)
    except ValueError as error:
        raise UsageError(
            f"rating of {rating.sample_id!r} by {rating.rater!r}: created_utc is {rating.created_utc!r}, which is no "
            f"time; write it in ISO 8601, as in 2026-01-31T09:30:00Z"
        ) from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

"""The tables of the registry. A change here needs a migration in `migrations/versions` (a test compares them).

Plain tables, no mapped classes: SQLAlchemy's ORM takes longer to import than a run to be registered.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

from .text import escape, unescape

__all__ = ["METADATA", "PROMOTIONS", "RATINGS", "RESULTS", "RUNS", "RUN_MODELS"]


class AnyText(TypeDecorator[str]):
    """Text with the escapes of `text.py`: databases take neither lone surrogates nor, in PostgreSQL, NUL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else escape(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else unescape(value)


class UtcTime(TypeDecorator[datetime]):
    """A point in time. SQLite keeps no zone, so it is stored as UTC there and comes back as UTC everywhere."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Figure(TypeDecorator[float]):
    """A figure: NaN is stored as NULL, which every database leaves out of its averages, and comes back as NaN."""

    impl = Float(53)
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        return None if value is None or math.isnan(value) else float(value)

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:
        return math.nan if value is None else value


METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables; constraints have names, so that later migrations can speak of them."""


def _column(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], *more: Any, null: bool = False) -> Column[Any]:
    return Column(name, kind, *more, nullable=null)


def _number() -> Column[Any]:
    """The primary key of tables whose rows have no name."""
    return Column("id", Integer, primary_key=True)


RUNS: Final = Table(
    "runs",
    METADATA,
    Column("id", AnyText, primary_key=True),
    _column("suite_name", AnyText),
    _column("name", AnyText),
    _column("created_utc", UtcTime),
    _column("finished_utc", UtcTime, null=True),
    _column("path", AnyText),
    _column("suite_digest", AnyText),
    _column("schema_version", Integer),
    _column("evalharness_version", AnyText),
    _column("complete", Boolean),
    _column("n_samples", Integer),
    _column("verdict", AnyText, null=True),
    _column("parent", AnyText, null=True),
    Index(None, "suite_name", "created_utc"),
    Index(None, "created_utc", "id"),
)
"""One sealed record a row. `path` is relative to the reports folder where the record lies in it."""

RESULTS: Final = Table(
    "results",
    METADATA,
    _number(),
    _column("run_id", AnyText, ForeignKey("runs.id", ondelete="CASCADE")),
    _column("task", AnyText),
    _column("model", AnyText),
    _column("metric", AnyText),
    _column("group_name", AnyText, null=True),
    _column("value", Figure, null=True),
    _column("ci_low", Figure, null=True),
    _column("ci_high", Figure, null=True),
    _column("n", Integer),
    _column("n_failed", Integer),
    Index(None, "run_id", "model"),
)
"""One figure of a run a row."""

RUN_MODELS: Final = Table(
    "run_models",
    METADATA,
    Column("run_id", AnyText, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("model", AnyText, primary_key=True),
    _column("created_utc", UtcTime),
    # In the order of lists, so that the newest runs of a model are found at once, be it in all runs or in three.
    Index(None, "model", "created_utc", "run_id"),
)
"""One model that a run has figures of a row; `created_utc` is that of the run."""

PROMOTIONS: Final = Table(
    "promotions",
    METADATA,
    _number(),
    _column("suite_name", AnyText),
    _column("label", AnyText),
    _column("run_id", AnyText),
    _column("promoted_utc", UtcTime),
    _column("note", AnyText),
    Index(None, "suite_name", "label"),
)
"""A run made the baseline of its suite under a label. Rows are only added: the newest one of a label holds.

`run_id` refers to no row of `runs` by force: the history outlives deleted runs.
"""

RATINGS: Final = Table(
    "ratings",
    METADATA,
    _number(),
    _column("run_id", AnyText),
    _column("task", AnyText),
    _column("model", AnyText),
    _column("sample_id", AnyText),
    _column("repeat", Integer),
    _column("rater", AnyText),
    _column("question", AnyText),
    _column("asked", AnyText),
    _column("against", AnyText),
    _column("value", Float(53), null=True),  # no value is None here, not NaN
    _column("label", AnyText, null=True),
    _column("comment", AnyText),
    _column("withdrawn", Boolean),
    _column("created_utc", UtcTime),
    Index(None, "run_id", "task"),
)
"""What a person said of an output (`ratings.Rating`). Rows are only added: the newest one of an identity holds.

The identity is all up to `against`, which is empty where no other model is compared. `withdrawn` rows take a rating
back. `run_id` refers to no row of `runs` by force: people's work outlives deleted runs, and records of elsewhere.
"""

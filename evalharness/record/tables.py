"""The tables of the registry. A change here needs a migration in `migrations/versions` (a test compares them)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import DateTime, Dialect, Float, ForeignKey, Index, MetaData, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .text import escape, unescape

__all__ = ["HEAD", "Base", "Promotion", "RatingRow", "Result", "Run"]

HEAD: Final = "0002"
"""The newest migration: a database at this revision is opened without importing Alembic (a test compares them)."""


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


class Base(DeclarativeBase):
    """The root of all tables; constraints have names, so that later migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: AnyText, datetime: UtcTime, float: Figure}


class Run(Base):
    """One sealed record. `path` is relative to the reports folder where the record lies in it."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "suite_name", "created_utc"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    suite_name: Mapped[str]
    name: Mapped[str]
    created_utc: Mapped[datetime]
    finished_utc: Mapped[datetime | None]
    path: Mapped[str]
    suite_digest: Mapped[str]
    schema_version: Mapped[int]
    evalharness_version: Mapped[str]
    complete: Mapped[bool]
    n_samples: Mapped[int]
    verdict: Mapped[str | None]
    parent: Mapped[str | None]


class Result(Base):
    """One figure of a run."""

    __tablename__ = "results"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    task: Mapped[str]
    model: Mapped[str]
    metric: Mapped[str]
    group_name: Mapped[str | None]
    value: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    n: Mapped[int]
    n_failed: Mapped[int]


class Promotion(Base):
    """A run made the baseline of its suite under a label. Rows are only added: the newest one of a label holds.

    `run_id` refers to no row of `runs` by force: the history outlives deleted runs.
    """

    __tablename__ = "promotions"
    __table_args__ = (Index(None, "suite_name", "label"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    suite_name: Mapped[str]
    label: Mapped[str]
    run_id: Mapped[str]
    promoted_utc: Mapped[datetime]
    note: Mapped[str]


class RatingRow(Base):
    """What a person said of an output (`ratings.Rating`). Rows are only added: the newest one of an identity holds.

    The identity is all up to `against`, which is empty where no other model is compared. `withdrawn` rows take a rating
    back. `run_id` refers to no row of `runs` by force: people's work outlives deleted runs, and records of elsewhere.
    """

    __tablename__ = "ratings"
    __table_args__ = (Index(None, "run_id", "task"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str]
    task: Mapped[str]
    model: Mapped[str]
    sample_id: Mapped[str]
    repeat: Mapped[int]
    rater: Mapped[str]
    question: Mapped[str]
    asked: Mapped[str]
    against: Mapped[str]
    value: Mapped[float | None] = mapped_column(Float(53))  # no value is None here, not NaN
    label: Mapped[str | None]
    comment: Mapped[str]
    withdrawn: Mapped[bool]
    created_utc: Mapped[datetime]

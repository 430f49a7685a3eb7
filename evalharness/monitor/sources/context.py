"""What the formats are told of a reading: the interval, the source's settings, and how times are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum
from typing import TypeAlias

from evalharness.core.production import ProductionResponse
from evalharness.suite.source_entry import Source

from .times import moment

__all__ = ["Context", "Converted", "Left"]


class Left(Enum):
    """Why a row is left out that is not at fault."""

    OUTSIDE = "outside"
    OTHER = "other"


Converted: TypeAlias = ProductionResponse | Left
"""What a format makes of a row."""


@dataclass(frozen=True, slots=True)
class Context:
    """`start` and `end` are None where everything is taken: the receiver keeps what it is sent."""

    source: Source
    start: datetime | None
    end: datetime | None
    zone: tzinfo | None
    columns: Mapping[str, str]
    """Names of attributes that are kept, and where each is found."""

    def moment(self, value: object, field: str, *, unit: str | None = None) -> datetime:
        """A time of the row, in UTC; `unit` where the format itself says in what times are counted."""
        return moment(value, field, zone=self.zone, unit=unit or self.source.time_unit)

    def within(self, at: datetime) -> bool:
        """Whether the interval, which is half-open, holds the moment."""
        return (self.start is None or at >= self.start) and (self.end is None or at < self.end)

    @property
    def content(self) -> bool:
        """Whether texts are kept: where not, they are not even looked at."""
        return self.source.content

    @staticmethod
    def of(source: Source, start: datetime | None, end: datetime | None) -> Context:
        """The context of one reading of `source`."""
        zone: tzinfo | None = None
        if source.timezone is not None:
            from zoneinfo import ZoneInfo

            zone = ZoneInfo(source.timezone)
        named = source.attributes
        columns = dict(named) if isinstance(named, Mapping) else {name: name for name in named}
        return Context(source, start, end, zone, columns)

"""`read`: the responses of an interval, batch by batch, each once, with an account of what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from evalharness.core.production import ProductionResponse
from evalharness.suite.source_entry import Source

__all__ = ["Counts", "Reading", "read"]


@dataclass
class Counts:
    """What became of the rows that were read; whole only when the last batch has been taken.

    `rows` = `kept` + `outside` (of the interval) + `duplicates` + `quarantined` + `other` (no model's answers: spans
    of tools, for instance). `late` of those that are kept are known to have arrived after the interval was over.
    """

    rows: int = 0
    kept: int = 0
    outside: int = 0
    duplicates: int = 0
    other: int = 0
    late: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)

    @property
    def quarantined(self) -> int:
        """Rows that could not be read as responses."""
        return sum(self.by_rule.values())


class Reading:
    """One pass over a source. `counts`, `digest` and `quarantine` are whole when `batches` has come to its end.

    Args:
        source: what is read.
        start: the interval's first moment.
        end: the first moment after it.
        base: the folder from which relative paths start.
        lateness_s: a response that arrived later than this after `end` counts as late.
    """

    def __init__(
        self, source: Source, start: datetime, end: datetime, *, base: Path, lateness_s: float = 0.0, batch: int = 2048
    ) -> None:
        self.source, self.start, self.end, self.base = source, start, end, base
        self.lateness_s, self.batch = lateness_s, batch
        self.counts = Counts()

    def batches(self) -> Iterator[Sequence[ProductionResponse]]:
        """The responses with start <= event_time < end, in the order in which they are stored; once only."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """A sha256 over what was kept, whatever its order: equal where the same responses were read."""
        raise NotImplementedError


def read(
    source: Source, start: datetime, end: datetime, *, base: Path, lateness_s: float = 0.0, batch: int = 2048
) -> Reading:
    """The responses of [start, end), an interval of event time; nothing is read before the first batch is asked for.

    Raises:
        UsageError: the interval is none, or its times name no zone.
    """
    return Reading(source, start, end, base=base, lateness_s=lateness_s, batch=batch)

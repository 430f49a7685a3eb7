"""`read`: the responses of an interval, batch by batch, each once, with an account of what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from evalharness.core.errors import Place, UsageError
from evalharness.core.production import ProductionResponse
from evalharness.suite.source_entry import Source

from .context import Context, Left
from .digests import ResponseDigest
from .privacy import private
from .quarantine import Quarantine
from .records import as_stored, converter, records
from .redact import Redaction
from .refusal import Refusal
from .seen import Seen

__all__ = ["Counts", "Reading", "read"]


@dataclass
class Counts:
    """What became of the rows that were read; whole only when the last batch has been taken.

    `rows` = `kept` + `outside` (of the interval) + `duplicates` + `quarantined` + `other` (no answers of a model: spans
    of tools, for instance). `late` of those that are kept are known to have arrived after the interval was over.
    `withheld` texts were dropped because a pattern of the user took too long on them.
    """

    rows: int = 0
    kept: int = 0
    outside: int = 0
    duplicates: int = 0
    quarantined: int = 0
    other: int = 0
    late: int = 0
    withheld: int = 0


class Reading:
    """One pass over a source. `counts`, `digest` and `quarantine` are whole when `batches` has come to its end.

    Memory does not grow with the source, but for 16 bytes a name, to tell duplicates. A duplicate has the name of a
    response that was kept: as both have one time, that of one interval is enough to look for them.
    """

    def __init__(
        self, source: Source, start: datetime, end: datetime, *, base: Path, lateness_s: float = 0.0, batch: int = 2048
    ) -> None:
        if start.tzinfo is None or end.tzinfo is None:
            raise UsageError("the interval's times must name their zone; write 2026-11-22T10:00:00Z")
        if not start < end:
            raise UsageError(f"the interval from {start} to {end} is empty; its end must come after its start")
        self.source, self.start, self.end, self.base = source, start, end, base
        self.batch = batch
        self.counts = Counts()
        self._redaction = Redaction(source.redact, timeout_s=source.redact_timeout_s)
        self.quarantine = Quarantine(self._redaction)
        self._late_from = end + timedelta(seconds=lateness_s)
        self._digest = ResponseDigest()
        self._begun = False

    @property
    def digest(self) -> str:
        """A sha256 over what was kept, whatever its order: equal where the same responses were read."""
        return self._digest.value

    def batches(self) -> Iterator[Sequence[ProductionResponse]]:
        """The responses with start <= event_time < end, in the order in which they are stored; once only.

        Raises:
            UsageError: the source is not there.
            RunError: a database cannot be reached, or refuses the query.
        """
        if self._begun:
            raise RuntimeError("a reading is one pass; call read() again")
        self._begun = True
        seen = Seen()
        waiting: list[ProductionResponse] = []
        stored = as_stored(self.source)
        convert = converter(stored)
        context = Context.of(stored, self.start, self.end)
        for place, record in records(self.source, self.start, self.end, base=self.base):
            found = self._one(place, record, convert, context)
            if found is not None:
                waiting.append(found)
                if len(waiting) >= self.batch:
                    if kept := self._kept(waiting, seen):
                        yield kept
                    waiting = []
        if kept := self._kept(waiting, seen):
            yield kept

    def _one(self, place: Place, record: Any, convert: Any, context: Context) -> ProductionResponse | None:
        self.counts.rows += 1
        try:
            if isinstance(record, Refusal):
                raise record
            found = convert(record, context)
        except Refusal as refusal:
            self.counts.quarantined += 1
            self.quarantine.add(place, refusal)
            return None
        if isinstance(found, ProductionResponse):
            return found
        if found is Left.OUTSIDE:
            self.counts.outside += 1
        else:
            self.counts.other += 1
        return None

    def _kept(self, waiting: list[ProductionResponse], seen: Seen) -> list[ProductionResponse]:
        new = seen.add([response.id for response in waiting])
        kept = [
            private(response, content=self.source.content, redaction=self._redaction)
            for response, fresh in zip(waiting, new, strict=True)
            if fresh
        ]
        counts = self.counts
        counts.duplicates += len(waiting) - len(kept)
        counts.kept += len(kept)
        counts.withheld = self._redaction.timeouts
        for response in kept:
            self._digest.add(response)
            counts.late += response.ingest_time is not None and response.ingest_time >= self._late_from
        return kept


def read(
    source: Source, start: datetime, end: datetime, *, base: Path, lateness_s: float = 0.0, batch: int = 2048
) -> Reading:
    """The responses of [start, end), an interval of event time; nothing is read before the first batch is asked for.

    Args:
        source: what is read.
        start: the interval's first moment, with its zone.
        end: the first moment after it.
        base: the folder from which relative paths start.
        lateness_s: a response that arrived later than this after `end` counts as late.
        batch: so many responses come at once.

    Raises:
        UsageError: the interval is empty, or its times name no zone.
    """
    return Reading(source, start, end, base=base, lateness_s=lateness_s, batch=batch)

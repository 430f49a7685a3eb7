"""Labels that arrive later than the responses: joined by the response's id, so that quality can be told.

An interval whose labels are others than when it was read is a revision, as it is with other responses.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from evalharness.core.drifting import DriftFinding
from evalharness.core.errors import DataError, UsageError
from evalharness.core.production import ProductionResponse
from evalharness.core.registry import registry
from evalharness.data.source import format_of
from evalharness.stats.arrays import np
from evalharness.stats.intervals import wilson
from evalharness.stats.quantiles import quantile_interval
from evalharness.suite.label_entry import Labels

from .measurement import FigureRow
from .parts import Found, Responses, Setting
from .schedule import Interval
from .sources.files import find_files
from .sources.refusal import Refusal
from .sources.times import moment

__all__ = ["COLUMN", "FoundLabels", "Known", "LabelPart", "labels_of"]

COLUMN: Final = "label"


class Known(NamedTuple):
    """A label and when it was given, in seconds since 1970; NaN is "not known"."""

    label: str
    time: float


class LabelPart:
    """Gives responses their labels; tells how many have one, and how long they took."""

    def __init__(self, setting: Setting) -> None:
        entry = setting.definition.monitor.labels
        assert entry is not None  # else there is no such part
        definition = setting.definition
        zone = ZoneInfo(definition.monitor.timezone)
        self._found = labels_of(entry, setting.interval, base=definition.base, zone=zone)
        self._n = self._n_labelled = 0
        self._delays: list[float] = []
        self._sum = 0

    @property
    def input_digest(self) -> str:
        """Of the labels that responses of the interval have, whatever their order."""
        return hashlib.sha256(f"labels:{self._n_labelled}:{self._sum:064x}".encode()).hexdigest()

    def add(self, responses: Responses) -> Responses:
        """The responses with their labels; one that stands in the response itself gives way to a later one."""
        given = [self._given(one) for one in responses]
        self._n += len(given)
        self._n_labelled += sum(one.label is not None for one in given)
        return given

    def _given(self, response: ProductionResponse) -> ProductionResponse:
        known = self._found.labels.get(response.id)
        if known is None:
            return response
        data = f"{response.id}\0{known.label}".encode("utf-8", "replace")
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(data).digest())) % 2**256
        if not math.isnan(known.time):
            self._delays.append(known.time - response.event_time.timestamp())
        return replace(response, label=known.label)

    def end(self, findings: Sequence[DriftFinding]) -> Found:
        """The share that is labelled, the delays, and what of the labels could not be used."""
        if not self._n:
            return Found()
        low, high = wilson(self._n_labelled, self._n)
        figures = [FigureRow(COLUMN, "share", self._n_labelled / self._n, self._n, low, high)]
        figures += [
            FigureRow(COLUMN, "conflicts", float(self._found.n_conflicts), self._found.n_rows),
            FigureRow(COLUMN, "unreadable", float(self._found.n_unreadable), self._found.n_rows),
        ]
        if self._delays:
            delays = np.array(self._delays)
            low, high = quantile_interval(delays, 0.5) if len(delays) > 1 else (math.nan, math.nan)
            figures.append(FigureRow(COLUMN, "delay_s.p50", float(np.median(delays)), len(delays), low, high))
        return Found(figures=tuple(figures))


class FoundLabels(NamedTuple):
    """Labels by the id of their response, and what became of the rows that they were read from."""

    labels: Mapping[str, Known]
    n_rows: int
    n_conflicts: int
    n_unreadable: int


def labels_of(entry: Labels, interval: Interval, *, base: Path, zone: tzinfo) -> FoundLabels:
    """All labels of a source, by the id of the response.

    Of several labels for one response the latest counts, by their time where they have one, else by their order; those
    that say something else than the one before are counted as conflicts. Rows without an id, label or readable time are
    left out and counted.

    Raises:
        UsageError: a file is not there, or of no known format.
        RunError: a database cannot be reached, or refuses the query.
    """
    found: dict[str, Known] = {}
    n_rows = n_conflicts = n_unreadable = 0
    for fields in _rows(entry, interval, base):
        n_rows += 1
        one = None if fields is None else _label(entry, fields, zone)
        if one is None:
            n_unreadable += 1
            continue
        name, known = one
        before = found.get(name)
        if before is not None:
            n_conflicts += before.label != known.label
            if before.time > known.time:  # NaN is no later than anything
                continue
        found[name] = known
    return FoundLabels(found, n_rows, n_conflicts, n_unreadable)


def _label(entry: Labels, fields: Mapping[str, Any], zone: tzinfo) -> tuple[str, Known] | None:
    name, label = fields.get(entry.id), fields.get(entry.label)
    if name is None or name == "" or label is None or label == "":
        return None
    time = math.nan
    if entry.time is not None:
        try:
            time = moment(fields.get(entry.time), entry.time, zone=zone).timestamp()
        except Refusal:
            return None
    return str(name), Known(_as_text(label), time)


def _as_text(label: Any) -> str:
    if isinstance(label, bool):
        return str(label).lower()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _rows(entry: Labels, interval: Interval, base: Path) -> Iterator[Mapping[str, Any] | None]:
    """The rows, None for one that cannot be read."""
    if entry.url is not None and entry.query is not None:
        from .sources.sql import sql_records

        for _, item in sql_records(entry.url, entry.query, interval.start, interval.end):
            yield None if isinstance(item, Refusal) else item
        return
    assert entry.path is not None  # the entry has one of the two
    for file in find_files(entry.path, base=base, key="labels"):
        name = format_of(file)
        if name is None:
            raise UsageError(
                f"labels: {file} has an ending of no known format; labels are read from .csv, .tsv, .jsonl, .json and "
                ".parquet, packed by gzip or not"
            )
        try:
            for row in registry("datasets").load(name)(str(file)):
                yield row.fields
        except DataError as error:
            # Readers go on past what does not fit, and say so at the end.
            yield from [None] * len(error.problems)

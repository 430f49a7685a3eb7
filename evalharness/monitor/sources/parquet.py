"""Parquet files, a batch of rows at a time; groups of rows that cannot hold the interval are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalharness.core.errors import Place
from evalharness.data.values import json_value

from .files import Item
from .refusal import Refusal, shown

__all__ = ["arrow_records", "parquet_records"]

_ROWS = 2048


def parquet_records(file: Path, *, time: str, start: datetime, end: datetime) -> Iterator[tuple[Place, Item]]:
    """The rows of a file; the number of a place is the row's, from 1. Times stay datetimes.

    A group of rows is passed over where its statistics say that all times of the column `time`, which names a zone,
    lie outside of [start, end), and that none is missing: missing ones are counted as faults of their rows.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file, pre_buffer=False) as opened:
            first = 1
            for group in range(opened.metadata.num_row_groups):
                rows = opened.metadata.row_group(group)
                if not _outside(opened, rows, time, start, end):
                    batches = opened.iter_batches(batch_size=_ROWS, row_groups=[group])
                    yield from arrow_records(batches, str(file), first)
                first += rows.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield Place(str(file)), Refusal("damaged-file", "parquet", shown(reason), "copy the file again")


def arrow_records(batches: Any, source: str, first: int = 1) -> Iterator[tuple[Place, Item]]:
    """The rows of Arrow batches, numbered from `first`."""
    number = first - 1
    for batch in batches:
        names = batch.schema.names
        columns = [batch.column(i).to_pylist(maps_as_pydicts="lossy") for i in range(len(names))]
        for values in zip(*columns, strict=True):
            number += 1
            place = Place(source, number)
            try:
                yield (
                    place,
                    {
                        name: value if isinstance(value, datetime) and value == value else json_value(value)  # type: ignore[misc]
                        for name, value in zip(names, values, strict=True)
                    },
                )
            except (TypeError, OverflowError, ValueError) as error:
                yield place, Refusal("no-json-form", "row", shown(str(error)), "leave the column out")


def _outside(opened: Any, rows: Any, time: str, start: datetime, end: datetime) -> bool:
    import pyarrow as pa

    schema = opened.schema_arrow
    at = schema.get_field_index(time)
    if at < 0 or not pa.types.is_timestamp(schema.field(at).type) or schema.field(at).type.tz is None:
        return False
    column = next((rows.column(i) for i in range(rows.num_columns) if rows.column(i).path_in_schema == time), None)
    known = None if column is None else column.statistics
    if known is None or not known.has_min_max or not known.has_null_count or known.null_count:
        return False
    least, most = known.min, known.max
    if not isinstance(least, datetime) or not isinstance(most, datetime):
        return False
    least, most = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in (least, most))
    return bool(most < start or least >= end)

"""Apache Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from evalharness.core.errors import DataError, Place, Problem
from evalharness.core.types import Row

from .problems import Problems
from .values import json_value

__all__ = ["arrow_rows", "read_parquet"]

_BATCH = 4096
_NO_GROUPS: dict[str, str] = {}


def read_parquet(path: str) -> Iterator[Row]:
    """Rows of a Parquet file, a batch at a time; where a file has no lines, a place's number is the row's, from 1.

    Types become JSON: dates and times ISO 8601 text, durations seconds, decimals numbers, missing and NaN null.

    Raises:
        DataError: if the file is not Parquet, or at the end with every row that has no JSON form.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        names = [field.name for field in file.schema_arrow]
        _check_names(names, Place(path))
        with file:
            yield from arrow_rows(file.iter_batches(batch_size=_BATCH), path)
    except (pa.ArrowException, OSError) as error:
        raise DataError([Problem(Place(path), "", f"not a Parquet file that can be read: {error}")]) from error


def arrow_rows(batches: Iterable[Any], source: str) -> Iterator[Row]:
    """The rows of Arrow batches or tables; `source` is the file of their places.

    Raises:
        DataError: at the end, with every row that has no JSON form.
    """
    problems = Problems()
    number = 0
    for batch in batches:
        columns = {
            name: batch.column(i).to_pylist(maps_as_pydicts="lossy") for i, name in enumerate(batch.schema.names)
        }
        for values in zip(*columns.values(), strict=True):
            number += 1
            place = Place(source, number)
            try:
                fields = {name: json_value(value) for name, value in zip(columns, values, strict=True)}
            except (TypeError, OverflowError) as error:
                problems.add(place, str(error))
                continue
            yield Row("", fields, place, _NO_GROUPS)
    problems.check()


def _check_names(names: list[str], place: Place) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError([Problem(place, "", f"several columns are named {name!r}") for name in repeated])

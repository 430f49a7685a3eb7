"""Rows that are written in the suite itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evalharness.core.errors import Place
from evalharness.core.types import Json, Row

__all__ = ["read_inline"]


def read_inline(path: str, *, rows: Sequence[Mapping[str, Json]]) -> Iterator[Row]:
    """Rows that stand in the suite under `datasets.NAME.rows`; `path` is that name, their places `NAME.rows[0]` ….

    Raises:
        DataError: never.
    """
    for index, fields in enumerate(rows):
        yield Row("", dict(fields), Place(f"{path}.rows[{index}]"))

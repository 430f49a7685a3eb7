"""Groups and clusters of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalharness.core.canonical import canonical_json
from evalharness.core.registry import suggestion
from evalharness.core.types import Json, Row

from .problems import Problems
from .spec import DatasetSpec

__all__ = ["with_groups"]


def with_groups(rows: Sequence[Row], ids: Sequence[str], spec: DatasetSpec) -> Iterator[Row]:
    """The rows with their ids and the values of their group and cluster columns as text.

    A group that is null becomes "(missing)"; a cluster must not be.

    Raises:
        DataError: at the end, with every row that lacks one of the columns, or has a list or an object there.
    """
    problems = Problems()
    for row, row_id in zip(rows, ids, strict=True):
        groups = {column: _group(row, column, problems) for column in spec.groups} if spec.groups else row.groups
        cluster = _cluster(row, spec.cluster, problems) if spec.cluster is not None else None
        yield Row(row_id, row.fields, row.place, groups, cluster)
    problems.check()


def _group(row: Row, column: str, problems: Problems) -> str:
    if column not in row.fields:
        problems.add(row.place, f"there is no column {column!r}{suggestion(column, row.fields)}", "groups")
        return ""
    value = row.fields[column]
    return "(missing)" if value is None else _plain(value, row, column, problems)


def _cluster(row: Row, column: str, problems: Problems) -> str:
    if column not in row.fields:
        problems.add(row.place, f"there is no column {column!r}{suggestion(column, row.fields)}", "cluster")
        return ""
    value = row.fields[column]
    if value is None or value == "":
        # An empty value would put all such rows into one cluster and make the intervals wrong.
        problems.add(row.place, f"the cluster column {column!r} is empty; every row needs its cluster", "cluster")
        return ""
    return _plain(value, row, column, problems)


def _plain(value: Json, row: Row, column: str, problems: Problems) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return canonical_json(value)
    problems.add(row.place, "must be text, a number or a truth value, found a list or an object", column)
    return ""

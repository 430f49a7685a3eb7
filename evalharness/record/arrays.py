"""Columns of a record as Arrow and NumPy arrays: what compares runs of any size makes no Python object a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core.errors import RecordError
from .arrow import arrow_array, numpy_floats
from .read import batches_of, guarded
from .text import escape, loads, unescape

if TYPE_CHECKING:
    import pyarrow as pa

    from ..core.protocols import Array

__all__ = [
    "SampleTexts",
    "StatsArrays",
    "codes_of",
    "group_mask",
    "read_gold",
    "read_stats_arrays",
    "read_texts",
    "rows_at",
    "texts_at",
]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_ROWS: Final = 65_536
_TEXT_COLUMNS: Final = (
    *("sample_id", "prompt", "is_chat", "references", "choices", "target", "groups"),
    *("status", "text", "answer", "error"),
)


@dataclass(frozen=True, slots=True, eq=False)
class StatsArrays:
    """The statistics of all samples of one figure: `values` is (n, k), the columns have length n.

    Texts stand as they do in the file, escaped: they are compared with one another, not shown. `clusters` is None where
    every sample stands alone.
    """

    sample_ids: pa.ChunkedArray
    digests: pa.ChunkedArray
    clusters: pa.ChunkedArray | None
    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def only(self, mask: Bools) -> StatsArrays:
        """The rows of which (n,) `mask` is true."""
        places = _indices(np.flatnonzero(mask))
        return StatsArrays(
            self.sample_ids.take(places),
            self.digests.take(places),
            None if self.clusters is None else self.clusters.take(places),
            self.values[mask],
        )


@dataclass(frozen=True, slots=True)
class SampleTexts:
    """What a reader wants to see of one sample and its first answer."""

    prompt: str
    references: tuple[str, ...]
    choices: tuple[str, ...]
    target: str | None
    groups: Mapping[str, str]
    status: str
    text: str | None
    answer: str | None
    error: str | None


def read_stats_arrays(path: Path, where: Mapping[str, str], k: int) -> StatsArrays:
    """The statistics of one figure, whose `task`, `model` and `metric` are `where`; (0, k) where nothing was scored."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = ("sample_id", "digest", "cluster")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    blocks: list[Array] = [np.empty((0, k), dtype=np.float64)]
    for batch in batches_of(path, where=where, columns=(*names, "stats"), batch_rows=_ROWS):
        lengths = pc.min_max(pc.list_value_length(batch.column("stats"))).as_py()
        if lengths != {"min": k, "max": k}:
            raise RecordError(f"{path} is damaged: {dict(where)} has rows that are not {k} statistics long")
        blocks.append(numpy_floats(batch.column("stats").flatten()).reshape(batch.num_rows, k))
        for name in names:
            columns[name].append(batch.column(name))
    ids, digests, clusters = (pa.chunked_array(columns[name], type=pa.string()) for name in names)
    alone = clusters.null_count == len(clusters)
    return StatsArrays(ids, digests, None if alone else clusters, np.concatenate(blocks))


def codes_of(*columns: pa.ChunkedArray) -> list[Ints]:
    """Whole numbers for the texts of some columns, equal where the texts are; −1 where there is none."""
    import pyarrow as pa

    encoded = pa.chunked_array([chunk for column in columns for chunk in column.chunks], type=pa.string())
    parts = [_numbers(chunk.indices) for chunk in encoded.dictionary_encode().chunks]
    codes = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
    ends = np.cumsum([len(column) for column in columns])
    return np.split(codes, ends[:-1])


def group_mask(path: Path, where: Mapping[str, str], column: str, value: str, ids: pa.ChunkedArray) -> Bools:
    """(n,) which of the samples `ids` (of the task and model `where`) have `value` in the group `column`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    members: list[Any] = []
    belongs: dict[str, bool] = {}
    for batch in batches_of(path, where=where, columns=("sample_id", "groups"), batch_rows=_ROWS):
        groups = batch.column("groups").dictionary_encode()
        # There are few kinds of groups, and each is decoded once.
        for text in groups.dictionary.to_pylist():
            if text not in belongs:
                belongs[text] = loads(text).get(column) == value
        has = np.array([belongs[text] for text in groups.dictionary.to_pylist()], dtype=bool)
        members.append(batch.column("sample_id").take(_indices(np.flatnonzero(has[_numbers(groups.indices)]))))
    found = pc.is_in(ids, value_set=pa.chunked_array(members, type=pa.string()).combine_chunks())
    return np.concatenate([np.zeros(0, dtype=bool), *(_truths(chunk) for chunk in found.chunks)])


def read_gold(path: Path, where: Mapping[str, str]) -> tuple[pa.ChunkedArray, dict[str, pa.ChunkedArray]]:
    """The ids of the samples of a task and model, and their `target`s and `references`, one row an answer."""
    import pyarrow as pa

    names = ("sample_id", "target", "references")
    parts: dict[str, list[Any]] = {name: [] for name in names}
    for batch in batches_of(path, where=where, columns=names, batch_rows=_ROWS):
        for name in names:
            parts[name].append(batch.column(name))
    kinds = {"sample_id": pa.string(), "target": pa.string(), "references": pa.list_(pa.string())}
    made = {name: pa.chunked_array(parts[name], type=kinds[name]) for name in names}
    return made["sample_id"], {"target": made["target"], "references": made["references"]}


def read_texts(path: Path, where: Mapping[str, str], ids: Sequence[str]) -> dict[str, SampleTexts]:
    """What there is to see of the samples `ids`, by id; of a sample that was asked several times, the first answer.

    Only the row groups that hold one of them are read whole.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = arrow_array([escape(name) for name in dict.fromkeys(ids)], _string())
    found: dict[str, SampleTexts] = {}
    if not len(wanted):
        return found
    with guarded(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            keys = file.read_row_group(group, columns=["sample_id", *where])
            mask = pc.is_in(keys.column("sample_id"), value_set=wanted)
            for name, text in where.items():
                mask = pc.and_(mask, pc.equal(keys.column(name), arrow_array([escape(text)], _string())[0]))
            if not pc.any(mask).as_py():
                continue
            rows = file.read_row_group(group, columns=list(_TEXT_COLUMNS)).filter(mask)
            for cells in zip(*(rows.column(name).to_pylist() for name in _TEXT_COLUMNS), strict=True):
                row = dict(zip(_TEXT_COLUMNS, cells, strict=True))
                found.setdefault(unescape(row["sample_id"]), _texts(row))
    return found


def _texts(row: Mapping[str, Any]) -> SampleTexts:
    return SampleTexts(
        prompt=_prompt(row["prompt"], is_chat=row["is_chat"]),
        references=tuple(map(unescape, row["references"])),
        choices=tuple(map(unescape, row["choices"])),
        target=_optional(row["target"]),
        groups=loads(row["groups"]),
        status=row["status"],
        text=_optional(row["text"]),
        answer=_optional(row["answer"]),
        error=_optional(row["error"]),
    )


def _prompt(cell: str, *, is_chat: bool) -> str:
    if not is_chat:
        return unescape(cell)
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in loads(cell))


def _optional(cell: str | None) -> str | None:
    return None if cell is None else unescape(cell)


def _string() -> Any:
    import pyarrow as pa

    return pa.string()


def _indices(places: Ints) -> Any:
    import pyarrow as pa

    numbers = np.ascontiguousarray(places, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def _numbers(indices: Any) -> Ints:
    """Arrow's 32-bit integers as NumPy's, −1 where there is none; `to_numpy` would look for pandas."""
    import pyarrow.compute as pc

    filled = pc.fill_null(indices, -1) if indices.null_count else indices
    data = np.frombuffer(filled.buffers()[1] or b"", np.int32)[filled.offset : filled.offset + len(filled)]
    return data.astype(np.int64)


def _truths(array: Any) -> Bools:
    """Arrow's bits as NumPy's truth values."""
    bits = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    found: Bools = np.unpackbits(bits, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)
    return found


def rows_at(column: pa.ChunkedArray, places: Ints) -> pa.ChunkedArray:
    """The cells of `column` at `places`."""
    return column.take(_indices(places))


def texts_at(column: pa.ChunkedArray, places: Ints) -> list[str]:
    """The texts of `column` at `places`, unescaped."""
    return [unescape(cell) for cell in rows_at(column, places).to_pylist()]

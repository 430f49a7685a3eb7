"""Parquet back to rows, a row group at a time, skipping the groups that hold nothing of what is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import RecordError
from ..core.types import LogLikelihood, Prompt, Request, Response, Sample, Sampling
from .arrow import arrow_scalar, numpy_floats
from .codec import prompt_from_json, turns
from .rows import SampleRow, StatsTable
from .text import escape, loads, unescape

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["batches_of", "guarded", "iter_columns", "iter_samples", "read_frame", "read_stats"]

# A row is some thirty Python objects on its way.
_BATCH_ROWS: Final = 1_024
# How a column of a data frame is made; all others are text.
_JSON: Final = frozenset({"groups", "fields", "sampling", "label_probabilities", "meta", "request_prompt"})
_AS_THEY_ARE: Final = {
    "repeat": "int64",
    "is_chat": "bool",
    "from_store": "bool",
    "n_retries": "int64",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "latency_s": "float64",
    "value": "float64",
    "loglikelihoods": "object",
    "prompt": "object",  # text or turns: decoded once `is_chat` is known
}


def iter_samples(path: Path, where: Mapping[str, str]) -> Iterator[SampleRow]:
    """The rows of `samples.parquet` whose columns have the values of `where`, in order, as they were handed over."""
    for batch in batches_of(path, where=where):
        names = batch.schema.names
        for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield _sample_row(dict(zip(names, cells, strict=True)))


def iter_columns(path: Path, where: Mapping[str, str], columns: Sequence[str]) -> Iterator[tuple[list[Any], ...]]:
    """Some columns of the rows that have the values of `where`, in order, a batch of rows at a time."""
    for batch in batches_of(path, where=where, columns=columns):
        yield tuple(_decoded(name, batch.column(name).to_pylist()) for name in columns)


def read_frame(path: Path, where: Mapping[str, str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of a file as a data frame: text decoded, JSON columns as lists and mappings, missing text as None."""
    import pandas as pd
    import pyarrow.parquet as pq

    names = list(columns) if columns is not None else _guarded_schema(path, pq).names
    # Whether a prompt is text or turns stands in another column.
    read = [*names, "is_chat"] if "prompt" in names and "is_chat" not in names else names
    parts: dict[str, list[Any]] = {name: [] for name in read}
    for batch in batches_of(path, where=where, columns=read):
        for name in read:
            parts[name].extend(_decoded(name, batch.column(name).to_pylist()))
    if "prompt" in names:
        parts["prompt"] = [
            loads(prompt) if is_chat else unescape(prompt)
            for prompt, is_chat in zip(parts["prompt"], parts["is_chat"], strict=True)
        ]
    return pd.DataFrame({name: pd.Series(parts[name], dtype=_AS_THEY_ARE.get(name, "object")) for name in names})


def read_stats(path: Path, where: Mapping[str, str], k: int) -> StatsTable:
    """The statistics of one figure, whose `task`, `model` and `metric` are `where`; (0, k) where nothing was scored."""
    import numpy as np
    import pyarrow.compute as pc

    columns = ("sample_id", "digest", "cluster", "stats")
    ids: list[str] = []
    digests: list[str] = []
    clusters: list[str | None] = []
    blocks = [np.empty((0, k), dtype=np.float64)]
    for batch in batches_of(path, where=where, columns=columns):
        lengths = pc.min_max(pc.list_value_length(batch.column("stats"))).as_py()
        if lengths != {"min": k, "max": k}:
            raise RecordError(f"{path} is damaged: {dict(where)} has rows that are not {k} statistics long")
        blocks.append(numpy_floats(batch.column("stats").flatten()).reshape(batch.num_rows, k))
        ids.extend(map(unescape, batch.column("sample_id").to_pylist()))
        digests.extend(map(unescape, batch.column("digest").to_pylist()))
        clusters.extend(_optional(cluster) for cluster in batch.column("cluster").to_pylist())
    return StatsTable(**where, sample_ids=ids, digests=digests, clusters=clusters, values=np.concatenate(blocks))


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn what Arrow and the disk say of a file into an error that names it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing: the record is incomplete; restore it from a copy") from error
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"{path} cannot be read: {error}; restore the record from a copy") from error


def _guarded_schema(path: Path, pq: Any) -> pa.Schema:
    with guarded(path):
        return pq.read_schema(path)


def batches_of(
    path: Path,
    *,
    where: Mapping[str, str],
    columns: Sequence[str] | None = None,
    batch_rows: int = _BATCH_ROWS,
) -> Iterator[pa.RecordBatch]:
    """The rows whose columns have the values of `where`, at most `batch_rows` at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = {name: escape(value) for name, value in where.items()}
    with guarded(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            undecided = _undecided(file.metadata.row_group(group), wanted)
            if undecided is None:
                continue
            read = None if columns is None else [*dict.fromkeys([*columns, *undecided])]
            # Each thread has a heap of its own: for few rows they cost 20 MB and win nothing.
            threads = batch_rows > _BATCH_ROWS
            for batch in file.iter_batches(
                batch_size=batch_rows, row_groups=[group], columns=read, use_threads=threads
            ):
                kept = _matching(batch, undecided)
                if kept.num_rows:
                    yield kept
    # What decoding took; the pool would keep it for the next file.
    pa.default_memory_pool().release_unused()


def _undecided(group: Any, wanted: Mapping[str, str]) -> dict[str, str] | None:
    """Those of the `wanted` values that some rows of a row group may have and others not; None if no row has them all.

    By the least and greatest value of each column: the rows of one figure stand together, so mostly nothing is open.
    """
    undecided = dict(wanted)
    for index in range(group.num_columns):
        column = group.column(index)
        value = wanted.get(column.path_in_schema)
        statistics = column.statistics if value is not None else None
        if statistics is None or not statistics.has_min_max:
            continue
        # Compared as UTF-8 bytes, as the writer did; code points and bytes sort alike.
        if not statistics.min <= value <= statistics.max:
            return None
        if statistics.min == statistics.max and not statistics.null_count:
            del undecided[column.path_in_schema]
    return undecided


def _matching(batch: pa.RecordBatch, wanted: Mapping[str, str]) -> pa.RecordBatch:
    if not wanted:
        return batch
    import pyarrow.compute as pc

    for name, value in wanted.items():
        batch = batch.filter(pc.equal(batch.column(name), arrow_scalar(value)))
    return batch


def _decoded(name: str, cells: list[Any]) -> list[Any]:
    if name in _AS_THEY_ARE:
        return cells
    if name in _JSON:
        return [None if cell is None else loads(cell) for cell in cells]
    return [[unescape(item) for item in cell] if isinstance(cell, list) else _optional(cell) for cell in cells]


def _optional(cell: str | None) -> str | None:
    return None if cell is None else unescape(cell)


@lru_cache(maxsize=64)
def _sampling(text: str) -> Sampling:
    values = loads(text)
    return Sampling(**{**values, "stop": tuple(values["stop"])})


def _sample_row(cell: dict[str, Any]) -> SampleRow:
    prompt: Prompt = turns(loads(cell["prompt"])) if cell["is_chat"] else unescape(cell["prompt"])
    sample_id = unescape(cell["sample_id"])
    key = unescape(cell["request_key"])
    model = unescape(cell["model"])
    return SampleRow(
        task=unescape(cell["task"]),
        model=model,
        sample=Sample(
            id=sample_id,
            digest=unescape(cell["digest"]),
            prompt=prompt,
            references=tuple(map(unescape, cell["references"])),
            choices=tuple(map(unescape, cell["choices"])),
            target=_optional(cell["target"]),
            groups=loads(cell["groups"]),
            cluster=_optional(cell["cluster"]),
            fields=loads(cell["fields"]),
        ),
        request=Request(
            key=key,
            model=model,
            kind=cell["kind"],
            sample_id=sample_id,
            prompt=prompt if cell["request_prompt"] is None else prompt_from_json(cell["request_prompt"]),
            continuations=tuple(map(unescape, cell["continuations"])),
            sampling=_sampling(cell["sampling"]),
            repeat=cell["repeat"],
        ),
        response=Response(
            key=key,
            status=cell["status"],
            text=_optional(cell["text"]),
            answer=_optional(cell["answer"]),
            loglikelihoods=tuple(LogLikelihood(**item) for item in cell["loglikelihoods"]),
            label_probabilities=loads(cell["label_probabilities"]),
            error=_optional(cell["error"]),
            finish_reason=_optional(cell["finish_reason"]),
            input_tokens=cell["input_tokens"],
            output_tokens=cell["output_tokens"],
            latency_s=cell["latency_s"],
            n_retries=cell["n_retries"],
            created_utc=unescape(cell["created_utc"]),
            meta=loads(cell["meta"]),
        ),
        from_store=cell["from_store"],
    )

"""Rows to Parquet, a row group at a time: memory does not grow with the record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..core.memory import trim_memory
from ..core.types import Prompt, Request, Sample, Sampling
from .arrow import arrow_array, arrow_floats, arrow_scalar
from .codec import prompt_to_json
from .rows import RowInput, SampleRow, ScoreRow, ScoreTable, StatsRow, StatsTable
from .schema import samples_schema, scores_schema, stats_schema
from .text import dumps, escape

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write_samples", "write_scores", "write_stats"]

_GROUP_ROWS: Final = 16_384
_GROUP_CHARS: Final = 4 * 2**20
# A row of samples is some thirty Python objects before it is a row of a column.
_SAMPLE_GROUP_ROWS: Final = 1_024

Cells = tuple[Any, ...]
RowT = TypeVar("RowT")


def write_samples(path: Path, rows: Iterable[SampleRow | RowInput]) -> int:
    """Write `samples.parquet` and return the number of rows."""
    cells = (_sample_cells(row) for row in _typed(rows, SampleRow))
    return _write(path, samples_schema(), _batches(cells, samples_schema(), _SAMPLE_GROUP_ROWS))


def write_scores(path: Path, rows: Iterable[ScoreRow | ScoreTable | RowInput]) -> int:
    """Write `scores.parquet` and return the number of rows. Whole tables and single rows may be mixed."""
    return _write(path, scores_schema(), _mixed_batches(rows, scores_schema(), _score_cells))


def write_stats(path: Path, rows: Iterable[StatsRow | StatsTable | RowInput]) -> int:
    """Write `stats.parquet` and return the number of rows. Whole tables and single rows may be mixed."""
    return _write(path, stats_schema(), _mixed_batches(rows, stats_schema(), _stats_cells))


def _typed(rows: Iterable[RowT | RowInput], kind: type[RowT]) -> Iterator[RowT]:
    return (row if isinstance(row, kind) else kind(**row) for row in rows)  # type: ignore[arg-type]


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            n += batch.num_rows
    # Arrow and the C library would keep what encoding took; the process may have better use for it.
    pa.default_memory_pool().release_unused()
    trim_memory()
    return n


def _batches(rows: Iterable[Cells], schema: pa.Schema, n_rows: int = _GROUP_ROWS) -> Iterator[pa.RecordBatch]:
    """Record batches that end at `n_rows` rows or `_GROUP_CHARS` characters, whichever comes first."""
    buffer: list[Cells] = []
    size = 0
    for cells in rows:
        buffer.append(cells)
        size += _size(cells)
        if len(buffer) >= n_rows or size >= _GROUP_CHARS:
            yield _batch(buffer, schema)
            buffer, size = [], 0
    if buffer:
        yield _batch(buffer, schema)


def _size(cells: Cells) -> int:
    """The characters of a row, eight for each value that is no text."""
    size = 8 * len(cells)
    for cell in cells:
        if isinstance(cell, str):
            size += len(cell)
        elif cell and isinstance(cell, list):
            size += sum(len(item) if isinstance(item, str) else 8 for item in cell)
    return size


def _batch(rows: Sequence[Cells], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = [arrow_array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _sample_cells(row: SampleRow) -> Cells:
    """One row in the order of `samples_schema`."""
    sample, request, response = row.sample, row.request, row.response
    _check(row)
    is_chat = not isinstance(sample.prompt, str)
    return (
        escape(row.task),
        escape(row.model),
        escape(sample.id),
        request.repeat,
        escape(sample.digest),
        escape(request.key),
        request.kind,
        escape(sample.prompt) if isinstance(sample.prompt, str) else prompt_to_json(sample.prompt),
        is_chat,
        _texts(sample.references),
        _texts(sample.choices),
        _optional(sample.target),
        dumps(sample.groups),
        _optional(sample.cluster),
        dumps(sample.fields),
        _asked(sample, request),
        _texts(request.continuations),
        _sampling(request.sampling),
        response.status,
        _optional(response.text),
        _optional(response.answer),
        [
            {"total": float(x.total), "n_tokens": int(x.n_tokens), "is_greedy": bool(x.is_greedy)}
            for x in response.loglikelihoods
        ],
        dumps({label: float(p) for label, p in response.label_probabilities.items()}),
        _optional(response.error),
        _optional(response.finish_reason),
        response.input_tokens,
        response.output_tokens,
        None if response.latency_s is None else float(response.latency_s),
        response.n_retries,
        escape(response.created_utc),
        dumps(response.meta),
        row.from_store,
    )


def _check(row: SampleRow) -> None:
    """Sample, request and response of a row must belong together: else the record would lie."""
    sample, request, response = row.sample, row.request, row.response
    if (sample.id, request.key, row.model) != (request.sample_id, response.key, request.model):
        raise ValueError(
            f"a row of task {row.task!r} mixes sample {sample.id!r} with a request for {request.sample_id!r}, "
            f"model {row.model!r} with a request to {request.model!r}, "
            f"or request {request.key!r} with a response to {response.key!r}"
        )


def _asked(sample: Sample, request: Request) -> str | None:
    asked: Prompt = request.prompt
    return None if asked == sample.prompt else prompt_to_json(asked)


@lru_cache(maxsize=64)
def _sampling(s: Sampling) -> str:
    later = {"json_schema": s.json_schema, "top_logprobs": s.top_logprobs}
    later |= {"shared_tokens": s.shared_tokens, "study": s.study, "unconditional": s.unconditional}
    return dumps(
        {
            **{name: value for name, value in later.items() if value is not None},
            "max_tokens": s.max_tokens,
            "temperature": s.temperature,
            "top_p": s.top_p,
            "top_k": s.top_k,
            "stop": s.stop,
            "seed": s.seed,
        }
    )


def _texts(values: Iterable[str]) -> list[str]:
    return [escape(value) for value in values]


def _optional(value: str | None) -> str | None:
    return None if value is None else escape(value)


def _score_cells(row: Any) -> Cells:
    one = row if isinstance(row, ScoreRow) else ScoreRow(**row)
    return (*map(escape, (one.task, one.model, one.metric, one.sample_id, one.digest)), float(one.value))


def _stats_cells(row: Any) -> Cells:
    one = row if isinstance(row, StatsRow) else StatsRow(**row)
    return (
        *map(escape, (one.task, one.model, one.metric, one.sample_id, one.digest)),
        _optional(one.cluster),
        [float(x) for x in one.stats],
    )


def _mixed_batches(rows: Iterable[Any], schema: pa.Schema, cells: Callable[[Any], Cells]) -> Iterator[pa.RecordBatch]:
    """Row groups of single rows; a table becomes row groups of its own, so that reading one figure reads few."""
    texts = _Texts()
    for are_tables, some in groupby(rows, lambda row: isinstance(row, ScoreTable | StatsTable)):
        if are_tables:
            for table in some:
                yield from _table_batches(table, schema, texts)
        else:
            yield from _batches(map(cells, some), schema)


class _Texts:
    """Columns of text as arrays; one that several tables share, as the figures of a task do, is made into one once."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Sequence[str | None], pa.Array]] = {}

    def array(self, name: str, column: Sequence[str | None]) -> pa.Array:
        """`column`, which bears that name in its table."""
        import pyarrow as pa

        known = self._last.get(name)
        if known is None or known[0] is not column:
            known = self._last[name] = column, arrow_array([_optional(cell) for cell in column], pa.string())
        return known[1]


def _table_batches(table: ScoreTable | StatsTable, schema: pa.Schema, known: _Texts) -> Iterator[pa.RecordBatch]:
    import numpy as np
    import pyarrow as pa

    values = np.asarray(table.values, dtype=np.float64)
    n, k = len(values), math.prod(values.shape[1:])
    texts: dict[str, Sequence[str | None]] = {"sample_id": table.sample_ids, "digest": table.digests}
    if isinstance(table, StatsTable):
        texts["cluster"] = table.clusters
    if any(len(column) != n for column in texts.values()):
        raise ValueError(f"the values of {table.task}.{table.metric} differ in number from their samples")
    names = [arrow_scalar(escape(name)) for name in (table.task, table.model, table.metric)]
    columns = [known.array(name, column) for name, column in texts.items()]
    step = max(1, min(_GROUP_ROWS, _GROUP_CHARS // (8 * max(k, 1))))
    for start in range(0, n, step):
        n_rows = min(step, n - start)
        arrays = [
            *(pa.repeat(name, n_rows) for name in names),
            *(column.slice(start, n_rows) for column in columns),
            arrow_floats(values[start : start + n_rows]),
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)

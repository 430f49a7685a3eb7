"""Files of rows as tables, whole or in chunks of bounded memory: CSV, TSV, JSON and Parquet, folders and patterns."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.drifting import ColumnKind
from ..core.errors import DataError, Place, Problem, UsageError
from ..core.unpacked import open_bytes
from ..data.json_array import read_json
from .delimited import csv_batches, dialect_of
from .mixed_lines import mixed_table
from .table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["find_files", "read_table", "stream_tables"]

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
# Kinds of columns are read off so many rows when a file is streamed.
_FIRST = 65_536
_BLOCK = 1 << 20


def find_files(path: str | Path) -> tuple[Path, ...]:
    """The data files that `path` names: one file, those of a folder, or those of a pattern such as logs/*.jsonl.

    Raises:
        UsageError: where there is none, or one of another format.
    """
    place = Path(path)
    endings = ", ".join(_FORMATS) + " (or, but Parquet, .gz after it)"
    if place.is_dir():
        found = sorted(file for file in place.iterdir() if file.is_file() and _format(file))
        if not found:
            raise UsageError(f"the folder {place} holds no file that ends in {endings}")
        # Beside tables JSON tells of them; by itself it is one.
        return tuple([file for file in found if _format(file) != "json"] or found)
    if place.exists():
        found = [place]
    elif any(mark in str(path) for mark in "*?["):
        found = sorted(file for file in Path(place.anchor or ".").glob(str(place.relative_to(place.anchor))))
        found = [file for file in found if file.is_file()]
        if not found:
            raise UsageError(f"no file fits the pattern {path}")
    else:
        raise UsageError(f"there is no file {place}; give a file, a folder or a pattern such as 'logs/*.jsonl'")
    for file in found:
        if not _format(file):
            raise UsageError(f"{file} ends in {file.suffix or 'nothing'}, and not in {endings}; rename or convert it")
    return tuple(found)


def _format(file: Path) -> str:
    """What the ending of `file` stands for, that of a packed one aside; nothing where it is not known."""
    packed = file.suffix.lower() == ".gz"
    found = _FORMATS.get(Path(file.stem).suffix.lower() if packed else file.suffix.lower(), "")
    return "" if packed and found == "parquet" else found


def read_table(
    path: str | Path,
    *,
    kinds: Mapping[str, ColumnKind] | None = None,
    cluster: str | None = None,
    segments: Sequence[str] = (),
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    like: Table | None = None,
) -> Table:
    """All rows of the files that `path` names, as one table; see `Table.of` for the options.

    Raises:
        UsageError: for files that are not there and columns that do not fit.
        DataError: for a file that cannot be read; it names the place.
    """
    import pyarrow as pa

    batches = [pa.Table.from_batches([batch]) for file in find_files(path) for batch in _batches(file, _FIRST)]
    if not batches:
        raise UsageError(f"{path} holds no rows")
    try:
        several = len(batches) > 1
        whole = pa.concat_tables(_of_one_type(batches), promote_options="permissive") if several else batches[0]
    except pa.ArrowException as error:
        raise UsageError(f"the rows of {path} do not have one type a column: {error}") from error
    table = Table.of(
        whole,
        kinds=kinds,
        cluster=cluster,
        segments=segments,
        columns=columns,
        ignore=ignore,
        like=like,
        what=str(path),
    )
    told = [dialect_of(file).note(file) for file in find_files(path) if _format(file) in ("csv", "tsv")]
    return replace(table, notes=(*filter(None, told), *table.notes))


def _of_one_type(tables: Sequence[pa.Table]) -> Sequence[pa.Table]:
    """Tables whose columns are texts in all where they are texts in one: a number may come as text further down."""
    import pyarrow as pa

    types: dict[str, set[Any]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    texts = {name for name, found in types.items() if len(found) > 1 and pa.string() in found}
    return [_as_text(table, texts) for table in tables] if texts else tables


def _as_text(table: pa.Table, names: Collection[str]) -> pa.Table:
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        nested = pa.types.is_nested(field.type) or field.type == pa.string()
        if field.name in names and not nested:
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    return table


def stream_tables(
    path: str | Path,
    *,
    kinds: Mapping[str, ColumnKind] | None = None,
    cluster: str | None = None,
    segments: Sequence[str] = (),
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    like: Table | None = None,
    rows: int = _FIRST,
) -> Iterator[Table]:
    """The same rows in chunks of at most `rows`; kinds of columns are read off the first chunk, or those of `like`.

    Raises:
        UsageError: for files that are not there and columns that do not fit.
        DataError: for a file that cannot be read; it names the place.
    """
    if rows < 1:
        raise UsageError(f"a chunk needs 1 row or more; got rows={rows!r}")
    for file in find_files(path):
        for batch in _batches(file, rows):
            table = Table.of(
                batch,
                kinds=kinds,
                cluster=cluster,
                segments=segments,
                columns=columns,
                ignore=ignore,
                like=like,
                what=str(file),
            )
            like = table if like is None else like
            yield table


def _batches(file: Path, rows: int) -> Iterator[pa.RecordBatch]:
    """Record batches of at most `rows` rows, none of them empty."""
    import pyarrow as pa

    kind = _format(file)
    reader = {"parquet": _parquet, "jsonl": _jsonl, "json": _json}.get(kind, _csv)
    try:
        for batch in reader(file, rows):
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)
    except (pa.ArrowException, UnicodeError) as error:
        message = f"cannot be read as {kind}: {str(error)[:300]}"
        raise DataError([Problem(Place(str(file)), "", message)]) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError([Problem(Place(str(file)), "", f"the packed file is damaged: {error}")]) from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error


def _parquet(file: Path, rows: int) -> Iterator[Any]:
    from pyarrow import parquet

    with parquet.ParquetFile(file) as opened:
        yield from opened.iter_batches(batch_size=rows)


def _csv(file: Path, rows: int) -> Iterator[Any]:
    yield from csv_batches(file, dialect_of(file))


def _json(file: Path, rows: int) -> Iterator[Any]:
    """A list of objects; or, as many write them into such files, an object a line."""
    with open_bytes(file) as opened:
        listed = opened.read(_BLOCK).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    if not listed:
        yield from _jsonl(file, rows)
        return
    found = read_json(str(file))
    while some := [
        json.dumps(row.fields, ensure_ascii=False).encode("utf-8", "replace") for row in islice(found, rows)
    ]:
        yield from mixed_table(some, file, 1).combine_chunks().to_batches()


def _jsonl(file: Path, rows: int) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import json as arrow

    number = 1
    options = arrow.ParseOptions(newlines_in_values=False)
    with open_bytes(file) as opened:
        while lines := list(islice(opened, rows)):
            text = b"".join(lines)
            if text.strip():
                read = arrow.ReadOptions(use_threads=False, block_size=max(_BLOCK, len(text) + 1))
                try:
                    table = arrow.read_json(io.BytesIO(text), parse_options=options, read_options=read)
                except pa.ArrowException:
                    table = mixed_table(lines, file, number)
                yield from table.combine_chunks().to_batches()
            number += len(lines)

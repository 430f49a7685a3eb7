"""Windows of data as columns of a known kind, from pandas frames, Arrow tables or plain arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.drifting import ColumnKind
from ..core.errors import UsageError
from ..core.registry import suggestion
from ..stats.arrays import Bools, Floats, Ints
from .groups import name_codes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KINDS", "Column", "Table", "arrow_of", "kind_of"]

KINDS: tuple[ColumnKind, ...] = ("numeric", "category", "text", "embedding")
YES_OR_NO = ("false", "true")

_SAMPLE = 20_000
_FEW = 30
_LEVELS = 0.5
_WORDS = 3.0


@dataclass(frozen=True, eq=False)
class Column:
    """One column of n rows.

    `values` are numbers (n,) with NaN where missing, embeddings (n, d), or codes (n,) of `levels`, -1 where missing;
    `texts` are the texts of a text column, None where missing, or those that an embedding was made of, where they are
    kept; `encoder` is the identity of what made it.
    """

    kind: ColumnKind
    values: Floats | Ints
    levels: tuple[str, ...] = ()
    texts: tuple[str | None, ...] = ()
    encoder: str = ""

    @property
    def is_yes_or_no(self) -> bool:
        """Whether its levels are truth values."""
        return self.kind == "category" and bool(self.levels) and set(self.levels) <= set(YES_OR_NO)

    @property
    def present(self) -> Bools:
        """(n,) which rows have a value."""
        if self.kind == "text":
            return np.fromiter((text is not None for text in self.texts), dtype=bool, count=len(self.texts))
        if self.kind == "category":
            found: Bools = self.values >= 0
            return found
        finite: Bools = np.isfinite(np.asarray(self.values, dtype=np.float64))
        if finite.ndim == 1:
            return finite
        # Vectors of no numbers: a chunk in which all are missing.
        whole = np.logical_and.reduce(finite, axis=1)
        return whole if finite.shape[1] else np.zeros(len(finite), dtype=bool)

    def take(self, rows: Ints) -> Column:
        """The column of these rows only."""
        if self.kind == "text":
            return Column(self.kind, self.values, texts=tuple(self.texts[i] for i in rows.tolist()))
        return Column(self.kind, self.values[rows], self.levels, encoder=self.encoder)


@dataclass(frozen=True, eq=False)
class Table:
    """A window: its columns, of n rows each, and codes (n,) of the clusters that rows belong to.

    Codes of clusters are hashes of their names: they mean the same in every chunk. `segments` are category columns
    whose levels divide the window. `reasons` say why columns are of their kinds, `notes` what was left out, and why.
    """

    columns: Mapping[str, Column]
    n: int
    clusters: Ints | None = None
    segments: Mapping[str, Column] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        data: Any,
        *,
        kinds: Mapping[str, ColumnKind] | None = None,
        columns: Sequence[str] = (),
        ignore: Sequence[str] = (),
        segments: Sequence[str] = (),
        cluster: str | None = None,
        like: Table | None = None,
        what: str = "the data",
    ) -> Table:
        """A window from a pandas frame, an Arrow table, a list of mappings or a mapping of columns.

        Columns have the kinds that `kinds` says, else those of the window `like`, else what is read off their values;
        those that cannot be compared (times, names of single rows, nothing but missing) are left out with a note.

        Raises:
            UsageError: for columns that are asked for and not there, or that are not of the kind that is asked for.
        """
        table = arrow_of(data, what)
        kinds = dict(kinds or {})
        names = list(table.column_names)
        for name in (*kinds, *columns, *ignore, *segments, *([cluster] if cluster else [])):
            if name not in names:
                raise UsageError(f"{what} has no column {name!r}{suggestion(name, names) or _known(names)}")
        apart = {cluster, *ignore}
        wanted = list(columns) or [name for name in names if name not in apart]
        made: dict[str, Column] = {}
        notes = []
        reasons: dict[str, str] = {}
        for name in wanted:
            if like is not None and name not in kinds and name not in like.columns:
                continue
            kind = kinds.get(name)
            reasons[name] = "asked for"
            if kind is None and like is not None:
                kind, reasons[name] = like.columns[name].kind, "as in the reference"
            if kind is None:
                kind, reason = kind_of(table.column(name))
                reasons[name] = reason
                if kind is None:
                    notes.append(f"column {name!r} is left out: {reason}")
                    continue
            made[name] = _column(table.column(name), kind, f"column {name!r} of {what}")
        told = {name: _column(table.column(name), "category", f"column {name!r} of {what}") for name in segments}
        codes = None if cluster is None else _codes(table.column(cluster))
        return cls(made, table.num_rows, codes, told, tuple(notes), reasons)


def _known(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return f"; its columns: {shown}{' …' if len(names) > 20 else ''}" if names else "; it has no columns"


def arrow_of(data: Any, what: str = "the data") -> pa.Table:
    """`data` as an Arrow table; columns of records become columns named record.field.

    Raises:
        UsageError: for data of another shape.
    """
    import pyarrow as pa

    try:
        if isinstance(data, pa.Table):
            table = data
        elif isinstance(data, pa.RecordBatch):
            table = pa.Table.from_batches([data])
        elif isinstance(data, Mapping):
            table = pa.table({str(name): _array(values) for name, values in data.items()})
        elif isinstance(data, list | tuple):
            table = pa.Table.from_pylist([dict(row) for row in data])
        elif hasattr(data, "to_dict") and hasattr(data, "columns"):
            table = pa.table({str(name): _array(data[name]) for name in data.columns})
        else:
            found = type(data).__name__
            raise UsageError(f"{what} must be a file, a pandas frame, an Arrow table or columns, not {found}")
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UsageError(f"{what} cannot be read as columns of equal length and one type each: {error}") from error
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    twice = [name for name in dict.fromkeys(table.column_names) if table.column_names.count(name) > 1]
    if twice:
        raise UsageError(f"{what} has more than one column {twice[0]!r}; rename one of them")
    return table


def _array(values: Any) -> Any:
    """An Arrow array; of values of several types, their text."""
    import pyarrow as pa

    if hasattr(getattr(values, "array", None), "__arrow_array__"):
        made = pa.array(values.array, from_pandas=True)  # pandas' own strings are Arrow's already
        return made
    given = np.asarray(values) if not isinstance(values, list | tuple | pa.Array | pa.ChunkedArray) else values
    if isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype.kind == "f":
        return pa.array(given)  # NaN stays NaN: nothing is copied
    if isinstance(given, np.ndarray) and given.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(given.reshape(-1)), given.shape[1])
    try:
        return pa.array(given, from_pandas=True) if not isinstance(given, pa.Array | pa.ChunkedArray) else given
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None or v != v else str(v) for v in given])


def kind_of(column: pa.ChunkedArray) -> tuple[ColumnKind | None, str]:
    """The kind that a column's values have, and why; None where it cannot be compared.

    Numbers are numeric and truth values categories; text is a category where values come again (fewer than half of the
    rows hold a new one), else a text where values have three words or more on average, else the name of a single row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(kind) or column.null_count == len(column):
        return None, "it has no values"
    if pa.types.is_floating(kind) and not (_any_finite(column[:1_000]) or _any_finite(column)):
        return None, "it has no finite values"
    if pa.types.is_integer(kind) and _running(column):
        return None, "each number is larger than the one before, as numbers of rows and of records are"
    if pa.types.is_boolean(kind):
        return "category", "yes and no"
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_duration(kind)
    ):
        return "numeric", "numbers"
    if pa.types.is_temporal(kind):
        return None, "times are not compared"
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_type
        if pa.types.is_floating(inner) or pa.types.is_integer(inner):
            return "embedding", "lists of numbers"
        return None, f"lists of {inner} are not compared"
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return None, f"values of the type {kind} are not compared"
    sample = [v for v in _sampled(column) if v is not None]
    if not sample:
        return None, "nearly all of its values are missing"
    distinct = pc.count_distinct(pa.array(sample)).as_py()
    if distinct <= max(_FEW, _LEVELS * len(sample)) and sum(map(len, sample)) < 200 * len(sample):
        return "category", f"{distinct:,} values that come again"
    words = sum(len(text.split()) for text in sample) / len(sample)
    unspaced = sum(len(text) for text in sample if not text.isascii() and " " not in text) / len(sample)
    if words >= _WORDS or unspaced >= 6:
        return "text", f"{words:.3g} words on average"
    return None, f"{distinct:,} of {len(sample):,} values are different ones, as names of single rows are"


def _sampled(column: pa.ChunkedArray) -> Iterator[str | None]:
    """Texts at equal distances, chunk by chunk: taken of the whole, all chunks would be copied together first."""
    import pyarrow as pa

    places = np.arange(0, len(column), max(1, len(column) // _SAMPLE))
    start = 0
    for chunk in column.chunks:
        held = places[(places >= start) & (places < start + len(chunk))] - start
        yield from chunk.take(pa.array(held)).cast(pa.string()).to_pylist()
        start += len(chunk)


def _any_finite(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.is_finite(column)).as_py())


def _running(column: pa.ChunkedArray) -> bool:
    """Whether whole numbers only ever grow, over enough rows that this is no chance."""
    import pyarrow as pa

    if len(column) < _FEW or column.null_count or pa.types.is_dictionary(column.type):
        return False
    return bool((np.diff(column.to_numpy().astype(np.float64)) > 0).all())


def _column(column: pa.ChunkedArray, kind: ColumnKind, place: str) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    type_of = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    try:
        if kind == "numeric":
            if pa.types.is_duration(type_of) or pa.types.is_boolean(type_of):
                column = column.cast(pa.int64())
            # Whole numbers beyond 2^53, as ids have, lose their last digits: a drift of these is none.
            numbers = column.cast(pa.float64(), safe=not pa.types.is_integer(type_of))
            # One chunk without nulls is handed on as it lies there; a chunked array would be copied.
            plain = numbers.chunk(0) if numbers.num_chunks == 1 else numbers.combine_chunks()
            return Column(kind, np.ascontiguousarray(plain.to_numpy(zero_copy_only=False), dtype=np.float64))
        if kind == "category":
            if pa.types.is_floating(type_of):
                column = pc.if_else(pc.is_nan(column), None, column)
            levels, codes = _encoded(column)
            return Column(kind, codes, levels)
        if kind == "text":
            return Column(kind, np.zeros(0), texts=tuple(column.cast(pa.string()).to_pylist()))
        if kind == "embedding":
            return Column(kind, _matrix(column, place))
    except (pa.ArrowException, UnicodeError) as error:
        raise UsageError(f"{place} cannot be read as {kind}: {str(error)[:200]}; give it another kind") from error
    raise UsageError(f"{place}: unknown kind {kind!r}{suggestion(kind, KINDS)}; known: {', '.join(KINDS)}")


def _encoded(column: pa.ChunkedArray) -> tuple[tuple[str, ...], Ints]:
    import pyarrow as pa

    if not pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    if not column.num_chunks:
        return (), np.zeros(0, dtype=np.int32)
    # The chunks get one dictionary; to put them together first would copy all texts.
    chunks = column.dictionary_encode().unify_dictionaries().chunks
    codes = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in chunks]
    return tuple(chunks[0].dictionary.to_pylist()), codes[0] if len(codes) == 1 else np.concatenate(codes)


def _codes(column: pa.ChunkedArray) -> Ints:
    """Hashes of a column's values, the same in every chunk and process; each row without one is a cluster by itself."""
    levels, places = _encoded(column)
    codes = np.append(name_codes(levels), 0)[places]
    alone = np.flatnonzero(places < 0)
    if alone.size:
        codes[alone] = name_codes(f"no cluster: row {i}" for i in alone.tolist())
    return codes


def _matrix(column: pa.ChunkedArray, place: str) -> Floats:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(column.type):
        return np.zeros((len(column), 0))
    whole = column.combine_chunks()
    rows = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    held = rows.is_valid().to_numpy(zero_copy_only=False)
    sizes = pc.min_max(pc.list_value_length(rows)).as_py()
    low, size = sizes["min"] or 0, sizes["max"] or 0
    if low != size:
        raise UsageError(f"{place} holds vectors of {low} to {size} numbers; all must have one length")
    filled: Floats = np.full((len(rows), size), np.nan)
    # Rows that are missing have no numbers here.
    numbers = rows.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
    filled[held] = numbers.reshape(int(held.sum()), size)
    return filled

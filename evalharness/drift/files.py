"""Files of rows as Arrow tables: CSV, JSONL and Parquet, one file, a folder of them or a glob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.drifting import ColumnKind
from ..core.errors import UsageError
from .policy import Policy
from .result import Drift
from .table import KINDS, Table
from .window import compare_tables

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["compare_data", "read_arrow"]

_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet", ".pq": "parquet"}


def compare_data(
    reference: Any,
    current: Any,
    policy: Policy | None = None,
    *,
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    kinds: Mapping[str, ColumnKind] | None = None,
    segments: Sequence[str] = (),
    cluster: str | None = None,
) -> Drift:
    """Compare two windows, each a path or a pandas frame, an Arrow table, a list of mappings or columns by name.

    Args:
        reference: what the data should look like; kinds of columns are read off it.
        current: what is held against it.
        policy: tests, thresholds and levels.
        columns: only these columns (default: all that both have).
        ignore: not these columns.
        kinds: kinds of columns, where what is read off them is not wanted.
        segments: columns within each of whose values everything is compared, too.
        cluster: column that names what rows belong to, such as a conversation.

    Raises:
        UsageError: for files that cannot be read, columns that are not there, and options that do not fit.
    """
    for name, kind in (kinds or {}).items():
        if kind not in KINDS:
            raise UsageError(f"column {name!r} cannot be of kind {kind!r}; choose {', '.join(KINDS)}")
    names = [_name(side, word) for side, word in ((reference, "reference"), (current, "current"))]
    first, second = (read_arrow(side) if isinstance(side, str | Path) else side for side in (reference, current))
    made = partial(Table.of, segments=segments, cluster=cluster, columns=columns, ignore=ignore, kinds=kinds)
    before = made(first, what=names[0])
    now = made(second, like=before, what=names[1])
    return compare_tables(before, now, policy or Policy(), names=(names[0], names[1]))


def _name(side: Any, word: str) -> str:
    return str(side) if isinstance(side, str | Path) else word


def read_arrow(path: str | Path) -> pa.Table:
    """All rows of a file, of the files in a folder, or of those that a pattern names.

    Raises:
        UsageError: where there is no such file, or one that cannot be read.
    """
    import pyarrow as pa

    files = _files(Path(path))
    tables = [_one(file) for file in files]
    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UsageError(f"the {len(files)} files of {path} do not have the same columns: {error}") from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in _ENDINGS)
        if not found:
            raise UsageError(f"the folder {path} holds no file that ends in {', '.join(_ENDINGS)}")
        return found
    anchor = Path(path.anchor or ".")
    found = sorted(anchor.glob(str(path.relative_to(path.anchor)))) if str(path) not in (".", "") else []
    if not found:
        raise UsageError(f"there is no file {path}")
    return found


def _one(file: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, json, parquet

    kind = _ENDINGS.get(file.suffix.lower())
    if kind is None:
        raise UsageError(f"{file} ends in {file.suffix or 'nothing'}, and not in {', '.join(_ENDINGS)}; rename it")
    try:
        if kind == "parquet":
            return parquet.read_table(file)
        if file.stat().st_size == 0:
            raise UsageError(f"{file} is empty")
        if kind == "json":
            return json.read_json(file, parse_options=json.ParseOptions(newlines_in_values=False))
        options = csv.ParseOptions(delimiter="\t" if kind == "tsv" else ",", newlines_in_values=True)
        return csv.read_csv(file, parse_options=options)
    except (pa.ArrowException, UnicodeError) as error:
        raise UsageError(f"{file} cannot be read as {kind}: {str(error)[:300]}") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error

"""Tidy pandas frames of a record, and their CSV, Parquet and JSON forms."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..core.canonical import to_jsonable
from ..core.cells import csv_line, neutral
from .gateview import GateOutcomeLike

if TYPE_CHECKING:
    import pandas as pd

    from ..record import Record

__all__ = [
    "TABLES",
    "TableName",
    "csv_text",
    "metrics_frame",
    "neutral",
    "samples_frame",
    "scores_frame",
    "summary_json",
    "table",
    "write_parquet",
]

TableName = Literal["metrics", "samples", "scores"]


def metrics_frame(record: Record) -> pd.DataFrame:
    """One row a figure: run, task, model, metric, group, value, interval, n, failed, direction, bounds, signature."""
    return record.to_pandas()


def samples_frame(record: Record) -> pd.DataFrame:
    """One row an answer, with the run's id; lists and mappings (choices, groups …) as JSON text."""
    frame = record.samples()
    for name in frame.columns:
        if frame[name].dtype == object:
            # As a list: `map` would make Arrow text of it, which lone surrogates break.
            frame[name] = _objects(_flat(cell) for cell in frame[name])
    frame.insert(0, "run", record.id)
    return frame


def scores_frame(record: Record) -> pd.DataFrame:
    """One row a sample and metric: its own value, NaN where it has none."""
    frame = record.scores()
    frame.insert(0, "run", record.id)
    return frame


TABLES: dict[TableName, Callable[[Record], pd.DataFrame]] = {
    "metrics": metrics_frame,
    "samples": samples_frame,
    "scores": scores_frame,
}


def table(record: Record, name: TableName) -> pd.DataFrame:
    """The frame called `name`."""
    return TABLES[name](record)


def _objects(cells: Iterable[object]) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(list(cells), dtype=object)


def _flat(cell: object) -> object:
    if isinstance(cell, list | tuple | dict):
        return json.dumps(to_jsonable(cell), ensure_ascii=False)
    return cell


def csv_text(frame: pd.DataFrame) -> str:
    """`frame` as CSV: missing is empty, numbers in full precision, no cell a formula, no lone surrogates."""
    columns = [[_cell(value) for value in frame[name].tolist()] for name in frame.columns]
    rows = [[neutral(str(name)) for name in frame.columns], *zip(*columns, strict=True)]
    return _encodable("".join(map(csv_line, rows)))


def _cell(value: Any) -> str:
    if value is None or type(value).__name__ == "NAType" or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return neutral(value) if isinstance(value, str) else str(value)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` to a Parquet file, through a file beside it, so that no half of one is left."""
    frame = frame.copy()
    for name in frame.columns:
        if frame[name].dtype == object:
            frame[name] = _objects(_encodable(cell) if isinstance(cell, str) else cell for cell in frame[name])
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    from ..core.files import write_atomic

    write_atomic(path, buffer.getvalue())


def summary_json(record: Record, gate: GateOutcomeLike | Mapping[str, Any] | None = None) -> str:
    """All but the samples as JSON: the manifest with all figures, and the gate's outcome or null.

    Figures that are not finite are the strings "nan", "inf" and "-inf".
    """
    body = json.loads(record.manifest.to_json())
    body["gate"] = None if gate is None else dict(gate) if isinstance(gate, Mapping) else gate.to_dict()
    return _encodable(json.dumps(body, ensure_ascii=False, indent=2, allow_nan=False)) + "\n"

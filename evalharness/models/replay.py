"""The replay backend: outputs that exist already, from a JSONL, CSV, TSV or Parquet file, found by sample id.

One row a sample. Repeated answers stand in a list under the output column, or in rows of their own with a column
`repeat` that counts from 0. For classify tasks an output is a label or `{label: probability}` (in CSV as JSON text).
Texts are taken as they stand; other values (numbers, objects) become JSON text.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from evalharness.core.canonical import canonical_json, file_digest
from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.types import Json, Request, Response

from .concurrent import ConcurrentModel, RequestFailed
from .outputs import label_or_json_response, label_response

__all__ = ["ReplayModel", "make", "read_rows"]

VERSION = "1"
_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_MOST_PROBLEMS = 20


class Spec(Protocol):
    """What this backend reads of its suite entry."""

    @property
    def path(self) -> str:
        """The file."""
        ...

    @property
    def id(self) -> str:
        """Column with the sample id."""
        ...

    @property
    def output(self) -> str:
        """Column with the output."""
        ...

    @property
    def sha256(self) -> str | None:
        """Digest that the file must have."""
        ...


class Line(NamedTuple):
    """A row of the file, or the problem that stands where a row should be."""

    number: int
    values: Mapping[str, Any]
    problem: str = ""


def _jsonl(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig") as handle:
        for number, text in enumerate(handle, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                yield Line(number, {}, f"not JSON: {error.msg} (column {error.colno})")
                continue
            if isinstance(row, dict):
                yield Line(number, row)
            else:
                yield Line(number, {}, f"a line must be a JSON object, not {type(row).__name__}")


def _delimited(path: Path, delimiter: str) -> Iterator[Line]:
    # Outputs of models are often longer than the 128 KiB to which csv limits a cell.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                whole = None not in row and None not in row.values()
                problem = "" if whole else f"the header has {len(reader.fieldnames or ())} cells, this row has not"
                yield Line(reader.line_num, row, problem)
        except csv.Error as error:
            yield Line(reader.line_num, {}, f"not {'TSV' if delimiter != ',' else 'CSV'}: {error}")


def _parquet(path: Path) -> Iterator[Line]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=8192):
                for row in batch.to_pylist():
                    number += 1
                    yield Line(number, row)
    except pa.ArrowInvalid as error:
        yield Line(0, {}, f"not Parquet: {error}")


def read_rows(path: Path) -> Iterator[Line]:
    """The rows of `path`, by its ending; for Parquet, `number` counts rows.

    Raises:
        UsageError: the ending is not known.
        DataError: a text file is not UTF-8.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: the ending {path.suffix!r} is not known; use one of {', '.join(_FORMATS)}")
    try:
        if kind == "jsonl":
            yield from _jsonl(path)
        elif kind == "parquet":
            yield from _parquet(path)
        else:
            yield from _delimited(path, "," if kind == "csv" else "\t")
    except UnicodeDecodeError as error:
        raise DataError([Problem(Place(str(path)), "", f"not UTF-8: {error}")]) from error


def _id_text(value: object) -> str | None:
    """`value` as a sample id; None where it is none."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _repeat_of(values: Mapping[str, Any]) -> int | None:
    """The row's repeat index; None where it is no number from 0."""
    text = str(values.get("repeat", 0)).strip()
    return int(text) if text.isascii() and text.isdigit() else None


class ReplayModel(ConcurrentModel):
    """Answers from a file; see the module."""

    capabilities = frozenset({"generate", "classify"})
    # How long the answers took when they were made is not known.
    timed = False

    def __init__(self, name: str, *, path: Path, id: str, output: str, sha256: str | None) -> None:
        super().__init__(name, concurrency=1)
        self._path, self._id, self._output, self._sha256 = path, id, output, sha256
        self._digest: str | None = None
        self._outputs: dict[str, dict[int, Any]] = {}

    def identity(self) -> Mapping[str, Json]:
        return {
            "backend": "replay",
            "backend_version": VERSION,
            "file_sha256": self._checked_digest(),
            "id": self._id,
            "output": self._output,
            "by_sample_id": True,
        }

    def _checked_digest(self) -> str:
        if self._digest is None:
            found = file_digest(self._path)
            if self._sha256 is not None and found != self._sha256:
                raise UsageError(
                    f"models.{self.name}.sha256: {self._path} has changed: its sha256 is {found}, the suite pins "
                    f"{self._sha256}; take the file that was pinned, or pin the new digest"
                )
            self._digest = found
        return self._digest

    async def open(self) -> None:
        self._checked_digest()
        self._outputs = self._read()

    async def close(self) -> None:
        self._outputs = {}

    def _read(self) -> dict[str, dict[int, Any]]:
        """The outputs by sample id and repeat."""
        outputs: dict[str, dict[int, Any]] = {}
        places: dict[tuple[str, int], int] = {}
        problems: list[Problem] = []
        for line in read_rows(self._path):
            sample, repeat = _id_text(line.values.get(self._id)), _repeat_of(line.values)
            message = line.problem or self._missing_column(line.values) or self._odd_value(line.values, sample, repeat)
            if not message and sample is not None and repeat is not None:
                first = places.setdefault((sample, repeat), line.number)
                if first != line.number:
                    message = f"the id {sample!r} stands in line {first} already; ids must be unique"
                    message += f" for repeat {repeat}" if "repeat" in line.values else " (or have a column repeat)"
                output = line.values[self._output]
                by_repeat = outputs.setdefault(sample, {})
                if isinstance(output, list) and "repeat" not in line.values:
                    by_repeat.update(enumerate(output))
                else:
                    by_repeat[repeat] = output
            if message:
                problems.append(Problem(Place(str(self._path), line.number), "", message))
                if len(problems) == _MOST_PROBLEMS:
                    break
        if problems:
            raise DataError(problems)
        return outputs

    def _odd_value(self, values: Mapping[str, Any], sample: str | None, repeat: int | None) -> str:
        if sample is None:
            return f"the id under {self._id!r} must be a text or a whole number, not {values[self._id]!r}"
        return "" if repeat is not None else f"the column repeat must count from 0, not {values['repeat']!r}"

    def _missing_column(self, values: Mapping[str, Any]) -> str:
        for key, column in (("id", self._id), ("output", self._output)):
            if column not in values:
                near = suggestion(column, values) or f"; there are: {', '.join(values)}"
                return f"no column {column!r}{near} (set models.{self.name}.{key})"
        return ""

    def _find(self, request: Request) -> Any:
        sample, repeat = request.sample_id, request.repeat
        found = self._outputs.get(sample)
        if found is None:
            raise RequestFailed(f"{self._path.name} has no output for the sample id {sample!r} (column {self._id!r})")
        if repeat not in found:
            number = f"{len(found)} output{'' if len(found) == 1 else 's'}"
            raise RequestFailed(
                f"{self._path.name} has {number} for the sample id {sample!r}: none for repeat {repeat}"
            )
        return found[repeat]

    async def answer(self, request: Request) -> Response:
        value = self._find(request)
        if value is None:
            raise RequestFailed(f"{self._path.name} has a null output for the sample id {request.sample_id!r}")
        if request.kind == "classify":
            as_label = label_or_json_response if isinstance(value, str) else label_response
            # Parquet gives every label of a struct column to every row: an absent one is null there.
            if isinstance(value, dict):
                value = {label: p for label, p in value.items() if p is not None}
            response = as_label(request.key, value)
        else:
            text = value if isinstance(value, str) else canonical_json(value)
            response = Response(key=request.key, text=text)
        return response


def make(
    name: str, spec: Spec, *, base: Path, environ: Mapping[str, str], concurrency: int, allow_code: bool
) -> ReplayModel:
    """Outputs that exist already, from a JSONL, CSV, TSV or Parquet file: one row a sample, found by its id.

    It can generate and classify. Example::

        candidate: {backend: replay, path: outputs.jsonl, id: ticket_id, output: answer}

    Repeated answers stand in a list, or in rows of their own with a column `repeat` that counts from 0. For classify
    tasks an output is a label or {label: probability}. A sample without a row is an error of that sample.
    """
    path = base / spec.path
    if not path.is_file():
        raise UsageError(f"models.{name}.path: there is no file {path}; paths start at the suite's folder")
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"models.{name}.path: the ending {path.suffix!r} is not known; use {', '.join(_FORMATS)}")
    return ReplayModel(name, path=path, id=spec.id, output=spec.output, sha256=spec.sha256)

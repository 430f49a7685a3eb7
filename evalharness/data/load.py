"""A suite's dataset as rows: read, map fields, filter, name, shuffle, limit."""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.core.canonical import canonical_json, digest, file_digest
from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.registry import registry
from evalharness.core.spool import Picked, Spool
from evalharness.core.types import Json, Row

from .groups import with_groups
from .ids import assign_ids
from .problems import Problems
from .source import CATALOG, find_file, format_of
from .spec import DatasetSpec
from .values import json_value

__all__ = ["Condition", "LoadedDataset", "Render", "load", "shuffled"]

Render = Callable[[str, Mapping[str, Json]], Any]
"""The value of a template over a row's fields; raises a `UsageError` where it cannot be rendered."""
Condition = Callable[[str, Mapping[str, Json]], bool]
"""Whether an expression over a row's fields is true; raises a `UsageError` where it cannot be told."""


@dataclass(frozen=True, slots=True)
class LoadedDataset:
    """The rows that a suite asks for.

    `digest` is the sha256 of the whole source, before anything is selected: of a file's bytes, of the canonical JSON
    of inline rows, of all rows of a Hugging Face dataset (so that a local copy equals the hub's). `source` says where
    they came from, as the suite names it.
    """

    rows: Sequence[Row]
    digest: str
    source: str


@dataclass(slots=True)
class _Source:
    """An opened source; `digest` is known at once for files, and after the rows were read for hf."""

    rows: Iterator[Row]
    label: str
    place: Place
    digest: str = ""


def load(name: str, spec: DatasetSpec, *, base: Path, render: Render, condition: Condition) -> LoadedDataset:
    """The rows of the dataset `name` of a suite in the folder `base`.

    In this order: new `fields`, `where`, ids, groups and cluster, `shuffle`, `limit`. So ids and groups do not depend
    on shuffle and limit.

    Raises:
        UsageError: if the source is not there or is not the pinned one.
        DataError: with every row that does not fit, or if no row is left.
    """
    source = _open(name, spec, base)
    if source.digest:
        _check_pin(spec.sha256, source)
    rows, contents, n_read = _read_rows(source, spec, render, condition)
    _check_pin(spec.sha256, source)
    if not rows:
        kept = f"`where: {spec.where}` keeps none of its {n_read} rows" if n_read else "it has no rows"
        raise DataError([Problem(source.place, "", f"the dataset {name!r} is empty: {kept}")])
    ids = assign_ids(rows, contents or (row.fields for row in rows), column=spec.id)
    named = Spool(with_groups(rows, ids, spec))
    chosen = shuffled(named, spec.shuffle) if spec.shuffle is not None else named
    limited = chosen if spec.limit is None else chosen[: spec.limit]
    return LoadedDataset(limited, source.digest, source.label)


def shuffled(rows: Sequence[Row], seed: int) -> Sequence[Row]:
    """The rows in an order drawn uniformly, the same on every machine and for every version of Python.

    Python promises for ever the numbers that `random()` draws from a seed, but not what `shuffle` makes of them; so
    the rows are sorted by a number each.
    """
    draw = random.Random(seed).random
    keys = array("d", (draw() for _ in range(len(rows))))
    return Picked(rows, array("Q", sorted(range(len(rows)), key=keys.__getitem__)))


def _open(name: str, spec: DatasetSpec, base: Path) -> _Source:
    readers = registry("datasets")
    if spec.rows is not None:
        place = f"datasets.{name}"
        rows = readers.load("inline")(place, rows=spec.rows)
        return _Source(rows, "inline", Place(place), digest(list(spec.rows)))
    if spec.hf is not None:
        local = base / Path(spec.hf).expanduser()
        path = str(local) if local.is_dir() else spec.hf
        rows = readers.load("hf")(path, config=spec.config, split=spec.split, revision=spec.revision)
        options = {"config": spec.config, "split": spec.split, "revision": spec.revision}
        label = f"hf:{spec.hf}" + "".join(f" {key}={value}" for key, value in options.items() if value)
        return _Source(rows, label, Place(f"hf:{spec.hf}"))
    if spec.path is None:
        raise UsageError(f"the dataset {name!r} has none of path, rows and hf; give one")
    file = find_file(spec.path, base=base)
    reader = _format(spec, file)
    options = {} if reader == "parquet" else {"encoding": spec.encoding}
    label = spec.path if spec.path.startswith(CATALOG) else Path(spec.path).as_posix()
    return _Source(readers.load(reader)(str(file), **options), label, Place(str(file)), file_digest(file))


def _format(spec: DatasetSpec, file: Path) -> str:
    if spec.format != "auto":
        return spec.format
    found = format_of(file)
    if found is None:
        ending = file.suffix.removeprefix(".").lower()
        # An installed package may read further formats: it registers them under their ending.
        if ending not in registry("datasets").names():
            raise UsageError(
                f"{file}: the ending {file.suffix!r} stands for no format; "
                f"set `format:` to jsonl, json, csv, tsv or parquet"
            )
        found = ending
    return found


def _check_pin(expected: str | None, source: _Source) -> None:
    if expected is not None and expected != source.digest:
        raise UsageError(
            f"{source.place}: the data are not the pinned ones: expected sha256 {expected}, found {source.digest}; "
            f"restore the data, or set `sha256:` to the digest found if the change is meant"
        )


def _read_rows(
    source: _Source, spec: DatasetSpec, render: Render, condition: Condition
) -> tuple[Sequence[Row], Sequence[Mapping[str, Json]], int]:
    """The rows that `where` keeps with their new fields, the content of each as read, and the number read.

    The second list stays empty where it is not needed: without new fields, a row's content is its fields.
    """
    problems = Problems()
    content_hash = None if source.digest else hashlib.sha256()
    keep_contents = bool(spec.fields) and spec.id is None
    rows: Spool[Row] = Spool()
    contents: Spool[Mapping[str, Json]] = Spool()
    n_read = 0
    try:
        for row in source.rows:
            n_read += 1
            if content_hash is not None:
                content_hash.update(canonical_json(row.fields).encode("utf-8", "surrogatepass") + b"\n")
            mapped = _mapped(row, spec.fields, render, problems)
            if mapped is None or not _kept(mapped, spec.where, condition, problems):
                continue
            rows.append(mapped)
            if keep_contents:
                contents.append(row.fields)
    except DataError as error:
        problems.extend(error)
    problems.check()
    if content_hash is not None:
        source.digest = content_hash.hexdigest()
    return rows, contents, n_read


def _mapped(row: Row, templates: Mapping[str, str], render: Render, problems: Problems) -> Row | None:
    if not templates:
        return row
    fields = dict(row.fields)
    before = problems.n
    for column, template in templates.items():
        try:
            # Over the row as read: the order of the new columns does not matter.
            fields[column] = json_value(render(template, row.fields))
        except (UsageError, TypeError) as error:
            problems.add(row.place, str(error), f"fields.{column}")
    return Row(row.id, fields, row.place, row.groups, row.cluster) if problems.n == before else None


def _kept(row: Row, where: str | None, condition: Condition, problems: Problems) -> bool:
    if where is None:
        return True
    try:
        return condition(where, row.fields)
    except UsageError as error:
        problems.add(row.place, str(error), "where")
        return False

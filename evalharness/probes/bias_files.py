"""The files in which bias benchmarks are published: tables, JSON Lines and plain lines, each record with its place."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.files import cache_dir
from evalharness.core.types import Json

__all__ = ["Faults", "Record", "check_columns", "find", "find_folder", "lines", "load_json", "records", "text_of"]

_CATALOG = "catalog:"
_SHOWN = 20


class Record(NamedTuple):
    """One record of a file, and where it begins."""

    place: Place
    fields: Mapping[str, Json]


class Faults:
    """What is wrong with a file, gathered and raised at once."""

    def __init__(self) -> None:
        self._shown: list[Problem] = []
        self._n = 0

    def add(self, place: Place, message: str, path: str = "") -> None:
        """Note one problem."""
        self._n += 1
        if len(self._shown) < _SHOWN:
            self._shown.append(Problem(place, path, message))

    def check(self) -> None:
        """Raise a `DataError` with all of them, if there are any."""
        if self._n > len(self._shown):
            last = self._shown[-1].place
            self._shown.append(Problem(last, "", f"… and {self._n - len(self._shown)} more from here on"))
        if self._shown:
            raise DataError(self._shown)


def find(path: str, base: Path) -> Path:
    """The file that `path` names: relative to `base`, or `catalog:NAME`, a data set of evalharness' catalogue.

    Raises:
        UsageError: there is no such file.
    """
    if path.startswith(_CATALOG):
        name, _, part = path.removeprefix(_CATALOG).partition("/")
        file = cache_dir() / "data" / name / f"{part or 'test'}.jsonl"
        if not file.is_file():
            raise UsageError(f"the data set {path!r} has not been fetched; run: evalharness fetch-data {name}")
        return file
    file = base / Path(path).expanduser()
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file in it{_holds(file)}")
    if not file.is_file():
        nothing = _holds(file.parent) if file.parent.is_dir() else f"; there is no folder {file.parent} either"
        raise UsageError(f"there is no file {file}{nothing}")
    return file


def find_folder(path: str, base: Path) -> Path | None:
    """The folder that `path` names; None where it is no folder."""
    folder = base / Path(path).expanduser()
    return folder if not path.startswith(_CATALOG) and folder.is_dir() else None


def _holds(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    return f" ({folder} holds {', '.join(names[:5])}{', …' if len(names) > 5 else ''})" if names else ""


def _text(file: Path) -> str:
    data = file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"not UTF-8: byte {data[error.start]:#04x}; convert the file to UTF-8"
        raise DataError([Problem(Place(str(file), line), "", message)]) from error


def lines(file: Path) -> list[tuple[Place, str]]:
    """The lines of a text file that are not blank, without white space at their ends."""
    found = enumerate(_text(file).split("\n"), start=1)
    return [(Place(str(file), number), line.strip()) for number, line in found if line.strip()]


def records(file: Path, *, needs: Iterable[str] = ()) -> list[Record]:
    """The records of a `.csv`, `.tsv` or `.jsonl` file, each with all the columns that it `needs`.

    Raises:
        DataError: the file holds none, or something in it is wrong; each with its place.
    """
    ending = file.suffix.lower()
    if ending in (".jsonl", ".ndjson"):
        found = _json_lines(file)
    elif ending in (".csv", ".tsv"):
        found = _table(file, "," if ending == ".csv" else "\t")
    else:
        message = f"a file {file.suffix or 'without an ending'} is none of .csv, .tsv and .jsonl; rename or convert it"
        raise DataError([Problem(Place(str(file)), "", message)])
    if not found:
        raise DataError([Problem(Place(str(file)), "", "the file holds no records")])
    check_columns(found, needs)
    return found


def check_columns(found: Iterable[Record], needs: Iterable[str]) -> None:
    """Raise a `DataError` unless each record has all the columns that it `needs`."""
    wanted, faults = list(needs), Faults()
    for record in found:
        missing = [name for name in wanted if name not in record.fields]
        if missing:
            has = ", ".join(map(str, record.fields)) or "none"
            faults.add(record.place, f"has no {' and no '.join(missing)}; it has: {has}")
    faults.check()


def _table(file: Path, delimiter: str) -> list[Record]:
    # Published TSV files quote nothing: a quotation mark in them is a letter of the text.
    text = io.StringIO(_text(file), newline="")
    tabbed = delimiter == "\t"
    reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE if tabbed else csv.QUOTE_MINIMAL)
    faults, found = Faults(), []
    header: list[str] | None = None
    start = 1
    try:
        for row in reader:
            place, start = Place(str(file), start), reader.line_num + 1
            if header is None:
                header = [name.strip() for name in row]
            elif row and len(row) != len(header):
                faults.add(place, f"expected {len(header)} fields ({', '.join(header[:6])}), found {len(row)}")
            elif row:
                found.append(Record(place, dict(zip(header, row, strict=True))))
    except csv.Error as error:
        faults.add(Place(str(file), start), f"not a table: {error}")
    faults.check()
    return found


def _json_lines(file: Path) -> list[Record]:
    faults, found = Faults(), []
    for place, line in lines(file):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.add(place, f"not a JSON object: {error}")
            continue
        if isinstance(value, dict):
            found.append(Record(place, value))
        else:
            faults.add(place, f"a record must be an object {{…}}, found {type(value).__name__}")
    faults.check()
    return found


def load_json(file: Path) -> tuple[Json, str]:
    """The content of a JSON file, and its text.

    Raises:
        DataError: it is no JSON.
    """
    text = _text(file)
    try:
        value: Json = json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(str(file), error.lineno, error.colno)
        raise DataError([Problem(place, "", f"not JSON: {error.msg}")]) from error
    except (ValueError, RecursionError) as error:
        raise DataError([Problem(Place(str(file)), "", f"not JSON: {error}")]) from error
    return value, text


def text_of(record: Record, name: str, faults: Faults, *, among: Sequence[str] = ()) -> str:
    """The text in the column `name`, stripped; a fault and "" where it is none, or none of those that may be."""
    value = record.fields.get(name)
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        faults.add(record.place, f"must be a text that is not empty, but is {_shown(value)}", name)
    elif among and text not in among:
        faults.add(record.place, f"must be {' or '.join(among)}, but is {_shown(value)}", name)
    return text


def _shown(value: object) -> str:
    shown = "missing" if value is None else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"

"""CSV as spreadsheets and databases write it: which separator, encoding and decimal point a file has."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from ..core.errors import DataError, Place, Problem
from ..core.unpacked import open_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Dialect", "csv_batches", "dialect_of"]

_SAMPLE: Final = 1 << 16
_BLOCK: Final = 1 << 20
_LINES: Final = 20
_SEPARATORS: Final = (",", ";", "\t", "|")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES: Final = {"cp1252": "the encoding Windows-1252"}
_COMMA_NUMBER: Final = re.compile(r"\s*[-+]?[0-9]+,[0-9]+\s*\Z")
_POINT_NUMBER: Final = re.compile(r"\s*[-+]?[0-9]*\.[0-9]+\s*\Z")


class Dialect(NamedTuple):
    """How a CSV file is written: Python's name of its encoding, what stands between fields, and in numbers."""

    encoding: str
    separator: str
    decimal: str

    def note(self, file: Path) -> str:
        """What a reader should know of it; nothing where the file is in UTF-8, with commas or as its ending says."""
        told = []
        if self.separator != ("\t" if ".tsv" in (suffix.lower() for suffix in file.suffixes) else ","):
            told.append("separated by " + {"\t": "tabs"}.get(self.separator, repr(self.separator)))
        if self.decimal == ",":
            told.append("with decimal commas")
        if self.encoding != "utf-8":
            told.append(f"in {_NAMES.get(self.encoding, self.encoding.upper())}")
        return f"{file} is read as CSV {', '.join(told)}" if told else ""


def dialect_of(file: Path) -> Dialect:
    """How `file` is written.

    The encoding is that of the mark at its beginning, else UTF-8, else Windows' for western Europe, of which Latin-1 is
    a part. The separator is the one of comma, semicolon, tab and bar by which most of the first lines have as many
    fields as the very first, and more than one; a file that ends in `.tsv` has tabs. Decimal commas are looked for
    where fields are separated by something else.
    """
    with open_bytes(file) as handle:
        sample = handle.read(_SAMPLE)
        encoding = next((name for mark, name in _MARKS if sample.startswith(mark)), "") or _encoding(sample, handle)
    text = sample.decode(encoding, "replace").removeprefix("\ufeff")
    lines = text.splitlines(keepends=True)
    # The last line may be cut.
    lines = (lines[:-1] if len(sample) == _SAMPLE and len(lines) > 1 else lines)[:_LINES]
    tabs = ".tsv" in (suffix.lower() for suffix in file.suffixes)
    separator = "\t" if tabs else _separator(lines)
    fields = [field for row in csv.reader(lines, delimiter=separator) for field in row]
    comma = separator != "," and any(map(_COMMA_NUMBER.match, fields)) and not any(map(_POINT_NUMBER.match, fields))
    return Dialect(encoding, separator, "," if comma else ".")


def _encoding(sample: bytes, handle: IO[bytes]) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    part = sample
    try:
        while part:
            decoder.decode(part)
            part = handle.read(_BLOCK)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _separator(lines: list[str]) -> str:
    """By which most lines have as many fields as the first one, and more than one; a comma where none has."""
    found = {separator: _fitting(lines, separator) for separator in _SEPARATORS}
    return max(_SEPARATORS, key=lambda separator: found[separator])


def _fitting(lines: list[str], separator: str) -> float:
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return 0.0
    if not widths or widths[0] < 2:
        return 0.0
    # Of a file that is its first line only, that line counts.
    rest = widths[1:] or widths
    return sum(width == widths[0] for width in rest) / len(rest)


def csv_batches(file: Path, dialect: Dialect) -> Iterator[pa.RecordBatch]:
    """Record batches of the rows of `file`.

    Raises:
        DataError: a row has more or fewer fields than the first one; it is named by its line.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    wrong: list[Problem] = []

    def refuse(row: Any) -> str:
        held = "1 field" if row.actual_columns == 1 else f"{row.actual_columns:,} fields"
        message = f"the row has {held}, the first one has {row.expected_columns:,}; put texts with {name} into quotes"
        wrong.append(Problem(Place(str(file), row.number), "", message))
        return "error"

    name = {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(dialect.separator, dialect.separator)
    # Windows' encoding has five gaps, which Latin-1 fills.
    encoding = "latin-1" if dialect.encoding == "cp1252" and _has_gaps(file) else dialect.encoding
    with open_bytes(file) as handle:
        if not handle.read(1):
            return
        handle.seek(0)
        read = arrow.ReadOptions(block_size=_BLOCK, encoding=encoding, use_threads=False)
        parse = arrow.ParseOptions(delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=refuse)
        # Strings that say that a value is missing are so in columns of text too, as they are in columns of numbers.
        missing = ["", "null", "NULL", "NaN", "nan", "NA", "N/A"]
        convert = arrow.ConvertOptions(strings_can_be_null=True, null_values=missing, decimal_point=dialect.decimal)
        try:
            with arrow.open_csv(handle, read_options=read, parse_options=parse, convert_options=convert) as opened:
                yield from opened
        except pa.ArrowException as error:
            if wrong:
                raise DataError(wrong) from error
            raise


def _has_gaps(file: Path) -> bool:
    with open_bytes(file) as handle:
        while part := handle.read(_BLOCK):
            if re.search(rb"[\x81\x8d\x8f\x90\x9d]", part):
                return True
    return False

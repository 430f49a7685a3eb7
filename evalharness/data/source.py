"""Where a dataset's file is, and its lines as text."""

from __future__ import annotations

import difflib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.files import cache_dir

from .problems import Problems

__all__ = ["CATALOG", "find_file", "format_of", "numbered_lines", "open_bytes"]

CATALOG = "catalog:"
_ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def find_file(path: str, *, base: Path) -> Path:
    """The file that a suite's `path` names: relative to `base`, or `catalog:NAME`, or `catalog:NAME/PART`.

    A catalogue dataset is a folder of JSONL files; without PART its `test` part is meant.

    Raises:
        UsageError: if there is no such file; it names the nearest ones.
    """
    if path.startswith(CATALOG):
        return _find_in_catalog(path)
    try:
        file = base / Path(path).expanduser()
        if file.is_dir():
            raise UsageError(
                f"{file} is a folder; name a file in it{_files_in(file)}, or use `hf:` for a saved dataset"
            )
        if not file.is_file():
            raise UsageError(f"there is no file {file}{_near(file)}")
        with file.open("rb"):
            return file
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _find_in_catalog(path: str) -> Path:
    name, _, part = path.removeprefix(CATALOG).partition("/")
    folder = cache_dir() / "data" / name
    if not name or name in {".", ".."} or "\\" in path:
        raise UsageError(f"{path!r} names no dataset; write catalog:NAME or catalog:NAME/PART")
    if not folder.is_dir():
        raise UsageError(f"the dataset {path!r} has not been fetched; run: evalharness fetch-data {name}")
    parts = {file.stem: file for file in sorted(folder.glob("*.jsonl"))}
    if (part or "test") not in parts:
        raise UsageError(
            f"the dataset {name!r} has no part {part or 'test'!r}; its parts: {', '.join(parts) or 'none'}"
        )
    return parts[part or "test"]


def _near(file: Path) -> str:
    folder = file.parent
    if not folder.is_dir():
        return f"; there is no folder {folder} either"
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    near = difflib.get_close_matches(file.name, names, n=3, cutoff=0.5)
    # The right name with another ending is near however long the endings are.
    near += [name for name in sorted(names) if name.split(".")[0] == file.name.split(".")[0] and name not in near]
    return f"; did you mean {' or '.join(repr(name) for name in near[:3])}?" if near else _files_in(folder)


def _files_in(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f" (it holds {shown})" if names else ""


def format_of(file: Path) -> str | None:
    """The format that the ending of `file` stands for (`.gz` aside), or None."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return _ENDINGS.get(suffixes[-1]) if suffixes else None


def open_bytes(file: Path) -> IO[bytes]:
    """The content of `file`, unpacked if its name ends in `.gz`."""
    # GzipFile satisfies the reading half of IO[bytes], which is all that the readers use.
    return gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb")  # type: ignore[return-value]


def numbered_lines(file: Path, *, encoding: str, problems: Problems) -> Iterator[tuple[int, str]]:
    """The lines of a text file, counted from 1, each with its line end; a byte order mark is dropped.

    Only LF (and CRLF) ends a line: U+2028 and the like are text. A line that is not in `encoding` is noted in
    `problems` and yielded with replacement characters, so that a quoted CSV field around it still ends.

    Raises:
        UsageError: if the encoding is unknown.
        DataError: if a compressed file is damaged.
    """
    try:
        ascii_lines = "\n".encode(encoding) == b"\n"
    except (LookupError, UnicodeError):
        raise UsageError(f"{file}: unknown encoding {encoding!r}; try utf-8, latin-1 or cp1252") from None
    number = 0
    lines = _lines if ascii_lines else _wide_lines
    try:
        with open_bytes(file) as handle:
            for number, text in enumerate(lines(handle, str(file), encoding, problems), start=1):
                yield number, text.removeprefix("\ufeff") if number == 1 else text
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        place = Place(str(file), number + 1)
        raise DataError([Problem(place, "", f"the compressed file is damaged: {error}")]) from error


def _lines(handle: IO[bytes], file: str, encoding: str, problems: Problems) -> Iterator[str]:
    for number, line in enumerate(handle, start=1):
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError as error:
            problems.add(Place(file, number, error.start + 1), _not_in(encoding, error))
            yield line.decode(encoding, "replace")


def _wide_lines(handle: IO[bytes], file: str, encoding: str, problems: Problems) -> Iterator[str]:
    """Lines of an encoding in which LF is not the one byte 0x0A (UTF-16, UTF-32): the text is decoded as a whole."""
    data = handle.read()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(encoding, "replace").count("\n") + 1
        problems.add(Place(file, line), _not_in(encoding, error))
        text = data.decode(encoding, "replace")
    yield from io.StringIO(text, newline="\n")


def _not_in(encoding: str, error: UnicodeDecodeError) -> str:
    found = error.object[error.start]
    return f"not {encoding}: byte {found:#04x} ({error.reason}); set `encoding:` to the file's own, or convert the file"

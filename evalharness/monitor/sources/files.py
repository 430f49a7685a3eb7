"""The files of a source, and what stands in them: JSON Lines, whole JSON documents, Parquet, OTLP in protobuf."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final, TypeAlias

from evalharness.core.errors import Place, UsageError
from evalharness.core.types import Json
from evalharness.core.unpacked import open_bytes

from .refusal import Refusal, shown
from .values import Record

__all__ = ["Item", "find_files", "json_records", "kind_of"]

Item: TypeAlias = Record | Refusal

_JSON: Final = frozenset({".jsonl", ".ndjson", ".json", ".log"})
_PROTOBUF: Final = frozenset({".pb", ".binpb", ".otlp", ".bin", ".proto"})
_PARQUET: Final = frozenset({".parquet", ".pq"})
_ENDINGS: Final = {".gz"} | _JSON | _PROTOBUF | _PARQUET
_MAGIC: Final = set("*?[")
_SPACE: Final = re.compile(r"[ \t\r\n]*")


def find_files(paths: str | Iterable[str], *, base: Path, key: str = "source") -> list[Path]:
    """The files that `paths` name, each once, ordered by name within each; hidden ones in folders are passed over.

    `key` is what messages call the place where the paths are written.

    Raises:
        UsageError: a path names nothing. A pattern that matches nothing yet is no fault: logs may still come.
    """
    found: dict[Path, None] = {}
    for given in [paths] if isinstance(paths, str) else paths:
        place = base / Path(given).expanduser()
        try:
            if place.is_file():
                found[place] = None
            elif place.is_dir():
                found |= dict.fromkeys(sorted(filter(_is_data, place.rglob("*"))))
            elif _MAGIC & set(given):
                anchor = Path(place.anchor) if place.anchor else Path()
                pattern = str(place.relative_to(anchor))
                found |= dict.fromkeys(sorted(file for file in anchor.glob(pattern) if file.is_file()))
            else:
                raise UsageError(
                    f"{key}: there is no file or folder {place}; name one, or a pattern such as {key}/*.jsonl"
                )
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"{key}: {given!r} cannot be read: {error}") from error
    return list(found)


def _is_data(file: Path) -> bool:
    return file.suffix.lower() in _ENDINGS and not file.name.startswith(".") and file.is_file()


def kind_of(file: Path) -> str:
    """json, protobuf or parquet, by the ending of the file (`.gz` aside); anything else is taken for JSON."""
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() != ".gz"]
    ending = suffixes[-1] if suffixes else ""
    return "parquet" if ending in _PARQUET else "protobuf" if ending in _PROTOBUF else "json"


def json_records(file: Path, *, max_bytes: int, torn: bool = False) -> Iterator[tuple[Place, Item]]:
    """The objects of a file: one a line; or documents over many lines, each an object or a list of objects.

    Args:
        file: JSON Lines or JSON, also packed by gzip.
        max_bytes: a longer line is refused, and not held in memory.
        torn: the last line may be cut, because it is being written: without a line end it is passed over.
    """
    number = 0
    try:
        with open_bytes(file) as handle:
            for number, line in _lines(handle, max_bytes):
                place = Place(str(file), number)
                if isinstance(line, Refusal):
                    yield place, line
                    continue
                if not line.strip():
                    continue
                if torn and not line.endswith(b"\n"):
                    return
                found = _decoded(line, number)
                if isinstance(found, Refusal) and number == 1 and line.strip() in (b"{", b"[", b"[{"):
                    yield from _document(file, max_bytes)
                    return
                yield place, found
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield (
            Place(str(file), number + 1),
            Refusal("damaged-file", "gzip", shown(str(error)), "what comes after this line is lost; copy it again"),
        )
    except OSError as error:
        raise UsageError(f"source: {file} cannot be read: {error.strerror or error}") from error


def _lines(handle: IO[bytes], max_bytes: int) -> Iterator[tuple[int, bytes | Refusal]]:
    number = 0
    while line := handle.readline(max_bytes + 1):
        number += 1
        if len(line) <= max_bytes or line.endswith(b"\n"):
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            continue
        size = len(line)
        while (line := handle.readline(1 << 20)) and not line.endswith(b"\n"):
            size += len(line)
        yield (
            number,
            Refusal(
                "too-long", "line", f"{size + len(line):,} bytes", "raise `max_record_bytes` if that is a response"
            ),
        )


def _decoded(line: bytes, number: int) -> Item:
    try:
        found: Json = json.loads(line)
    except UnicodeDecodeError as error:
        return Refusal("not-utf-8", "line", f"byte {error.start + 1}", "write the log in UTF-8")
    except ValueError as error:
        column = getattr(error, "colno", 0)
        hint = "; is the file one list? write one object a line" if number == 1 and line[:1] == b"[" else ""
        return Refusal("not-json", "line", f"column {column}", f"write one JSON object a line{hint}")
    except RecursionError:
        return Refusal("not-json", "line", "too many levels", "write one JSON object a line")
    if isinstance(found, dict):
        return found
    return Refusal(
        "not-an-object", "line", shown(found) if isinstance(found, list) else type(found).__name__, "write {…}"
    )


def _document(file: Path, max_bytes: int) -> Iterator[tuple[Place, Item]]:
    """Documents over many lines: they are decoded together, and so must be no longer than one record, all in all."""
    place = Place(str(file), 1)
    with open_bytes(file) as handle:
        data = handle.read(max_bytes + 1)
    if len(data) > max_bytes:
        yield place, Refusal("too-long", "document", f"more than {max_bytes:,} bytes", "write one object a line")
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield place, Refusal("not-utf-8", "document", f"byte {error.start + 1}", "write the log in UTF-8")
        return
    # The spans that an SDK prints to the console follow one another, each over many lines.
    decoder, at, line = json.JSONDecoder(), 0, 1
    while rest := _SPACE.match(text, at):
        line += text.count("\n", at, rest.end())
        at = rest.end()
        if at == len(text):
            return
        place = Place(str(file), line)
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", line)
            remedy = "what comes after it is lost; write one JSON object a line"
            yield Place(str(file), line), Refusal("not-json", "document", f"line {line}", remedy)
            return
        for item in found if isinstance(found, list) else [found]:
            if isinstance(item, dict):
                yield place, item
            else:
                yield place, Refusal("not-an-object", "item", type(item).__name__, "write {…}")
        line += text.count("\n", at, end)
        at = end

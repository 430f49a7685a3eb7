"""Rewritings that a model wrote beforehand: paraphrases, translations there and back, kept in a file.

A line of the file is one rewriting, as `evalharness rewritings` writes it from a record:

    {"id": "r1", "variant": "paraphrase_1", "source": {"text": "A good film."}, "fields": {"text": "A fine film."},
     "model": "writer", "run": "20260101T…", "prompt": "sha256 …"}

The texts are part of the data of the run that reads them, so that its record says what was asked; `source` holds what
was rewritten, so that a file of an older dataset is refused and not asked.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.types import Json, Row

from .base import Variant

__all__ = ["written_variants"]

_MAX_SHOWN = 20


def written_variants(paths: Sequence[str], base: Path) -> list[Variant]:
    """A variant for each name under `variant` in the files, in the order in which they first stand there.

    Raises:
        UsageError: a file cannot be read, or has no rewriting.
        DataError: lines that are none, or two rewritings of one row under one name.
    """
    found: dict[str, dict[str, _Written]] = {}
    problems: list[Problem] = []
    for path in paths:
        for place, line in _lines(path, base):
            try:
                written = _read(line)
            except ValueError as error:
                problems.append(Problem(place, "written", str(error)))
                continue
            of_variant = found.setdefault(written.variant, {})
            if written.id in of_variant:
                message = f"a second {written.variant!r} of the row {written.id!r}; there may be one"
                problems.append(Problem(place, "written", message))
            of_variant[written.id] = written
    if problems:
        raise DataError(problems[:_MAX_SHOWN])
    if not found:
        raise UsageError(f"there is no rewriting in {', '.join(paths)}; write some with evalharness rewritings")
    return [Variant(name, _rewrite(name, of_variant)) for name, of_variant in found.items()]


@dataclasses.dataclass(frozen=True, slots=True)
class _Written:
    id: str
    variant: str
    source: Mapping[str, Json]
    fields: Mapping[str, Json]


def _lines(path: str, base: Path) -> list[tuple[Place, str]]:
    try:
        lines = (base / path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"written: the file {path!r} cannot be read: {reason}") from error
    return [(Place(path, number), line) for number, line in enumerate(lines, start=1) if line.strip()]


def _read(line: str) -> _Written:
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from error
    texts = ("id", "variant")
    mappings = ("source", "fields")
    if (
        not isinstance(value, dict)
        or not all(isinstance(value.get(key), str) and value[key] for key in texts)
        or not all(isinstance(value.get(key), dict) and value[key] for key in mappings)
    ):
        raise ValueError(
            'must be {"id": …, "variant": …, "source": {FIELD: text before}, "fields": {FIELD: text after}}, as '
            "evalharness rewritings writes it"
        )
    if not all(c.isalnum() or c in "-_" for c in value["variant"]):
        raise ValueError(f"variant: {value['variant'][:60]!r} is no name; use letters, digits, - and _")
    return _Written(value["id"], value["variant"], value["source"], value["fields"])


def _rewrite(name: str, of_variant: Mapping[str, _Written]) -> Any:
    def rewrite(row: Row, fields: tuple[str, ...]) -> Row | None:
        written = of_variant.get(row.id)
        if written is None:
            return None
        for field, text in written.source.items():
            if row.fields.get(field) != text:
                raise UsageError(
                    f"written: {name} was made of another text than the row {row.id!r} now has under {field!r}: "
                    f"{str(text)[:60]!r}; write the rewritings anew"
                )
        new = {field: text for field, text in written.fields.items() if row.fields.get(field) != text}
        return dataclasses.replace(row, fields={**row.fields, **new}) if new else None

    return rewrite

"""From an entry under `perturbations` to what rewrites rows: one perturbation with its options, or several in a row."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from evalharness.core.registry import suggestion
from evalharness.core.types import Json, Row

from .base import Perturbation, PerturbationError, generator

__all__ = ["PERTURBATIONS", "Composed", "composed_of", "perturbation_class"]

PERTURBATIONS: Mapping[str, str] = {
    "typos": "typos:Typos",
    "case": "case:Case",
    "punctuation": "punctuation:Punctuation",
    "whitespace": "whitespace:Whitespace",
    "homoglyphs": "homoglyphs:Homoglyphs",
    "diacritics": "diacritics:Diacritics",
    "contractions": "contractions:Contractions",
    "fillers": "fillers:Fillers",
    "numbers": "numbers:Numbers",
    "word_order": "word_order:WordOrder",
    "negation": "negation:Negation",
}


@dataclass(frozen=True)
class Composed:
    """Perturbations applied one after the other, under one name."""

    name: str
    parts: tuple[Perturbation, ...]

    @property
    def keeps_meaning(self) -> bool:
        """Whether the right answer stays what it was: an even number of negations would, but nobody asks for two."""
        return all(part.keeps_meaning for part in self.parts)

    def text(self, text: str, *, seed: int, row: str, field: str = "") -> str | None:
        """`text` rewritten; None where none of the parts found anything, or nothing is different at the end.

        Chance depends on the seed, the row's id, the field and this perturbation's name alone.
        """
        now = text
        for number, part in enumerate(self.parts):
            changed = part.rewrite(now, generator(seed, row, field, self.name, str(number)))
            now = now if changed is None else changed
        return None if now == text else now

    def row(self, row: Row, fields: Sequence[str], *, seed: int) -> Row | None:
        """`row` with the texts of `fields` rewritten and all else as it was; None where nothing is different."""
        changed: dict[str, Json] = {}
        for name in fields:
            value = row.fields.get(name)
            if isinstance(value, str):
                new = self.text(value, seed=seed, row=row.id, field=name)
                if new is not None:
                    changed[name] = new
        return dataclasses.replace(row, fields={**row.fields, **changed}) if changed else None


def composed_of(spec: Any) -> Composed:
    """What an entry asks for: `typos`, `{case: upper}`, `{typos: {rate: 0.3, as: many_typos}}`, or a list of these.

    Its name is that of its parts with their options in words, joined by +: `typos+case_upper`.

    Raises:
        PerturbationError: no such perturbation, or an option is unknown or wrong.
    """
    entries = list(spec) if isinstance(spec, list | tuple) else [spec]
    if not entries:
        raise PerturbationError("a list of perturbations is empty; name at least one, such as typos")
    found = [_one(entry) for entry in entries]
    return Composed("+".join(name for name, _ in found), tuple(part for _, part in found))


@cache
def perturbation_class(name: str) -> Any:
    """The class of the perturbation `name`.

    Raises:
        PerturbationError: there is none.
    """
    if name not in PERTURBATIONS:
        raise PerturbationError(
            f"unknown perturbation {name!r}{suggestion(name, PERTURBATIONS)}; there are {', '.join(PERTURBATIONS)}"
        )
    module, _, attribute = PERTURBATIONS[name].partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), attribute)


def _one(entry: Any) -> tuple[str, Perturbation]:
    given: Any
    if isinstance(entry, str):
        name, given = entry, None
    elif isinstance(entry, Mapping) and len(entry) == 1:
        name, given = next(iter(entry.items()))
    else:
        raise PerturbationError(
            f"{_short(entry)} is no perturbation; write a name, {{name: option}} or {{name: {{option: value}}}}"
        )
    factory = perturbation_class(str(name))
    options: dict[str, Any] = {}
    if isinstance(given, Mapping):
        options = {str(key): value for key, value in given.items()}
    elif given is not None:
        options = {factory.main: given}
    shown = options.pop("as", None)
    if shown is not None and not (isinstance(shown, str) and _is_name(shown)):
        raise PerturbationError(f"{name}: as: {_short(shown)} is no name; use letters, digits, - and _")
    return shown or _shown_name(factory, options), _built(factory, options)


def _built(factory: Any, options: Mapping[str, Any]) -> Perturbation:
    from pydantic import ValidationError

    known = [field.name for field in dataclasses.fields(factory)]
    for key in options:
        if key not in known:
            raise PerturbationError(
                f"{factory.name}: there is no option {key!r}{suggestion(key, known)}; it takes {_listed(known)}"
            )
    if not options:
        made: Perturbation = factory()
        return made
    try:
        made = _checker(factory).validate_json(json.dumps(dict(options)), strict=True)
    except (TypeError, ValidationError) as error:
        raise PerturbationError(f"{factory.name}: {_first(error)}") from error
    return made


@cache
def _checker(factory: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(factory)


def _first(error: Any) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}; got {_short(first['input'])}" if place else message


def _shown_name(factory: Any, options: Mapping[str, Any]) -> str:
    """The name with the options that are words; numbers would put points into names of figures."""
    said = [value for value in options.values() if isinstance(value, str) and _is_name(value)]
    return "_".join([factory.name, *said])


def _is_name(text: str) -> bool:
    return bool(text) and all(c.isalnum() or c in "-_" for c in text)


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"

"""The terms of an axis: who stands in templates, and which words are rewritten, matched over the axis's levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from evalharness.core.errors import DataError, Place, Problem
from evalharness.core.registry import suggestion

from .grammar import LANGUAGES, PRONOUNS, Pronoun, plural
from .placed import Placed, Reader

__all__ = ["Axis", "Person", "Terms", "Utterance", "When", "Words", "read_terms"]

When: TypeAlias = Literal["any", "before_noun", "after_be", "alone"]
_WHEN: tuple[When, ...] = ("any", "before_noun", "after_be", "alone")
_AXIS = ("levels", "rewritten", "people_are", "pronouns", "people", "others", "also", "words", "keep", "utterances")


@dataclass(frozen=True, slots=True)
class Person:
    """The same person at each level: how it is called there, and which pronouns it has."""

    forms: Mapping[str, str]
    pronouns: Mapping[str, Pronoun]


@dataclass(frozen=True, slots=True)
class Words:
    """The same word at each level; `when` parts words that are written alike (her: his before a noun, else him).

    after_be: behind a form of to be ("she is Jewish"); it goes before `alone`, which it is a case of.
    """

    forms: Mapping[str, str]
    when: When = "any"


@dataclass(frozen=True, slots=True)
class Utterance:
    """The same thing said at each level, for an axis that is a way of speaking."""

    id: str
    gold: str
    forms: Mapping[str, str]
    place: Place


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its levels, and its terms. `rewritten` are the levels to which texts can be rewritten.

    `others` are people who stand in no template; `also` are first names of no level that are rewritten as well, each
    with the number of the person it becomes.
    """

    name: str
    language: str
    levels: tuple[str, ...]
    rewritten: tuple[str, ...]
    named: bool
    people: tuple[Person, ...]
    others: tuple[Person, ...]
    also: Mapping[str, int]
    words: tuple[Words, ...]
    keep: tuple[str, ...]
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """A file of terms."""

    shown: str
    language: str
    axes: Mapping[str, Axis]

    def axis(self, name: str) -> Axis:
        """The axis called `name`.

        Raises:
            DataError: the file has no such axis.
        """
        if name not in self.axes:
            has = suggestion(name, self.axes) or f"; it has: {', '.join(self.axes)}"
            raise DataError([Problem(Place(self.shown, 1, 1), "", f"there is no axis {name!r} in this file{has}")])
        return self.axes[name]


def read_terms(path: Path, shown: str) -> Terms:
    """The terms in a YAML file; `shown` is its name in messages.

    Raises:
        DataError: with the place of all that is wrong with the file.
    """
    reader = Reader(path, shown=shown)
    root = reader.mapping(
        reader.root, "the file", known=("version", "language", "axes"), needed=("version", "language", "axes")
    )
    reader.check()
    if reader.text(root["version"], "version") != "1":
        reader.fault(root["version"], "version must be 1")
    language = reader.one_of(root["language"], "language", LANGUAGES)
    axes = reader.mapping(root["axes"], "axes")
    found = {name: _axis(reader, name, node, language) for name, node in axes.items()}
    if not found:
        reader.fault(root["axes"], "there is no axis; give at least one")
    reader.check()
    return Terms(shown, language, found)


def _axis(reader: Reader, name: str, node: Placed, language: str) -> Axis:
    what = f"the axis {name!r}"
    entries = reader.mapping(node, what, known=_AXIS, needed=("levels",))
    levels = tuple(reader.texts(entries["levels"], "levels")) if "levels" in entries else ()
    if "levels" in entries and (len(levels) < 2 or len(set(levels)) < len(levels)):
        reader.fault(entries["levels"], f"{what} needs two levels or more, all of them different")
    rewritten = tuple(reader.texts(entries["rewritten"], "rewritten")) if "rewritten" in entries else levels
    if "rewritten" in entries and (len(set(rewritten)) < 2 or not set(rewritten) <= set(levels)):
        reader.fault(entries["rewritten"], f"rewritten must be two or more of the levels ({', '.join(levels)})")
    given = entries.get("people_are")
    named = given is not None and reader.one_of(given, "people_are", ("names", "descriptions")) == "names"
    if "people" in entries and given is None:
        reader.fault(entries["people"], "say what people are: `people_are: names`, or `people_are: descriptions`")
    everyone = _pronouns(reader, entries.get("pronouns"), levels)
    people = [
        _person(reader, item, levels, everyone)
        for item in (reader.items(entries["people"], "people") if "people" in entries else [])
    ]
    others = [
        _person(reader, item, rewritten, {level: everyone[level] for level in rewritten})
        for item in (reader.items(entries["others"], "others") if "others" in entries else [])
    ]
    if others and not named:
        reader.fault(entries["others"], "others are people by their names: it goes with `people_are: names`")
    also = _also(reader, entries.get("also"), people, named=named)
    words = [
        made
        for item in (reader.items(entries["words"], "words") if "words" in entries else [])
        for made in _words(reader, item, rewritten, language)
    ]
    said = reader.items(entries["utterances"], "utterances") if "utterances" in entries else []
    utterances = [_utterance(reader, item, levels) for item in said]
    if not people and not words and not utterances:
        reader.fault(node, f"{what} has no terms; give people, words or utterances")
    _refuse_twice(reader, entries, people + others, levels)
    return Axis(
        name,
        language,
        levels,
        rewritten,
        named,
        tuple(people),
        tuple(others),
        also,
        tuple(words),
        tuple(reader.texts(entries["keep"], "keep")) if "keep" in entries else (),
        tuple(utterances),
    )


def _pronouns(reader: Reader, node: Placed | None, levels: tuple[str, ...]) -> dict[str, Pronoun]:
    """The pronouns at each level: one word for all of them, or {level: word}; they where nothing is said."""
    if node is None:
        return dict.fromkeys(levels, "they")
    if isinstance(node.value, dict):
        given = reader.mapping(node, "pronouns", known=levels, needed=levels)
        return {level: _pronoun(reader, given[level]) for level in levels if level in given}
    return dict.fromkeys(levels, _pronoun(reader, node))


def _pronoun(reader: Reader, node: Placed) -> Pronoun:
    found = reader.one_of(node, "pronouns", PRONOUNS)
    return next(known for known in PRONOUNS if known == found)


def _forms(reader: Reader, entries: Mapping[str, Placed], levels: tuple[str, ...]) -> dict[str, str]:
    return {level: reader.text(entries[level], f"the form for {level!r}") for level in levels if level in entries}


def _person(reader: Reader, node: Placed, levels: tuple[str, ...], everyone: Mapping[str, Pronoun]) -> Person:
    entries = reader.mapping(node, "a line of people", known=(*levels, "pronouns"), needed=levels)
    own = _pronouns(reader, entries["pronouns"], levels) if "pronouns" in entries else dict(everyone)
    return Person(_forms(reader, entries, levels), own)


def _also(reader: Reader, node: Placed | None, people: list[Person], *, named: bool) -> dict[str, int]:
    """Names by pronoun, dealt out to the people who have it."""
    if node is None:
        return {}
    if not named:
        reader.fault(node, "also lists first names: it goes with `people_are: names`")
    found: dict[str, int] = {}
    for pronoun, names in reader.mapping(node, "also", known=PRONOUNS).items():
        theirs = [number for number, person in enumerate(people) if set(person.pronouns.values()) == {pronoun}]
        if not theirs:
            reader.fault(names, f"no line of people has the pronouns {pronoun!r} at every level")
            continue
        for place, name in enumerate(reader.texts(names, f"also: {pronoun}")):
            if name in found:
                reader.fault(names, f"{name!r} stands in `also` twice")
            found[name] = theirs[place % len(theirs)]
    return found


def _words(reader: Reader, node: Placed, levels: tuple[str, ...], language: str) -> list[Words]:
    """The line's words, and their plurals where it asks for those."""
    entries = reader.mapping(node, "a line of words", known=(*levels, "when", "plural"), needed=levels)
    forms = _forms(reader, entries, levels)
    when: When = "any"
    if "when" in entries:
        found = reader.one_of(entries["when"], "when", _WHEN)
        when = next(known for known in _WHEN if known == found)
    made = [Words(forms, when)]
    if "plural" in entries and reader.one_of(entries["plural"], "plural", ("true", "false")) == "true":
        if language != "en":
            reader.fault(
                entries["plural"], "plural makes English plurals only; write the plurals on a line of their own"
            )
        made.append(Words({level: plural(form) for level, form in forms.items()}, when))
    return made


def _utterance(reader: Reader, node: Placed, levels: tuple[str, ...]) -> Utterance:
    needed = ("id", "gold", *levels)
    entries = reader.mapping(node, "an utterance", known=needed, needed=needed)
    id_ = reader.text(entries["id"], "id") if "id" in entries else ""
    gold = reader.one_of(entries["gold"], "gold", ("positive", "negative")) if "gold" in entries else ""
    return Utterance(id_, gold, _forms(reader, entries, levels), node.place)


def _refuse_twice(reader: Reader, entries: Mapping[str, Placed], people: list[Person], levels: tuple[str, ...]) -> None:
    """A person's name that stands twice would have two counterparts, and an utterance's id two clusters in one."""
    if "people" in entries:
        seen: dict[tuple[str, str], int] = {}
        nodes = [node for key in ("people", "others") if key in entries for node in reader.items(entries[key], key)]
        for place, (person, node) in enumerate(zip(people, nodes, strict=True)):
            for level in levels:
                form = person.forms.get(level, "")
                if form and (level, form) in seen:
                    reader.fault(node, f"{form!r} stands at the level {level!r} twice; each person needs its own name")
                seen[level, form] = place
    if "utterances" in entries:
        known: set[str] = set()
        for node in reader.items(entries["utterances"], "utterances"):
            id_ = node.value["id"].value if isinstance(node.value, dict) and "id" in node.value else None
            if isinstance(id_, str) and id_ in known:
                reader.fault(node, f"the id {id_!r} stands here for a second time; ids must differ")
            known.add(str(id_))

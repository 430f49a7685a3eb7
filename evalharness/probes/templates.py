"""Templates of counterfactual questions: a text with a place for a person, and how models are asked about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from evalharness.core.errors import DataError, Place, Problem
from evalharness.core.registry import suggestion

from .grammar import LANGUAGES, Pronoun, pronoun, someone
from .placed import Placed, Reader

__all__ = ["USES", "Template", "Templates", "Use", "filled", "read_templates"]

USES: tuple[str, ...] = ("resume", "sentiment", "toxicity", "refusal", "quality")
_WITH_ANSWERS = ("resume", "sentiment", "toxicity")
_PHRASES = ("applicant", "applicant_says", "intro")
_PRONOUNS = ("they", "them", "their", "theirs", "themself")
_PLACE = re.compile(r"\{([A-Za-z_]*)\}")
_BRACE = re.compile(r"[{}]")
_NAMES_SOMEBODY = frozenset({"someone", "applicant", "intro"})


@dataclass(frozen=True, slots=True)
class Template:
    """One text with its places; `gold` is the right answer, "" where there is none to compare with."""

    id: str
    text: str
    gold: str
    place: Place


@dataclass(frozen=True, slots=True)
class Use:
    """What a model is used for: the question around each text, the answers to choose from, and the texts."""

    question: str
    answers: tuple[str, ...]
    templates: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Templates:
    """A file of templates."""

    shown: str
    language: str
    phrases: Mapping[str, str]
    uses: Mapping[str, Use]

    def use(self, name: str) -> Use:
        """The templates of one use.

        Raises:
            DataError: the file has none.
        """
        if name not in self.uses:
            has = ", ".join(self.uses)
            raise DataError(
                [
                    Problem(
                        Place(self.shown, 1, 1),
                        "",
                        f"there are no templates for use: {name} in this file; it has: {has}",
                    )
                ]
            )
        return self.uses[name]


def filled(text: str, phrases: Mapping[str, str], form: str, pronouns: Pronoun, *, named: bool, language: str) -> str:
    """The text with the person in its places."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        key = name[0].lower() + name[1:]
        if key in phrases:
            return _PLACE.sub(value, phrases[key])
        found = someone(form, named=named, language=language) if key == "someone" else pronoun(key, pronouns, language)
        return found if key == name else found[:1].upper() + found[1:]

    return _PLACE.sub(value, text)


@lru_cache(maxsize=16)
def read_templates(path: Path, shown: str) -> Templates:
    """The templates in a YAML file; `shown` is its name in messages.

    Raises:
        DataError: with the place of all that is wrong with the file.
    """
    reader = Reader(path, shown=shown)
    keys = ("version", "language", "phrases", "uses")
    root = reader.mapping(reader.root, "the file", known=keys, needed=("version", "language", "uses"))
    reader.check()
    if reader.text(root["version"], "version") != "1":
        reader.fault(root["version"], "version must be 1")
    language = reader.one_of(root["language"], "language", LANGUAGES)
    phrases: dict[str, str] = {}
    for name, node in (reader.mapping(root["phrases"], "phrases", known=_PHRASES) if "phrases" in root else {}).items():
        phrases[name] = reader.text(node, f"the phrase {name!r}")
        known = ("utterance",) if name == "applicant_says" else ("someone", "Someone", *_PRONOUNS)
        _check_places(reader, node, phrases[name], known, f"the phrase {name!r}")
    uses = {
        name: _use(reader, name, node, phrases)
        for name, node in reader.mapping(root["uses"], "uses", known=USES).items()
    }
    if not uses:
        reader.fault(root["uses"], f"there are no templates; give some for one of: {', '.join(USES)}")
    reader.check()
    return Templates(shown, language, phrases, uses)


def _use(reader: Reader, name: str, node: Placed, phrases: Mapping[str, str]) -> Use:
    needed = ("question", "templates", *(("answers",) if name in _WITH_ANSWERS else ()))
    entries = reader.mapping(node, f"the use {name!r}", known=("question", "answers", "templates"), needed=needed)
    question = reader.text(entries["question"], "question") if "question" in entries else ""
    if question:
        _check_places(reader, entries["question"], question, ("text",), "question")
        if "{text}" not in question:
            reader.fault(entries["question"], "question must hold {text}, the place of the text")
    answers = tuple(reader.texts(entries["answers"], "answers")) if "answers" in entries else ()
    if "answers" in entries and (len(answers) < 2 or len(set(answers)) < len(answers)):
        reader.fault(entries["answers"], "answers must be two or more, all of them different")
    if any("{{" in answer or "{%" in answer for answer in answers):
        reader.fault(entries["answers"], "answers stand as they are: take {{ and {% out of them")
    with_gold = name in _WITH_ANSWERS or name == "quality"
    seen: dict[str, int] = {}
    made = []
    for item in reader.items(entries["templates"], "templates") if "templates" in entries else []:
        found = _template(reader, item, phrases, with_gold)
        if found.gold and name in _WITH_ANSWERS and answers and found.gold not in answers:
            at = item.value["gold"] if isinstance(item.value, dict) else item
            reader.fault(at, f"gold must be one of the answers ({', '.join(answers)}), found {found.gold!r}")
        if found.id in seen:
            reader.fault(
                item, f"the id {found.id!r} stands here for a second time; the first is in line {seen[found.id]}"
            )
        seen.setdefault(found.id, item.place.line)
        made.append(found)
    if "templates" in entries and not made:
        reader.fault(entries["templates"], "there is no template; give at least one, and 30 for an interval")
    return Use(question, answers, tuple(made))


def _template(reader: Reader, node: Placed, phrases: Mapping[str, str], with_gold: bool) -> Template:
    keys = ("id", "text", "gold") if with_gold else ("id", "text")
    entries = reader.mapping(node, "a template", known=keys, needed=keys)
    text = reader.text(entries["text"], "text") if "text" in entries else ""
    if text:
        places = ("someone", "Someone", *_PRONOUNS, *(p.capitalize() for p in _PRONOUNS), "applicant", "intro")
        _check_places(reader, entries["text"], text, places, "text")
        used = {name.lower() for name in _PLACE.findall(text)}
        if not used & _NAMES_SOMEBODY:
            reader.fault(
                entries["text"], "text names nobody; put {someone}, {intro} or {applicant} where the person is"
            )
        for name in sorted(used & {"applicant", "intro"} - set(phrases)):
            reader.fault(entries["text"], f"{{{name}}} stands for a phrase, and phrases has no {name!r}")
    return Template(
        reader.text(entries["id"], "id") if "id" in entries else "",
        text,
        reader.text(entries["gold"], "gold") if "gold" in entries else "",
        node.place,
    )


def _check_places(reader: Reader, node: Placed, text: str, known: tuple[str, ...], what: str) -> None:
    for name in _PLACE.findall(text):
        if name not in known:
            near = suggestion(name, known) or f"; it may have: {', '.join(f'{{{k}}}' for k in known)}"
            reader.fault(node, f"{what} has no place {{{name}}}{near}")
    if _BRACE.search(_PLACE.sub("", text)):
        reader.fault(node, f"{what} has a lone {{ or }}; braces stand around the names of places only")

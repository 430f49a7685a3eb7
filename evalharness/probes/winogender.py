"""Winogender: an occupation, another participant and a pronoun, with the labour statistics of each occupation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from evalharness.core.errors import Place, UsageError
from evalharness.core.types import Row

from .base import Part
from .bias_files import Faults, Record, find, records, text_of
from .wino import PRONOUNS, coreference_part, coreference_row, gender_of, pronoun_part

__all__ = ["Winogender"]

_GENDERS = ("male", "female", "neutral")
_FORMS = {
    "$NOM_PRONOUN": {"male": "he", "female": "she", "neutral": "they"},
    "$POSS_PRONOUN": {"male": "his", "female": "her", "neutral": "their"},
    "$ACC_PRONOUN": {"male": "him", "female": "her", "neutral": "them"},
}
_TEMPLATE_COLUMNS = ("occupation(0)", "other-participant(1)", "answer", "sentence")
_WORD = re.compile(rf"\b({'|'.join(PRONOUNS)})\b", re.IGNORECASE)


class _Item(NamedTuple):
    place: Place
    occupation: str
    participant: str
    answer: int  # 0: the occupation, 1: the participant
    gender: str
    sentence: str
    pronoun: str


@dataclass(frozen=True, kw_only=True)
class Winogender:
    """Winogender: does a model find whom a pronoun refers to as often where the job is not typical of the gender?

    Takes the published `all_sentences.tsv`, or `templates.tsv`, and `occupations-stats.tsv`. A sentence is a "gotcha"
    (`anti`) where it refers with a female pronoun to an occupation in which women are fewer than half, or to the
    participant beside one in which they are not, and the other way round for male pronouns; all others with a gendered
    pronoun are `pro`; neutral pronouns are on neither side. All sentences about an occupation are one cluster.

    Options:
        path: all_sentences.tsv or templates.tsv, from the suite's folder.
        stats: occupations-stats.tsv (default: beside the other file).
        share: bls takes the share of women in US labour statistics, as published; bergsma that in texts.
        ask: coreference asks whom the pronoun refers to, and gives the gap of accuracies with and against the
            stereotype; pronoun compares the likelihoods of the sentence with a male and a female pronoun.
        margin: how far from 0 (of a share: from 1/2) the figure may be that still counts as none, in the finding.
    """

    path: str
    stats: str | None = None
    share: Literal["bls", "bergsma"] = "bls"
    ask: Literal["coreference", "pronoun"] = "coreference"
    margin: float = 0.0

    name: ClassVar[str] = "winogender"
    question: ClassVar[str] = "gender and occupation"
    description: ClassVar[str] = "Winogender: accuracy with minus accuracy against occupational stereotypes (gotcha)"

    def rows(self, base: Path) -> Sequence[Row]:
        file = find(self.path, base)
        shares = self._shares(file, base)
        found = records(file)
        faults = Faults()
        templates = all(name in found[0].fields for name in _TEMPLATE_COLUMNS)
        items = _from_templates(found, faults) if templates else _from_sentences(found, faults)
        for occupation in sorted({item.occupation for item in items} - set(shares)):
            place = next(item.place for item in items if item.occupation == occupation)
            where = self._stats_file(file)
            faults.add(place, f"there is no share of women for the occupation {occupation!r} in {where}")
        faults.check()
        return self._pairs(items, shares) if self.ask == "pronoun" else [_row(item, shares) for item in items]

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        if self.ask == "pronoun":
            return [pronoun_part(["participant"], margin=self.margin)]
        return [coreference_part(["stereotype", "gender", "participant"], margin=self.margin)]

    def unit(self, row: Row) -> str:
        """The genders of a sentence stand together."""
        return row.id.rpartition("-")[0] if self.ask == "coreference" else row.id

    def _stats_file(self, file: Path) -> str:
        return self.stats or str(file.parent / "occupations-stats.tsv")

    def _shares(self, file: Path, base: Path) -> Mapping[str, float]:
        """The share of women in each occupation, in percent."""
        column = f"{self.share}_pct_female"
        try:
            at = find(self._stats_file(file), base)
        except UsageError as error:
            raise UsageError(f"{error}; which sentences are gotchas follows from it: set stats: to its path") from error
        faults, shares = Faults(), {}
        for record in records(at, needs=("occupation", column)):
            text = text_of(record, column, faults)
            try:
                shares[text_of(record, "occupation", faults).casefold()] = float(text or "nan")
            except ValueError:
                faults.add(record.place, f"must be a number, but is {text!r}", column)
        faults.check()
        return shares

    def _pairs(self, items: Sequence[_Item], shares: Mapping[str, float]) -> list[Row]:
        twins: dict[str, dict[str, _Item]] = {}
        for item in items:
            twins.setdefault(_name(item), {})[item.gender] = item
        rows = []
        for name, by_gender in twins.items():
            if "male" not in by_gender or "female" not in by_gender:
                continue
            sides = {_side(by_gender[gender], shares): by_gender[gender] for gender in ("male", "female")}
            item = sides["pro"]
            fields = {"pro": item.sentence, "anti": sides["anti"].sentence}
            rows.append(Row(name, fields, item.place, _participant(item), item.occupation))
        return rows


def _name(item: _Item) -> str:
    return f"{item.occupation}-{item.participant}-{item.answer}".replace(" ", "_")


def _side(item: _Item, shares: Mapping[str, float]) -> str:
    if item.gender == "neutral":
        return "neutral"
    # Of an occupation a pronoun in its rarer gender surprises, of the other participant one in its usual gender.
    usual = (item.gender == "female") == (shares[item.occupation] >= 50)
    return "pro" if usual == (item.answer == 0) else "anti"


def _participant(item: _Item) -> dict[str, str]:
    return {"participant": "someone" if item.participant == "someone" else "named"}


def _row(item: _Item, shares: Mapping[str, float]) -> Row:
    people = (item.occupation, item.participant)
    return coreference_row(
        f"{_name(item)}-{item.gender}",
        item.place,
        sentence=item.sentence,
        pronoun=item.pronoun,
        people=people,
        referent=people[item.answer],
        groups={"stereotype": _side(item, shares), **_participant(item)},
        cluster=item.occupation,
    )


def _from_sentences(found: Sequence[Record], faults: Faults) -> list[_Item]:
    items = []
    for record in found:
        if not {"sentid", "sentence"} <= set(record.fields):
            faults.add(record.place, "has no sentid and sentence, and is no template; name all_sentences.tsv")
            continue
        name, sentence = text_of(record, "sentid", faults), text_of(record, "sentence", faults)
        parts = name.removesuffix(".txt").rsplit(".", 3)
        if len(parts) != 4 or parts[2] not in ("0", "1") or parts[3] not in _GENDERS:
            faults.add(record.place, f"must read occupation.participant.answer.gender.txt, but is {name!r}", "sentid")
            continue
        occupation, participant, answer, gender = parts
        pronouns = [word for word in _WORD.findall(sentence) if gender_of(word) == gender]
        if not pronouns:
            faults.add(record.place, f"holds no {gender} pronoun", "sentence")
            continue
        people = occupation.casefold(), participant.casefold()
        items.append(_Item(record.place, *people, int(answer), gender, sentence, pronouns[0].casefold()))
    return items


def _from_templates(found: Sequence[Record], faults: Faults) -> list[_Item]:
    items = []
    for record in found:
        occupation, participant, answer, sentence = (text_of(record, name, faults) for name in _TEMPLATE_COLUMNS)
        form = next((form for form in _FORMS if form in sentence), None)
        if form is None or "$OCCUPATION" not in sentence or "$PARTICIPANT" not in sentence or answer not in ("0", "1"):
            message = "must hold $OCCUPATION, $PARTICIPANT and a pronoun such as $NOM_PRONOUN; its answer is 0 or 1"
            faults.add(record.place, message, "sentence")
            continue
        for other in (participant, "someone"):
            for gender in _GENDERS:
                text = sentence.replace("$OCCUPATION", occupation)
                if other == "someone":
                    text = text.replace("the $PARTICIPANT", "someone").replace("The $PARTICIPANT", "Someone")
                pronoun = _FORMS[form][gender]
                text = text.replace("$PARTICIPANT", other).replace(form, pronoun)
                text = re.sub(r"(?<=they )was\b", "were", text) if gender == "neutral" else text
                people = occupation.casefold(), other.casefold()
                items.append(_Item(record.place, *people, int(answer), gender, text, pronoun))
    return items

"""HONEST: whether a model completes sentences about some people with hurtful words more often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from evalharness.core.types import Json, Row

from .bias_files import Faults, Record, check_columns, find, records, text_of
from .continuations import Continuations, require

__all__ = ["Honest"]

_MASK = "[M]"
_NUMBERS = frozenset({"singular", "plural"})


@dataclass(frozen=True, kw_only=True)
class Honest(Continuations):
    """HONEST: sentences such as "The woman should work as a", and how often they end in a hurtful word, by group.

    Templates and lexicon are not part of evalharness: name the templates of a language (`en_template.tsv` of the HONEST
    package, MIT) and its HurtLex file (`hurtlex_EN.tsv`, CC BY-NC-SA 4.0). The published score is that of a masked
    model's k likeliest words; here a model that writes is asked for k continuations, so give `repeats: k` and a
    temperature above 0. What follows [M] in a template is not shown.

    Options:
        path: the templates, TSV with template_masked, raw, identity, number, category and type.
        lexicon: a HurtLex file; without it give metrics of your own.
        column_of_groups: the column of the templates that says which group a sentence is about. Files that call the
            category mf, and the published one whose headings number and category stand over one another's columns,
            are read as they are meant.
        cluster: what is drawn from a population: identity (the word for the person), or template (the sentence without
            it, which all groups share).
        metrics: what is measured in the place of the HONEST score.
        repeats: completions of each sentence.
        generate: generation settings (default: 5 tokens, temperature 1, to the end of the sentence).
        chat: apply the model's chat template.
        margin: a difference that does not matter.
        least_n: in the smallest group; with fewer nothing is found.

    Source: Nozza, Bianchi and Hovy 2021 (HONEST) and Nozza et al. 2022, their templates and lexicon.
    """

    path: str
    lexicon: str | None = None
    column_of_groups: Literal["category", "number", "identity", "type"] = "category"
    cluster: Literal["identity", "template"] = "identity"
    repeats: int = 5

    name: ClassVar[str] = "honest"
    question: ClassVar[str] = "generation about groups"
    description: ClassVar[str] = "HONEST: how often sentences about people end in a hurtful word, by group"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.lexicon is not None or self.metrics is not None,
            "lexicon: name a HurtLex file, or give metrics of your own",
        )

    def settings(self) -> Mapping[str, Json]:
        """A word or two, to the end of the sentence."""
        return {"max_tokens": 5, "temperature": 1.0, "stop": [".", "\n"]}

    def measured(self) -> Sequence[Json]:
        """The HONEST score."""
        return [{"honest_score": {"lexicon": self.lexicon, "as": "honest"}}]

    def rows(self, base: Path) -> Sequence[Row]:
        """The sentences up to the word that is missing, each in its group.

        Raises:
            UsageError: there is no such file.
            DataError: the file is not as published, with the place of each fault.
        """
        file = find(self.path, base)
        templates = _as_meant(records(file))
        needs = (
            "template_masked",
            "identity",
            self.column_of_groups,
            *(("raw",) if self.cluster == "template" else ()),
        )
        check_columns(templates, needs)
        faults = Faults()
        found = [
            row
            for number, record in enumerate(templates, start=1)
            if (row := self._row(number, record, faults)) is not None
        ]
        faults.check()
        return found

    def _row(self, number: int, record: Record, faults: Faults) -> Row | None:
        sentence = text_of(record, "template_masked", faults)
        group = text_of(record, self.column_of_groups, faults)
        cluster = text_of(record, "identity" if self.cluster == "identity" else "raw", faults)
        prompt = sentence.partition(_MASK)[0].strip()
        if sentence and (_MASK not in sentence or not prompt):
            faults.add(
                record.place, f"must have {_MASK} behind the words to be continued, as published", "template_masked"
            )
        if not (sentence and group and cluster and prompt):
            return None
        return Row(str(number), {**record.fields, "prompt": prompt}, record.place, {"group": group}, cluster)


def _as_meant(templates: Sequence[Record]) -> list[Record]:
    """The templates with what `category` and `number` mean under these names.

    The first files (2021) call the category `mf`. `queer_nonqueer/en_template.tsv` (2022) has the two headings over one
    another's columns, so that every sentence would be of the group "singular".
    """
    found = [
        Record(
            place, {"category" if name == "mf" and "category" not in fields else name: fields[name] for name in fields}
        )
        for place, fields in templates
    ]

    def numbers(column: str) -> bool:
        return all(fields.get(column) in _NUMBERS for _, fields in found)

    if numbers("category") and all("number" in fields for _, fields in found) and not numbers("number"):
        swap = {"category": "number", "number": "category"}
        return [Record(place, {swap.get(name, name): fields[name] for name in fields}) for place, fields in found]
    return found

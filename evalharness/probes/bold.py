"""BOLD: how a model goes on writing about people of different groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from evalharness.core.errors import DataError, Place, Problem, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.types import Json, Row

from .bias_files import Faults, find, load_json, records
from .continuations import Continuations, require

__all__ = ["Bold"]


@dataclass(frozen=True, kw_only=True)
class Bold(Continuations):
    """BOLD: beginnings of Wikipedia sentences about people of several groups, and how far continuations differ.

    The files are not part of evalharness (CC BY-SA 4.0): name the one of a domain, `gender_prompt.json`. Prompts about
    one person or thing are a cluster. An unequal tone may come from the prompts themselves, which are real sentences:
    compare models on them, and read the differences with those of the Wikipedia text in mind.

    Options:
        path: a file of the published format: {group: {entity: [prompt, …]}}, or JSON Lines with domain, category, name
            and prompts.
        domain: of a file with several domains, the one whose categories are compared.
        groups: which groups are compared (default: all).
        metrics: what is measured of the continuations, each with its difference (default: toxicity_lexicon).
        repeats: continuations of each prompt.
        generate: generation settings (default: 25 tokens, greedy).
        chat: apply the model's chat template.
        margin: a difference that does not matter.
        least_n: in the smallest group; with fewer nothing is found.

    Source: Dhamala et al. 2021 (BOLD), its files; there with VADER, regard and toxicity of continuations.
    """

    path: str
    domain: str | None = None
    groups: tuple[str, ...] | None = None

    name: ClassVar[str] = "bold"
    question: ClassVar[str] = "generation about groups"
    description: ClassVar[str] = "BOLD: how far continuations about people of different groups differ"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.groups is None or len(set(self.groups)) > 1, "groups must be two or more")

    def rows(self, base: Path) -> Sequence[Row]:
        """The prompts, each in its group.

        Raises:
            UsageError: there is no such file, domain or group.
            DataError: the file is not as published, with the place of each fault.
        """
        file = find(self.path, base)
        found = list(self._of_json(file) if file.suffix.lower() == ".json" else self._of_lines(file))
        known = list(dict.fromkeys(row.groups["group"] for row in found))
        for group in self.groups or ():
            if group not in known:
                near = suggestion(group, known) or f"; it has: {', '.join(known[:20])}"
                raise UsageError(f"bold: there is no group {group!r} in {file}{near}")
        return [row for row in found if self.groups is None or row.groups["group"] in self.groups]

    def _of_json(self, file: Path) -> Iterator[Row]:
        if self.domain is not None:
            raise UsageError("bold: domain has no effect: a .json file of BOLD holds one domain; remove it")
        content, _ = load_json(file)
        if not isinstance(content, dict) or not content:
            raise DataError([Problem(Place(str(file), 1), "", "must be {group: {entity: [prompt, …]}}, as published")])
        faults = Faults()
        rows: list[Row] = []
        for group, entities in content.items():
            if not isinstance(entities, dict):
                faults.add(Place(str(file), 1), "must be a mapping {entity: [prompt, …]}", group)
                continue
            for entity, prompts in entities.items():
                rows += _rows(file, Place(str(file)), group, entity, prompts, faults)
        faults.check()
        yield from rows

    def _of_lines(self, file: Path) -> Iterator[Row]:
        found = records(file, needs=("domain", "name", "category", "prompts"))
        domains = list(dict.fromkeys(str(record.fields["domain"]) for record in found))
        if self.domain is None and len(domains) > 1:
            raise UsageError(f"bold: {file} has several domains; choose one: domain: {' | '.join(domains)}")
        if self.domain is not None and self.domain not in domains:
            near = suggestion(self.domain, domains) or f"; it has: {', '.join(domains)}"
            raise UsageError(f"bold: there is no domain {self.domain!r} in {file}{near}")
        faults = Faults()
        rows: list[Row] = []
        for record in found:
            if self.domain in (None, record.fields["domain"]):
                group, entity = str(record.fields["category"]), str(record.fields["name"])
                rows += _rows(file, record.place, group, entity, record.fields["prompts"], faults)
        faults.check()
        yield from rows


def _rows(file: Path, place: Place, group: str, entity: str, prompts: Json, faults: Faults) -> list[Row]:
    good = isinstance(prompts, list) and all(isinstance(prompt, str) and prompt.strip() for prompt in prompts)
    if not isinstance(prompts, list) or not good:
        faults.add(place, "must be a list of texts, the prompts", f"{group}.{entity}")
        return []
    return [
        Row(
            f"{group}/{entity}/{number}",
            {"prompt": str(prompt).strip(), "group": group, "entity": entity},
            place,
            {"group": group},
            f"{group}/{entity}",
        )
        for number, prompt in enumerate(prompts)
    ]

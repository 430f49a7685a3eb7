"""What a report says of attacks, as plain values: which words were put in the place of which, and single texts."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .explanations import is_attack
from .text import clip
from .worddiff import Piece, word_diff

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["AttackView", "AttackedText", "WordChange", "attack_views"]

MAX_TEXTS = 12
_MAX_CHANGES = 15
_TEXT = 4_000
# What is shown first: what turned round, then what came near it.
_ORDER = {"fooled": 0, "out of queries": 1, "held": 1, "wrong before": 2}
OUTCOMES = {
    "fooled": "turned round",
    "held": "held",
    "out of queries": "held: out of queries",
    "wrong before": "wrong as it was",
}


@dataclass(frozen=True, slots=True)
class WordChange:
    """A word and what stood in its place, in so many of the texts that were turned round."""

    old: str
    new: str
    n_texts: int


@dataclass(frozen=True, slots=True)
class AttackedText:
    """One text as it was and as the search left it; `before` and `probability` are those of the gold label."""

    id: str
    outcome: str
    target: str
    answer_before: str
    answer: str
    before: float
    probability: float
    n_queries: int
    similarity: float | None
    changes: tuple[tuple[str, str], ...]
    old: tuple[Piece, ...]
    new: tuple[Piece, ...]

    @property
    def fooled(self) -> bool:
        """Whether the answer was turned round."""
        return self.outcome == OUTCOMES["fooled"]


@dataclass(frozen=True, slots=True)
class AttackView:
    """The attacks of one task on one model."""

    task: str
    model: str
    n_texts: int
    n_failed: int
    outcomes: tuple[tuple[str, int], ...]
    changes: tuple[WordChange, ...]
    texts: tuple[AttackedText, ...]


def attack_views(record: Record, *, max_texts: int = MAX_TEXTS) -> tuple[AttackView, ...]:
    """The attacks in `record`, a view for each task and model; none where it has none.

    Texts that were turned round come first, those with the fewest words changed before others.
    """
    return tuple(
        _view(record, entry.id, entry.model, max_texts)
        for entry in record.manifest.tasks
        if entry.kind == "study" and is_attack(record, entry.id, entry.model)
    )


def _view(record: Record, task: str, model: str, max_texts: int) -> AttackView:
    outcomes: Counter[str] = Counter()
    changes: Counter[tuple[str, str]] = Counter()
    kept: list[tuple[tuple[int, float, int], str, Mapping[str, Any]]] = []
    n = n_failed = 0
    for place, row in enumerate(record.iter_samples(task=task, model=model)):
        attack: Any = row.response.meta.get("attack") if row.response.meta else None
        if not isinstance(attack, Mapping):
            n_failed += 1
            continue
        n += 1
        outcome = str(attack.get("outcome"))
        outcomes[OUTCOMES.get(outcome, outcome)] += 1
        if outcome == "fooled":
            changes.update({(old.lower(), new.lower()) for old, new in attack["changes"]})
        rank = _ORDER.get(outcome, 1), float(attack.get("share_changed") or 0), place
        kept = heapq.nsmallest(max_texts, [*kept, (rank, row.sample.id, attack)], key=lambda one: one[0])
    return AttackView(
        task=task,
        model=model,
        n_texts=n,
        n_failed=n_failed,
        outcomes=tuple((name, outcomes[name]) for name in OUTCOMES.values() if outcomes[name]),
        changes=tuple(
            WordChange(old, new, count)
            for (old, new), count in sorted(changes.items(), key=lambda one: (-one[1], one[0]))[:_MAX_CHANGES]
        ),
        texts=tuple(_text(sample_id, attack) for _, sample_id, attack in kept),
    )


def _text(sample_id: str, attack: Mapping[str, Any]) -> AttackedText:
    original, changed = clip(str(attack["original"]), _TEXT), clip(str(attack["text"]), _TEXT)
    old, new = word_diff(original, changed)
    outcome = str(attack.get("outcome"))
    similarity = attack.get("similarity")
    return AttackedText(
        id=sample_id,
        outcome=OUTCOMES.get(outcome, outcome),
        target=str(attack.get("target")),
        answer_before=str(attack.get("answer_before")),
        answer=str(attack.get("answer")),
        before=float(attack["probability_before"]),
        probability=float(attack["probability"]),
        n_queries=int(attack["n_queries"]),
        similarity=None if similarity is None else float(similarity),
        changes=tuple((str(a), str(b)) for a, b in attack["changes"]),
        old=tuple(old),
        new=tuple(new),
    )

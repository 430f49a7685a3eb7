"""The items that are rated, single outputs or pairs, and the order in which each rater meets them.

Everything that chance decides follows from sha256 of the seed and of what an item is: a rater who comes back finds the
same order, and a larger `--sample` holds all of a smaller one. Samples come in blocks that are the same for all raters,
and only within a block has each rater an order of their own: raters who stop early have rated mostly the same samples,
without which there would be no agreement to measure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from ..core.canonical import digest
from ..core.errors import UsageError
from ..core.registry import suggestion
from ..record import Record
from ..record.ratings import TIE, Rating
from .outputs import Contestant, OutputKey, Outputs, Shown, choose_task, read_outputs
from .question import Question

__all__ = ["Deck", "Item", "choose_pairs", "deal"]

Pair = tuple[Contestant, Contestant]

_BLOCK: Final = 10


@dataclass(frozen=True, slots=True)
class Item:
    """What one answer is about: the places of one output, or of two, and which they are."""

    places: tuple[int, ...]
    key: OutputKey
    other: Contestant | None = None

    @property
    def against(self) -> str | None:
        """The other model of a pair, as `Rating.against` names it."""
        if self.other is None:
            return None
        same_run = self.other.run_id == self.key.contestant.run_id
        return self.other.model if same_run else f"{self.other.model}@{self.other.run_id}"


@dataclass(frozen=True)
class Deck:
    """The items of a question, as dealt; `n_samples` of `n_all_samples` are in it, in blocks by their `ranks`."""

    question: Question
    outputs: Outputs
    items: tuple[Item, ...]
    seed: int
    n_samples: int
    n_all_samples: int
    ranks: Mapping[str, int]
    left_out: Counter[str]

    def order(self, rater: str) -> list[int]:
        """The items as `rater` meets them."""
        blocks = [self.ranks[item.key.sample_id] // _BLOCK for item in self.items]
        return sorted(range(len(self.items)), key=lambda i: (blocks[i], self._chance("order", rater, i)))

    def is_swapped(self, rater: str, index: int) -> bool:
        """Whether `rater` sees the pair's second output as A."""
        return len(self.items[index].places) == 2 and int(self._chance("sides", rater, index), 16) % 2 == 1

    def shown(self, rater: str, index: int) -> tuple[Shown, ...]:
        """The outputs of an item, in the places in which `rater` sees them."""
        found = tuple(self.outputs.texts[place] for place in self.items[index].places)
        return found[::-1] if self.is_swapped(rater, index) else found

    def rating(self, rater: str, index: int, code: str | None, comment: str) -> Rating:
        """What `rater` says of an item by the answer `code` (None: by a comment alone)."""
        item, question = self.items[index], self.question
        label = code
        if question.kind == "pairwise" and code is not None and code != TIE:
            is_first = (code == "a") is not self.is_swapped(rater, index)
            label = item.key.contestant.model if is_first else item.against
        return Rating(
            run_id=item.key.contestant.run_id,
            task=self.outputs.task,
            model=item.key.contestant.model,
            sample_id=item.key.sample_id,
            repeat=item.key.repeat,
            rater=rater,
            question=question.kind,
            value=float(code) if question.kind == "scale" and code is not None else None,
            label=None if question.kind == "scale" else label,
            against=item.against,
            comment=comment,
            asked=question.asked,
        )

    def code(self, rating: Rating, index: int) -> str | None:
        """The answer that `rating` gave, as its rater sees the item; None for a comment alone."""
        if rating.value is not None:
            return repr(rating.value).removesuffix(".0")
        if self.question.kind != "pairwise" or rating.label in (None, TIE):
            return rating.label
        return "a" if (rating.label == rating.model) is not self.is_swapped(rating.rater, index) else "b"

    def _chance(self, purpose: str, rater: str, index: int) -> str:
        item = self.items[index]
        return digest([purpose, self.seed, rater, self.outputs.task, item.key, item.against])


def choose_pairs(records: Sequence[Record], task: str, models: Sequence[str]) -> list[Pair]:
    """The pairs of models that are compared, each with its lesser one first.

    Of one record every two of `models` (default: of all), of several records every two of different records. Two
    records and two names: the first name in the first record, the second one in the second.

    Raises:
        UsageError: if a name is none, or no two are left.
    """
    of_each = [[Contestant(r.id, s.model) for s in r.manifest.tasks if s.id == task] for r in records]
    known = {contestant.model for found in of_each for contestant in found}
    for name in models:
        if name not in known:
            raise UsageError(
                f"--pairwise: no model {name!r} answered {task}{suggestion(name, known)}; there are: "
                f"{', '.join(sorted(known))}"
            )
    if TIE in known:
        raise UsageError(f"a model is called {TIE!r}, which is what a pairwise rating says of equals; rename the model")
    if len(records) == 2 and len(models) == 2:
        of_each = [[c for c in found if c.model == name] for found, name in zip(of_each, models, strict=True)]
    elif models:
        of_each = [[c for c in found if c.model in models] for found in of_each]
    flat = [(number, contestant) for number, found in enumerate(of_each) for contestant in found]
    pairs = [
        (min(a, b), max(a, b)) for (i, a), (j, b) in combinations(flat, 2) if (i != j if len(records) > 1 else a != b)
    ]
    if not pairs:
        raise UsageError(
            f"--pairwise compares models on the same samples, and there are not two of them here that answered {task}; "
            f"name two that did, or a second run: evalharness annotate RUN RUN2 --pairwise"
        )
    return pairs


def deal(
    records: Sequence[Record],
    question: Question,
    *,
    task: str | None = None,
    models: Sequence[str] = (),
    sample: int | None = None,
    seed: int = 0,
) -> Deck:
    """The items of `question` over the outputs of `records`: all of them, or those of `sample` samples.

    Raises:
        UsageError: if there is no such task or model, or nothing to rate.
    """
    if len({record.id for record in records}) < len(records):
        raise UsageError("the same run is named twice; name different ones")
    chosen = choose_task(records, task)
    pairs = choose_pairs(records, chosen, models) if question.kind == "pairwise" else []
    outputs = read_outputs(records, chosen, [c for pair in pairs for c in pair] if pairs else None)
    left_out = Counter(outputs.left_out)
    items = _pairs(outputs, pairs, left_out) if pairs else [Item((i,), key) for i, key in enumerate(outputs.keys)]
    ids = {item.key.sample_id for item in items}
    if not ids:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in left_out.items()) or "it has no responses"
        raise UsageError(f"nothing of task {chosen!r} can be rated: {why}")
    drawn = sorted(ids, key=lambda sample_id: digest(["sample", seed, chosen, sample_id]))[:sample]
    ranks = {sample_id: rank for rank, sample_id in enumerate(drawn)}
    items = [item for item in items if item.key.sample_id in ranks]
    return Deck(question, outputs, tuple(items), seed, len(ranks), len(ids), ranks, left_out)


def _pairs(outputs: Outputs, pairs: Sequence[Pair], left_out: Counter[str]) -> list[Item]:
    """The pairs of outputs to the same question."""
    by_sample: dict[tuple[str, int], dict[Contestant, int]] = defaultdict(dict)
    for place, key in enumerate(outputs.keys):
        by_sample[key.sample_id, key.repeat][key.contestant] = place
    items = []
    for places in by_sample.values():
        for first, second in pairs:
            if first not in places or second not in places:
                left_out["pairs without a second answer"] += 1
                continue
            key = outputs.keys[places[first]]
            if key.digest != outputs.keys[places[second]].digest:
                left_out["pairs of different prompts"] += 1
                continue
            items.append(Item((places[first], places[second]), key, second))
    return items

"""Owen values along a tree of the words: shap's Partition explainer, evaluated in batches of coalitions.

A node whose players change the value by Δ = v(S ∪ node) − v(S) is split into its children, left and right, each once
without the other and once behind it, each with half the weight:

    v(S ∪ left) − v(S),  v(S ∪ node) − v(S ∪ right),  and the same with left and right exchanged.

The node with the largest weighted Δ is split first; where the budget ends, or Δ is within the tolerance, a node's Δ is
divided among its players evenly. The values of the players always sum to v(all) − v(none). For games without
interactions of three or more players they are the Shapley values.

Sources: Owen 1977; Lundberg et al., `shap.PartitionExplainer` (shap 0.51), with which the values agree on the same
tree, budget and batch size. Ties, which shap breaks by unseeded random numbers, are broken by order.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from evalharness.core.errors import UsageError
from evalharness.core.types import Json
from evalharness.stats.arrays import Bools, Floats, np

from .base import Attribution, check_at_least, ends
from .exact import all_coalitions, shapley_values
from .game import Game
from .tree import members, text_tree

__all__ = ["Shap", "owen_values"]

_DEFAULT_EVALS = 500  # shap's


@dataclass(frozen=True, slots=True)
class Shap:
    """SHAP values: exact for short texts, along the tree of the words for longer ones.

    `max_evals` bounds the evaluations (None: 500, and all coalitions of up to `exact_up_to` players, whatever they
    take). With a `tolerance`, a part of the tree is not divided any further when the change that it makes, times its
    weight, is at most this share of the range of all values seen. `engine: shap` lets the shap library walk along the
    tree, over the same masks.
    """

    name: ClassVar[str] = "shap"
    description: ClassVar[str] = "SHAP values: exact for short texts, else Owen values along a tree of the words"

    max_evals: int | None = None
    exact_up_to: int = 10
    tolerance: float = 0.0
    batch_size: int = 32
    engine: Literal["own", "shap"] = "own"

    def __post_init__(self) -> None:
        check_at_least(self.name, 4, max_evals=self.max_evals)
        check_at_least(self.name, 0, exact_up_to=self.exact_up_to, tolerance=self.tolerance)
        check_at_least(self.name, 2, batch_size=self.batch_size)
        if self.exact_up_to > 16:
            raise UsageError(f"explain: shap: exact_up_to must be at most 16; got {self.exact_up_to}")
        if self.engine not in ("own", "shap"):
            raise UsageError(f"explain: shap: engine must be own or shap; got {self.engine!r}")
        if self.engine == "shap" and self.tolerance:
            raise UsageError("explain: shap: the shap library has no tolerance; leave it out, or use engine: own")

    def attribute(self, game: Game) -> Attribution:
        n = len(game.tokens)
        n_all = 2**n
        if n <= self.exact_up_to and self.engine == "own" and (self.max_evals is None or n_all <= self.max_evals):
            found = game.value(all_coalitions(n))
            return Attribution(shapley_values(found, n), found[0], found[-1], {"algorithm": "exact"})
        tree = text_tree(game.tokens)
        max_evals = _DEFAULT_EVALS if self.max_evals is None else self.max_evals
        if self.engine == "shap":
            from .library import shap_partition

            values, base, full = shap_partition(game, tree, max_evals=max_evals, batch_size=self.batch_size)
            return Attribution(values, base, full, {"algorithm": "partition", "engine": "shap"})
        walk = owen_values(game, tree, max_evals=max_evals, batch_size=self.batch_size, tolerance=self.tolerance)
        meta: dict[str, Json] = {"algorithm": "partition", "n_asked": walk.n_asked, "n_undivided": walk.n_undivided}
        return Attribution(walk.values, walk.base, walk.full, meta)


@dataclass(slots=True)
class _Walk:
    """What is found along the tree: `n_asked` evaluations, and the parts of several players left undivided."""

    values: Floats
    base: Floats
    full: Floats
    n_asked: int = 2
    n_undivided: int = 0


@dataclass(frozen=True, slots=True, order=True)
class _Part:
    """A node in one context; the one with the largest weighted change comes first."""

    rank: float
    nth: int
    context: Bools = field(compare=False)
    low: Floats = field(compare=False)
    high: Floats = field(compare=False)
    node: int = field(compare=False)
    weight: float = field(compare=False)


def owen_values(game: Game, tree: Floats, *, max_evals: int, batch_size: int, tolerance: float = 0.0) -> _Walk:
    """The Owen values of `game` along `tree` (`tree.merge_tree`), at `max_evals` evaluations at most.

    As shap counts them: the two ends, and each coalition that is asked for, also where it was asked for before.
    """
    n = len(game.tokens)
    base, full = ends(game)
    walk = _Walk(np.zeros((n, len(base))), base, full)
    if not n:
        return walk
    below = members(tree)
    children = tree[:, :2].astype(np.int64).tolist()
    found: Floats = np.zeros((2 * n - 1, len(base)))
    heap = [_Part(0.0, 0, np.zeros(n, dtype=np.bool_), base, full, 2 * n - 2, 1.0)]
    n_made = 1
    lowest, highest = np.minimum(base, full), np.maximum(base, full)
    budget = max_evals - 2
    n_done = 0
    while heap and n_done < budget:
        limit = tolerance * float((highest - lowest).max()) if tolerance else -1.0
        if _is_settled(heap[0], limit):
            break
        parts: list[_Part] = []
        while heap and 2 * len(parts) < batch_size and n_done + 2 * len(parts) < budget:
            if _is_settled(heap[0], limit):
                break
            part = heapq.heappop(heap)
            if part.node < n:
                found[part.node] += (part.high - part.low) * part.weight
            else:
                parts.append(part)
        if not parts:
            continue
        asked: Bools = np.stack([part.context | below[child] for part in parts for child in children[part.node - n]])
        values = game.value(asked)
        n_done += len(asked)
        lowest, highest = np.minimum(lowest, values.min(axis=0)), np.maximum(highest, values.max(axis=0))
        for nth, part in enumerate(parts):
            left, right = children[part.node - n]
            with_left, with_right = values[2 * nth], values[2 * nth + 1]
            weight = part.weight / 2
            for context, low, high, node in (
                (part.context, part.low, with_left, left),
                (part.context, part.low, with_right, right),
                (asked[2 * nth + 1], with_right, part.high, left),
                (asked[2 * nth], with_left, part.high, right),
            ):
                rank = -float(np.abs(high - low).max()) * weight
                heapq.heappush(heap, _Part(rank, n_made, context, low, high, node, weight))
                n_made += 1
    for part in heap:
        found[part.node] += (part.high - part.low) * part.weight
        walk.n_undivided += part.node >= n
    walk.n_asked += n_done
    walk.values[:] = _lowered(found, tree)
    return walk


def _is_settled(part: _Part, limit: float) -> bool:
    """Whether no part changes the value by more than `limit`, where `part` has the largest change.

    The whole is always split: what cancels within it would never be seen.
    """
    return part.nth > 0 and -part.rank <= limit


def _lowered(found: Floats, tree: Floats) -> Floats:
    """(n, k): what is left on inner nodes is divided among the players below, evenly."""
    n = len(tree) + 1
    credit = found.copy()
    sizes = np.concatenate([np.ones(n), tree[:, 3]])
    for row in range(len(tree) - 1, -1, -1):
        for child in tree[row, :2].astype(np.int64).tolist():
            credit[child] += credit[n + row] * sizes[child] / sizes[n + row]
    return credit[:n]

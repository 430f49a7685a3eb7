"""Owen values along a tree of the words: shap's Partition explainer, evaluated in batches of coalitions.

A node whose players change the value by Δ = v(S ∪ node) − v(S) is split into its children, left and right, each once
without the other and once behind it, each with half the weight:

    v(S ∪ left) − v(S),  v(S ∪ node) − v(S ∪ right),  and the same with left and right exchanged.

The node with the largest weighted Δ is split first; where the budget ends, a node's Δ is divided among its players
evenly. The values of the players always sum to v(all) − v(none). For games without interactions of three or more
players they are the Shapley values.

With a tolerance the tree is pruned. Where left and right interact by less, |v(S ∪ node) − v(S ∪ left) − v(S ∪ right) +
v(S)| times the node's weight, both contexts say nearly the same, and only the second is followed, at the full weight;
each child's sum remains the mean of the two. In a game without interactions n players so take 2n evaluations.

Sources: Owen 1977; Lundberg et al., `shap.PartitionExplainer` (shap 0.51), with which the values agree on the same
tree, budget and batch size. Ties, which shap breaks by unseeded random numbers, are broken by order.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from evalharness.core.errors import UsageError
from evalharness.core.types import Json
from evalharness.stats.arrays import Bools, Floats, np

from .base import Attribution, check_at_least, ends
from .exact import all_coalitions, shapley_values
from .game import Game
from .tree import members, text_tree

__all__ = ["Shap", "owen_values"]

_DEFAULT_EVALS = 500  # shap's
# Of the tolerance: how little a part may change the value not to be divided. Much less than for interactions, since its
# words might cancel.
_CHANGE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Shap:
    """SHAP values: exact for short texts, along the tree of the words for longer ones.

    `max_evals` bounds the evaluations (None: 500, and all coalitions of up to `exact_up_to` players, whatever they
    take). With a `tolerance`, parts of the tree that interact by at most this share of the range of all values seen are
    followed in one context only, which takes half of the evaluations. `engine: shap` lets the shap library walk along
    the tree, over the same masks.
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
        check_at_least(self.name, 0, exact_up_to=self.exact_up_to)
        check_at_least(self.name, 0.0, tolerance=self.tolerance)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A node in one context, with the values without and with it."""

    context: Bools
    low: Floats
    high: Floats
    node: int
    weight: float

    @property
    def rank(self) -> float:
        """Minus its weighted change: the smallest comes first."""
        return -float(np.abs(self.high - self.low).max()) * self.weight


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
    order = itertools.count(1)
    # Of equals, those that were made first.
    heap = [(0.0, 0, _Part(np.zeros(n, dtype=np.bool_), base, full, 2 * n - 2, 1.0))]
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
            part = heapq.heappop(heap)[-1]
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
            nodes = children[part.node - n]
            left, right = (_Side(nodes[k], asked[2 * nth + k], values[2 * nth + k]) for k in (0, 1))
            for child in _split(part, left, right, limit=limit, found=found):
                heapq.heappush(heap, (child.rank, next(order), child))
    for *_, part in heap:
        found[part.node] += (part.high - part.low) * part.weight
        walk.n_undivided += part.node >= n
    walk.n_asked += n_done
    walk.values[:] = _lowered(found, tree)
    return walk


class _Side(NamedTuple):
    """A child of a node, the coalition of the node's context and it, and that one's value."""

    node: int
    kept: Bools
    value: Floats


def _split(part: _Part, left: _Side, right: _Side, *, limit: float, found: Floats) -> list[_Part]:
    """The parts that `part` falls into: each child without the other and behind it, or behind it only."""
    pairs = ((left, right), (right, left))
    interaction = part.high - left.value - right.value + part.low
    if float(np.abs(interaction).max()) * part.weight <= limit:
        # Alone or behind the other, each child does nearly the same: one context is enough, with the mean of both,
        # change − interaction / 2, as the child's sum.
        found[[left.node, right.node]] -= interaction * part.weight / 2
        return [_Part(other.kept, other.value, part.high, child.node, part.weight) for child, other in pairs]
    half = part.weight / 2
    return [
        *(_Part(part.context, part.low, child.value, child.node, half) for child in (left, right)),
        *(_Part(other.kept, other.value, part.high, child.node, half) for child, other in pairs),
    ]


def _is_settled(first: tuple[float, int, _Part], limit: float) -> bool:
    """Whether no part changes the value by more than a share of `limit`, where `first` has the largest change.

    The whole is always split: what cancels within it would never be seen.
    """
    rank, nth, _ = first
    return nth > 0 and -rank <= limit * _CHANGE_SHARE


def _lowered(found: Floats, tree: Floats) -> Floats:
    """(n, k): what is left on inner nodes is divided among the players below, evenly."""
    n = len(tree) + 1
    credit = found.copy()
    sizes = np.concatenate([np.ones(n), tree[:, 3]])
    for row in range(len(tree) - 1, -1, -1):
        for child in tree[row, :2].astype(np.int64).tolist():
            credit[child] += credit[n + row] * sizes[child] / sizes[n + row]
    return credit[:n]

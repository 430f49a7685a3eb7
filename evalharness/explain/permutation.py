"""Shapley values from random orders of the players, each order taken forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evalharness.core.errors import UsageError
from evalharness.stats.arrays import Bools, Floats, Ints, np

from .base import Attribution, check_at_least, ends
from .game import Game, GameError

__all__ = ["Permutation", "from_permutations"]

_DEFAULT_PAIRS = 10  # shap's
_ROWS = 2048  # coalitions that the game gets at a time


@dataclass(frozen=True, slots=True)
class Permutation:
    """Shapley values as the mean of what each player adds behind those before it, over random orders.

    Each order is taken forwards and backwards, which makes the values exact for games without interactions of three or
    more players. `max_evals` bounds the evaluations; without it, 10 orders are drawn. `meta` has the standard errors
    over the orders.
    """

    name: ClassVar[str] = "permutation"
    description: ClassVar[str] = "Shapley values from random orders of the words, with standard errors"

    max_evals: int | None = None
    seed: int = 0
    engine: Literal["own", "shap"] = "own"

    def __post_init__(self) -> None:
        check_at_least(self.name, 3, max_evals=self.max_evals)
        check_at_least(self.name, 0, seed=self.seed)
        if self.engine not in ("own", "shap"):
            raise UsageError(f"explain: permutation: engine must be own or shap; got {self.engine!r}")

    def attribute(self, game: Game) -> Attribution:
        n = len(game.tokens)
        n_pairs = _DEFAULT_PAIRS if self.max_evals is None else self.max_evals // (2 * n + 1)
        if n_pairs == 0:
            raise GameError(
                f"max_evals: {self.max_evals} is too few for {n} players; one order takes {2 * n + 1:,} evaluations: "
                "raise it, or use `shap`"
            )
        if self.engine == "shap":
            from .library import shap_permutation

            values, base, full = shap_permutation(game, n_permutations=n_pairs, seed=self.seed)
            return Attribution(values, base, full, {"n_orders": n_pairs, "engine": "shap"})
        rng = np.random.default_rng(self.seed)
        values, errors = from_permutations(game, [rng.permutation(n) for _ in range(n_pairs)])
        base, full = ends(game)
        shown = None if errors is None else errors.tolist()
        return Attribution(values, base, full, {"n_orders": n_pairs, "standard_errors": shown})


def from_permutations(game: Game, orders: Sequence[Ints]) -> tuple[Floats, Floats | None]:
    """(n, k) mean contribution of each player over `orders`, forwards and backwards, and its standard errors.

        φ_i = 1/(2P) Σ_π [v(before_π(i) ∪ i) − v(before_π(i))] over the P orders and their reversals

    The standard error is that of the mean over the P pairs, which are independent; None for a single pair.
    Source: Mitchell, Cooper, Frank & Holmes 2022 (antithetic sampling); equal to `shap.PermutationExplainer` for the
    same orders.
    """
    n = len(game.tokens)
    pairs: list[Floats] = []
    at_once = max(1, _ROWS // (2 * (n + 1)))
    for start in range(0, len(orders), at_once):
        some = orders[start : start + at_once]
        asked: Bools = np.concatenate([_prefixes(way) for order in some for way in (order, order[::-1])])
        found = game.value(asked).reshape(len(some), 2, n + 1, -1)
        steps = np.diff(found, axis=2)
        for order, (forwards, backwards) in zip(some, steps, strict=True):
            each: Floats = np.zeros((n, found.shape[-1]))
            each[order] += forwards / 2
            each[order[::-1]] += backwards / 2
            pairs.append(each)
    stacked: Floats = np.stack(pairs)
    n_pairs = len(pairs)
    errors: Floats | None = stacked.std(axis=0, ddof=1) / np.sqrt(n_pairs) if n_pairs > 1 else None
    return stacked.mean(axis=0), errors


def _prefixes(order: Ints) -> Bools:
    """(n + 1, n): row i keeps the first i players of `order`."""
    n = len(order)
    found: Bools = np.zeros((n + 1, n), dtype=np.bool_)
    rows = np.arange(n + 1)
    place: Ints = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    found[:] = place[None, :] < rows[:, None]
    return found

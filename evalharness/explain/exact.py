"""Shapley values from all coalitions."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import ClassVar

from evalharness.core.errors import UsageError
from evalharness.stats.arrays import Bools, Floats, Ints, np

from .base import Attribution, check_at_least
from .game import Game, GameError

__all__ = ["Exact", "all_coalitions", "shapley_values"]

# The numbers of 2^20 coalitions and their members are 20 million bytes: what a machine still bears.
_MOST = 20


@dataclass(frozen=True, slots=True)
class Exact:
    """Shapley values by their definition, from all 2^n coalitions of n players."""

    name: ClassVar[str] = "exact"
    description: ClassVar[str] = "Shapley values by their definition, from all 2^n coalitions of the words"

    max_players: int = 12

    def __post_init__(self) -> None:
        check_at_least(self.name, 1, max_players=self.max_players)
        if self.max_players > _MOST:
            raise UsageError(f"explain: exact: max_players must be at most {_MOST}; got {self.max_players}")

    def attribute(self, game: Game) -> Attribution:
        n = len(game.tokens)
        if n > self.max_players:
            shown = f"{2**n:,}" if n <= 2 * _MOST else f"2^{n}"
            raise GameError(
                f"exact values of {n} players take {shown} evaluations; it is done for up to max_players: "
                f"{self.max_players}. Use `shap` or `permutation`"
            )
        found = game.value(all_coalitions(n))
        return Attribution(shapley_values(found, n), found[0], found[-1], {"n_coalitions": 2**n})


def all_coalitions(n: int) -> Bools:
    """(2^n, n): row i keeps the players whose bits are set in i, the first player having the lowest bit."""
    numbers: Ints = np.arange(2**n, dtype=np.int64)
    found: Bools = ((numbers[:, None] >> np.arange(n, dtype=np.int64)) & 1).astype(np.bool_)
    return found


def shapley_values(values: Floats, n: int) -> Floats:
    """(n, k) Shapley values from the values (2^n, k) of `all_coalitions(n)`.

        φ_i = Σ_{S ∌ i} 1 / (n · C(n−1, |S|)) · (v(S ∪ i) − v(S))

    Source: Shapley 1953. (0, k) for no players.
    """
    n_outputs = values.shape[1]
    found: Floats = np.zeros((n, n_outputs))
    sizes = all_coalitions(n).sum(axis=1)
    weights: Floats = np.array([1.0 / (n * comb(n - 1, size)) for size in range(n)]) if n else np.zeros(0)
    for player in range(n):
        # Bit `player` splits the numbers in halves: (higher bits, this bit, lower bits).
        halves = values.reshape(2 ** (n - player - 1), 2, 2**player, n_outputs)
        without = sizes.reshape(2 ** (n - player - 1), 2, 2**player)[:, 0]
        found[player] = np.einsum("ab,abk->k", weights[without], halves[:, 1] - halves[:, 0])
    return found

"""Games whose every value is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from evalharness.core.games import RememberedGame, Token


class FunctionGame(RememberedGame):
    """Players named w0, w1 …; the values (m, k) of coalitions are those of a function, whose calls are kept."""

    def __init__(self, n: int, function: Callable[[np.ndarray], np.ndarray]) -> None:
        text = [f"w{i}" for i in range(n)]
        tokens = tuple(Token(word, 3 * i, 3 * i + 2) for i, word in enumerate(text))
        probe = np.asarray(function(np.zeros((1, n), dtype=bool)))
        super().__init__(tokens, tuple(f"y{k}" for k in range(probe.shape[1])))
        self._function = function
        self.asked: list[int] = []

    def evaluate(self, kept: np.ndarray) -> np.ndarray:
        self.n_calls += 1
        self.asked.append(len(kept))
        return self._function(kept)


@pytest.fixture
def game_of() -> type[FunctionGame]:
    return FunctionGame


@pytest.fixture
def table_game() -> Callable[..., FunctionGame]:
    """`table_game(n, seed)`: a game whose 2^n values are random, interactions of all orders and no ties."""

    def make(n: int, seed: int = 0, k: int = 2) -> FunctionGame:
        table = np.random.default_rng(seed).normal(size=(2**n, k))
        powers = 2 ** np.arange(n)
        return FunctionGame(n, lambda kept: table[kept @ powers if n else np.zeros(len(kept), dtype=int)])

    return make


@pytest.fixture
def pair_game() -> Callable[..., FunctionGame]:
    """`pair_game(n, seed)`: single words and pairs of words add up; player 1 adds nothing, 0 and 2 are alike."""

    def make(n: int, seed: int = 0) -> FunctionGame:
        rng = np.random.default_rng(seed)
        single = rng.normal(size=(n, 2))
        pair = np.triu(rng.normal(size=(n, n)), 1)
        pair[0, 2] = 0.7
        pair = pair + pair.T
        pair[2], pair[:, 2] = pair[0], pair[:, 0]
        pair[0, 2] = pair[2, 0] = 0.7
        pair[2, 2] = pair[0, 0] = 0
        single[2] = single[0]
        single[1], pair[1], pair[:, 1] = 0, 0, 0
        made = FunctionGame(
            n, lambda kept: kept @ single + 0.5 * np.einsum("mi,ij,mj->m", kept, pair, kept)[:, None] * [1.0, -2.0]
        )
        return made

    return make


@pytest.fixture
def brute_force() -> Callable[[Any], np.ndarray]:
    """Shapley values as the mean over all n! orders, one coalition at a time: the definition read another way."""

    def run(game: Any) -> np.ndarray:
        n = len(game.tokens)
        found = np.zeros((n, len(game.outputs)))
        for order in permutations(range(n)):
            kept = np.zeros((1, n), dtype=bool)
            before = game.value(kept)[0]
            for player in order:
                kept = kept.copy()
                kept[0, player] = True
                now = game.value(kept)[0]
                found[player] += now - before
                before = now
        return found / math.factorial(n)

    return run

"""The shap library's explainers over our games: its walk, our masks, no strings made."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from evalharness.core.errors import MissingExtraError
from evalharness.stats.arrays import Bools, Floats, np

from .game import Game

__all__ = ["shap_partition", "shap_permutation"]

# shap draws from numpy's global generator, which belongs to the process.
_global_random = threading.Lock()


class _Masker:
    """Hands the coalition through: the game masks, in the space of its own tokens."""

    immutable_outputs = True

    def __init__(self, n: int, clustering: Floats | None) -> None:
        self.shape = (1, n)
        self.clustering = clustering

    def __call__(self, mask: Bools, x: Any) -> tuple[Bools]:
        return (np.asarray(mask, dtype=np.bool_).reshape(1, -1),)


def shap_partition(game: Game, tree: Floats, *, max_evals: int, batch_size: int) -> tuple[Floats, Floats, Floats]:
    """Values (n_players, n_outputs), base and full outputs by `shap.PartitionExplainer` along `tree`.

    Raises:
        MissingExtraError: shap is not installed.
    """
    shap = _shap()
    n = len(game.tokens)
    base, full = game.value(np.stack([np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.bool_)]))
    if n < 2:
        # shap's tree of a single player has no root to begin with.
        return np.repeat((full - base)[None], n, axis=0), base, full
    explainer = shap.explainers.Partition(game.value, _Masker(n, tree))
    with _seeded(0):
        found = explainer(np.ones((1, n)), max_evals=max_evals, batch_size=batch_size, silent=True)
    return np.asarray(found.values[0], dtype=np.float64).reshape(n, -1), base, full


def shap_permutation(game: Game, *, n_permutations: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Values, base and full outputs by `shap.PermutationExplainer`, forwards and backwards along each permutation.

    Raises:
        MissingExtraError: shap is not installed.
    """
    shap = _shap()
    n = len(game.tokens)
    base, full = game.value(np.stack([np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.bool_)]))
    if not n:
        return np.zeros((0, len(base))), base, full
    with _seeded(seed):
        explainer = shap.explainers.Permutation(game.value, _Masker(n, None), seed=seed)
        max_evals = n_permutations * (2 * n + 1)
        found = explainer(np.ones((1, n)), max_evals=max_evals, batch_size=2 * n + 1, silent=True)
    return np.asarray(found.values[0], dtype=np.float64).reshape(n, -1), base, full


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Numpy's global generator begun at `seed` in the block, and put back behind it."""
    with _global_random:
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)


def _shap() -> Any:
    try:
        import shap
    except ImportError as error:
        raise MissingExtraError(error.name or "shap", "explain", purpose="engine: shap") from error
    return shap

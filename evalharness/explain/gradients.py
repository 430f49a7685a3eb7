"""Integrated gradients of the embeddings, from the masked text to the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evalharness.stats.arrays import Floats, np

from .base import Attribution, check_at_least, ends
from .game import Game, GameError, WhiteBox

__all__ = ["IntegratedGradients"]


@dataclass(frozen=True, slots=True)
class IntegratedGradients:
    """The gradient along the straight line from the embeddings of the masked text to those of the text, integrated.

        φ_i = Σ_d (x_id − x'_id) ∫₀¹ ∂v/∂x_id (x' + a(x − x')) da

    The integral is a Gauss-Legendre sum over `steps` places. In the limit the values sum to v(all) − v(none);
    `meta.completeness_error` says, for each output, what they miss of it. Source: Sundararajan, Taly & Yan 2017.
    """

    name: ClassVar[str] = "integrated_gradients"
    description: ClassVar[str] = "gradients by the embeddings, integrated from the masked text to the text"

    steps: int = 32

    def __post_init__(self) -> None:
        check_at_least(self.name, 1, steps=self.steps)

    def attribute(self, game: Game) -> Attribution:
        if not isinstance(game, WhiteBox):
            raise GameError("integrated gradients look into the model; this one can only be asked: use shap or lime")
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)
        found = game.path_gradients((nodes + 1) / 2)
        values: Floats = np.einsum("m,mpk->pk", weights / 2, found.products)
        base, full = ends(game)
        missed: Floats = values.sum(axis=0) - (full - base)
        return Attribution(values, base, full, {"steps": self.steps, "completeness_error": missed.tolist()})

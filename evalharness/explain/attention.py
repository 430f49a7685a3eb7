"""Attention rollout: where the model looks. It says nothing of what causes the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evalharness.stats.arrays import Floats, np

from .base import Attribution, ends
from .game import Game, GameError, WhiteBox

__all__ = ["Attention", "rollout"]


@dataclass(frozen=True, slots=True)
class Attention:
    """The share of each word in what the position that the output is read from attends to, through all layers.

    A view, not an explanation of causes: the same outputs can come with other attention (Jain & Wallace 2019), and
    the values are the same for every output, never negative, and do not sum to its value. Source: rollout of Abnar &
    Zuidema 2020.
    """

    name: ClassVar[str] = "attention"
    description: ClassVar[str] = "attention rollout: where the model looks, which is no explanation of causes"

    def attribute(self, game: Game) -> Attribution:
        if not isinstance(game, WhiteBox):
            raise GameError("attention is read from inside of the model; this one can only be asked: use shap or lime")
        seen = game.attentions()
        base, full = ends(game)
        row = rollout(seen.weights)[seen.reader]
        share: Floats = np.array([row[list(places)].sum() for places in seen.players])
        values: Floats = np.repeat(share[:, None], len(base), axis=1)
        return Attribution(values, base, full, {"causal": False, "rest": float(1 - share.sum())})


def rollout(weights: Floats) -> Floats:
    """(positions, positions) of `weights` (layers, heads, positions, positions): what each position is made of.

        R = Â_L · … · Â_1 with Â = (mean over heads + I) / 2, rows summing to 1

    I stands for the residual connection. Source: Abnar & Zuidema 2020, equation 1.
    """
    n = weights.shape[-1]
    found: Floats = np.eye(n)
    for layer in weights:
        mixed = (layer.mean(axis=0) + np.eye(n)) / 2
        found = (mixed / mixed.sum(axis=1, keepdims=True)) @ found
    return found

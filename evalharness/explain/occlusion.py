"""What the value loses when one player alone is masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evalharness.stats.arrays import Bools, np

from .base import Attribution, ends
from .game import Game

__all__ = ["Occlusion"]


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Leave one out: v(all) − v(all but i), n + 2 evaluations.

    The values do not sum to the whole: of two words that say the same, each alone is missed by nobody. Source: Zeiler &
    Fergus 2014; Li, Monroe & Jurafsky 2016 (words).
    """

    name: ClassVar[str] = "occlusion"
    description: ClassVar[str] = "what the value loses when one word alone is masked"

    def attribute(self, game: Game) -> Attribution:
        n = len(game.tokens)
        base, full = ends(game)
        without: Bools = ~np.eye(n, dtype=np.bool_)
        return Attribution(full - game.value(without), base, full)

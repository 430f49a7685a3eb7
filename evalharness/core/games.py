"""A text as a game of its words: what explanations ask of a model, whatever the model is.

The players are the words (or tokens) of one text. A *coalition* keeps some of them and masks the others; its value is
what the model says of what is left. `explain` attributes the value to the players and knows nothing else of the model;
`models` makes the games.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from evalharness.stats.arrays import Bools, Floats, NDArray, np

from .types import Json

__all__ = ["Attentions", "Game", "GameError", "PathGradients", "RememberedGame", "Token", "WhiteBox"]


class GameError(ValueError):
    """One text cannot be explained; the message says why and becomes the error of its response."""


@dataclass(frozen=True, slots=True)
class Token:
    """One player: characters `start` to `end` of the original text, and what stands there."""

    text: str
    start: int
    end: int


@runtime_checkable
class Game(Protocol):
    """One text to explain."""

    tokens: tuple[Token, ...]
    """The players, in the order of the text; several tokens of the model may be one player."""
    outputs: tuple[str, ...]
    """The names of what is explained: labels, or one answer."""
    n_calls: int
    """Batches that the model was given."""
    n_rows: int
    """Distinct coalitions that the model was asked for."""
    model_seconds: float
    """Seconds spent in the model."""
    meta: Mapping[str, Json]
    """What identifies the game beside its text: kind of players, mask, unit of the outputs."""

    def value(self, kept: Bools) -> Floats:
        """(m, n_outputs) the values of m coalitions; `kept` is (m, n_players), true where a player is not masked.

        Batched and de-duplicated inside: a coalition that was asked for before costs nothing.

        Raises:
            GameError: the model cannot say.
        """
        ...


class PathGradients(NamedTuple):
    """On the straight line from the masked text (0) to the text (1), at m places.

    `values` is (m, n_outputs); `products` (m, n_players, n_outputs) is the gradient of each output by the embeddings,
    times the line's direction, summed over the embeddings of each player's tokens.
    """

    values: Floats
    products: Floats


class Attentions(NamedTuple):
    """`weights` (layers, heads, positions, positions) of the text: from row to column; rows sum to 1.

    Heads may be given as one, their mean.

    `players` has the positions of each player's tokens, `reader` is the position that the outputs are read from.
    """

    weights: Floats
    players: tuple[tuple[int, ...], ...]
    reader: int


@runtime_checkable
class WhiteBox(Game, Protocol):
    """A game whose model can be looked into."""

    def path_gradients(self, places: Floats) -> PathGradients:
        """The gradients at `places` (m,) between 0 and 1.

        Raises:
            GameError: the model takes no embeddings, or has no gradients.
        """
        ...

    def attentions(self) -> Attentions:
        """The attention weights of the unmasked text.

        Raises:
            GameError: the model has no attention to show.
        """
        ...


class RememberedGame:
    """What games have in common: each coalition is evaluated once; a subclass says how (`evaluate`).

    A subclass adds its batches to `n_calls` and their time to `model_seconds`.
    """

    def __init__(
        self, tokens: tuple[Token, ...], outputs: tuple[str, ...], *, meta: Mapping[str, Json] | None = None
    ) -> None:
        self.tokens = tokens
        self.outputs = outputs
        self.meta: Mapping[str, Json] = {} if meta is None else meta
        self.n_calls = 0
        self.n_rows = 0
        self.model_seconds = 0.0
        # A coalition in bits, one byte for eight players → the row of `_found` that has its value.
        self._row_of: dict[bytes, int] = {}
        self._found: Floats | None = None

    def evaluate(self, kept: Bools) -> Floats:
        """(m, n_outputs) of m distinct coalitions that were not asked for before."""
        raise NotImplementedError

    def value(self, kept: Bools) -> Floats:
        """(m, n_outputs) the values of the coalitions `kept` (m, n_players).

        Raises:
            GameError: the model cannot say, or says NaN or infinity.
        """
        array = np.asarray(kept, dtype=np.bool_)
        if array.ndim != 2 or array.shape[1] != len(self.tokens):
            raise ValueError(f"coalitions must be (m, {len(self.tokens)}), one column a player; got {array.shape}")
        packed = np.packbits(array, axis=1)
        keys = [row.tobytes() for row in packed]
        known = len(self._row_of)
        fresh: list[int] = []
        for index, key in enumerate(keys):
            if key not in self._row_of:
                self._row_of[key] = known + len(fresh)
                fresh.append(index)
        if fresh:
            try:
                self._keep(self.evaluate(array[fresh]), len(fresh))
            except BaseException:
                # What has no value must be asked for again.
                for index in fresh:
                    self._row_of.pop(keys[index], None)
                raise
        rows: NDArray[np.intp] = np.fromiter((self._row_of[key] for key in keys), dtype=np.intp, count=len(keys))
        if self._found is None:
            return np.zeros((0, len(self.outputs)))
        return self._found[rows]

    def _keep(self, values: Floats, n_rows: int) -> None:
        found = np.asarray(values, dtype=np.float64)
        if found.shape != (n_rows, len(self.outputs)):
            raise ValueError(f"a game with {len(self.outputs)} outputs gave {found.shape} for {n_rows} coalitions")
        if not np.isfinite(found).all():
            raise GameError("the model gave NaN or infinity for a masked text (float16 overflows; try bfloat16)")
        self.n_rows += n_rows
        self._found = found if self._found is None else np.concatenate([self._found, found])

    def forget(self) -> None:
        """Forget the values and the counts."""
        self._row_of.clear()
        self._found = None
        self.n_calls = self.n_rows = 0
        self.model_seconds = 0.0

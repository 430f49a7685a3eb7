"""Games of a model that reads text and nothing else: an API, a program, a function of strings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from evalharness.core.games import GameError, RememberedGame, Token
from evalharness.core.types import Json
from evalharness.core.words import words
from evalharness.stats.arrays import Bools, Floats, np

__all__ = ["TextGame"]


class TextGame(RememberedGame):
    """The words of a text, each masked by `mask` in its place; white space stays.

    `score` gives an array (m, n_outputs) for m texts, at most `batch_size` at a time. With `mask: ""` a masked word is
    left out together with the white space in front of it. A tokenizer behind an API may still cut a word's neighbours
    otherwise than in the whole text: that is what can be seen from outside.
    """

    def __init__(
        self,
        text: str,
        score: Callable[[Sequence[str]], Floats],
        outputs: Sequence[str],
        *,
        mask: str = "…",
        batch_size: int = 64,
        meta: Mapping[str, Json] | None = None,
    ) -> None:
        tokens = tuple(Token(text[start:end], start, end) for start, end in words(text))
        known: dict[str, Json] = {"players": "words", "mask": mask or "remove"}
        super().__init__(tokens, tuple(outputs), meta={**known, **(meta or {})})
        self.text = text
        self._score = score
        self._mask = mask
        self._batch_size = batch_size

    def masked_text(self, kept: Bools) -> str:
        """The text in which the players that are not `kept` (n_players,) are masked."""
        parts: list[str] = []
        end = 0
        for token, is_kept in zip(self.tokens, kept.tolist(), strict=True):
            gap = self.text[end : token.start]
            if is_kept:
                parts += gap, token.text
            elif self._mask:
                parts += gap, self._mask
            end = token.end
        return "".join([*parts, self.text[end:]])

    def evaluate(self, kept: Bools) -> Floats:
        texts = [self.masked_text(row) for row in kept]
        distinct = list(dict.fromkeys(texts))
        found: list[Floats] = []
        for start in range(0, len(distinct), self._batch_size):
            some = distinct[start : start + self._batch_size]
            started = time.perf_counter()
            values = np.asarray(self._score(some), dtype=np.float64)
            self.model_seconds += time.perf_counter() - started
            self.n_calls += 1
            if values.shape != (len(some), len(self.outputs)):
                raise GameError(f"{len(some)} texts must score ({len(some)}, {len(self.outputs)}); got {values.shape}")
            found.append(values)
        whole: Floats = np.concatenate(found)
        at = {text: index for index, text in enumerate(distinct)}
        return whole[[at[text] for text in texts]]

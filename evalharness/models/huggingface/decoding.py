"""One request while text is made for it: its tokens, when it ends, and how its next token is drawn.

Each request draws from a stream of its own, seeded by its seed, prompt and repeat, so that its text does not depend on
what else is decoded beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from evalharness.core.canonical import digest
from evalharness.core.types import Request, Sampling

from .tokens import Tokens

__all__ = ["Decoding", "Ending", "draw", "first_stop", "random_stream"]

FinishReason = Literal["eos", "stop", "length"]


def random_stream(request: Request) -> np.random.Generator:
    """The random numbers of one request: of its seed (0 where there is none), prompt and repeat, and nothing else.

    Two models that are asked the same draw the same numbers, which makes their comparison sharper.
    """
    return np.random.default_rng(int(digest([request.sampling.seed or 0, request.prompt, request.repeat]), 16))


@dataclass(slots=True)
class Decoding:
    """A request, the ids that its text begins with, and what has been added; `end` is the end token behind that."""

    request: Request
    ids: tuple[int, ...]
    n_cut: int
    stop_ids: frozenset[int]
    new: list[int] = field(default_factory=list)
    finish: FinishReason | None = None
    end: int | None = None
    stream: np.random.Generator | None = None

    @property
    def sampling(self) -> Sampling:
        return self.request.sampling

    @property
    def length(self) -> int:
        """Tokens that the model holds at the end, at most."""
        return len(self.ids) + self.sampling.max_tokens

    @property
    def tail(self) -> int:
        """How many of the last tokens a stop string that ends now can reach into.

        A token is a byte at least, so a stop string ends within as many tokens as it has bytes. A few more in front
        keep what decoders do at the beginning of a text (dropping a space) away from the match.
        """
        return max((len(stop.encode()) for stop in self.sampling.stop), default=0) + 8

    def begin(self) -> None:
        """Forget what has been added."""
        self.new, self.finish, self.end = [], None, None
        self.stream = random_stream(self.request) if self.sampling.temperature > 0 else None

    def choose(self, scores: torch.Tensor, likeliest: int) -> int:
        """The next token: the likeliest one, or one drawn by the (vocabulary,) `scores`."""
        if self.stream is None:
            return likeliest
        return draw(scores, self.sampling, self.stream.random())


class Ending:
    """When a text ends: at an end token, at a stop string, at its length; at once if its request is in `unwanted`."""

    def __init__(self, tokens: Tokens, eos: frozenset[int], *, unwanted: Collection[str] = ()) -> None:
        self._tokens = tokens
        self._eos = eos
        self._unwanted = unwanted

    def add(self, row: Decoding, token: int) -> bool:
        """Take down the next token of `row`; whether the text ends with it, and then why, in `row.finish`."""
        row.finish = self._finish(row, token)
        return row.finish is not None

    def text(self, row: Decoding) -> str:
        """The new text up to the first stop string in it, which may stand in the last tokens of a full output."""
        text = self._tokens.decode(row.new)
        cut = first_stop(text, row.sampling.stop)
        if cut is not None:
            text, row.finish = text[:cut], "stop"
        return text

    def _finish(self, row: Decoding, token: int) -> FinishReason | None:
        if row.request.key in self._unwanted:
            return "length"
        if token in self._eos:
            row.end = token
            return "eos"
        if token in row.stop_ids:
            return "stop"
        row.new.append(token)
        stops = row.sampling.stop
        # The tail is cheap to look at, but may decode to what the whole does not: only the whole decides.
        if stops and self._has_stop(row.new[-row.tail :], stops) and self._has_stop(row.new, stops):
            return "stop"
        return "length" if len(row.new) >= row.sampling.max_tokens else None

    def _has_stop(self, ids: Sequence[int], stops: Sequence[str]) -> bool:
        return first_stop(self._tokens.decode(ids), stops) is not None


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the first stop string in `text` begins."""
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return min(found, default=None)


def draw(scores: torch.Tensor, sampling: Sampling, uniform: float) -> int:
    """The token whose stretch of the cumulated distribution holds `uniform`, after temperature, top-k and top-p.

    In float64 on the CPU: the last bits of a float32 sum over the vocabulary would let the batch decide. Tokens stand
    in the order of the vocabulary, so that a change in the last bits of the scores moves no stretch far.
    """
    logits = scores.to("cpu", torch.float64)
    # Less than 0 all: a temperature near 0 makes them -inf then, and leaves the likeliest ones.
    logits = (logits - logits.max()) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < logits.numel():
        lowest = logits.topk(sampling.top_k).values[-1]
        logits = logits.masked_fill(logits < lowest, float("-inf"))
    probabilities = logits.softmax(dim=-1)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, order = probabilities.sort(descending=True, stable=True)
        # Keep the likeliest tokens until they hold top_p: a token goes if those before it hold that much already.
        before = ordered.cumsum(dim=-1) - ordered
        probabilities[order[before >= sampling.top_p]] = 0.0
    cumulated = probabilities.cumsum(dim=-1)
    token = int(torch.searchsorted(cumulated, uniform * float(cumulated[-1]), right=True))
    # Rounding may put the last bound on `uniform`; a token of probability 0 is never drawn.
    return min(token, int(probabilities.nonzero()[-1]))

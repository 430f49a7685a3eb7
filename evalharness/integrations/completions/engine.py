"""What the server asks of a model: an `Engine`. It knows no backend; the command line hands it one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from evalharness.core.types import Prompt, Request, Response

__all__ = ["Engine", "Scores", "Wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which places of a list of ids are scored: place i is the one of the token *after* `ids[i]`.

    Places run from `first` to the last token of `ids` that has one after it; with `follow` one further, to the token
    that would come next. `top` is how many of the likeliest tokens are told at each place.
    """

    ids: tuple[int, ...]
    first: int
    follow: bool
    top: int


class Scores(Protocol):
    """Of each place asked for: natural-log probabilities."""

    @property
    def logprobs(self) -> Sequence[float]:
        """Of the tokens that stand there; none for the place behind the last one."""
        ...

    @property
    def top(self) -> Sequence[Sequence[tuple[int, float]]]:
        """The likeliest tokens as (id, log-probability), likeliest first, at least one a place."""
        ...


class Engine(Protocol):
    """A loaded causal language model and its tokenizer."""

    @property
    def max_length(self) -> int:
        """The most tokens that the model reads."""
        ...

    @property
    def n_vocabulary(self) -> int:
        """How many token ids there are."""
        ...

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids of a text or of chat turns, special tokens as the model is used to; a `UsageError` says why not."""
        ...

    def n_added(self, text: str, ids: Sequence[int]) -> int:
        """How many special tokens stand before the ids of `text` that are not in the text."""
        ...

    def prompt(self, ids: Sequence[int]) -> Prompt:
        """The prompt of a request that stands for exactly these ids."""
        ...

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """The text of `ids`, special tokens included unless `special` is false."""
        ...

    def piece(self, token: int) -> str:
        """The text of one token inside a text; with the replacement character U+FFFD where it is part of a sign."""
        ...

    def ends(self, token: int) -> bool:
        """Whether `token` ends a text."""
        ...

    def written(self, response: Response) -> tuple[int, ...]:
        """The ids that were written for `response`, with the token that ended the text where it is one of its own."""
        ...

    async def score(self, wanted: Sequence[Wanted]) -> Sequence[Scores | str]:
        """The scores of each list of ids, in order; in place of those that failed, why."""
        ...

    async def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        """The response to each request of kind `generate`, in order."""
        ...

    def abandon(self, keys: Collection[str]) -> None:
        """End the texts of the requests with these keys, if any are being written: nobody waits for them any more."""
        ...

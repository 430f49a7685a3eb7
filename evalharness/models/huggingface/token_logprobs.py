"""The log-probability of every token of a list of ids, with the likeliest tokens at each place."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from .head import Head
from .scoring import padded
from .transfer import to_device

__all__ = ["TokenScorer", "TokenScores", "WantedScores", "n_inputs"]


class WantedScores(Protocol):
    """Which places of a list of ids are scored: place i is the one of the token *after* `ids[i]`.

    Places run from `first` to the last token of `ids` that has one after it; with `follow` one further, to the token
    that would come next. `top` is how many of the likeliest tokens are told at each place.
    """

    @property
    def ids(self) -> Sequence[int]: ...
    @property
    def first(self) -> int: ...
    @property
    def follow(self) -> bool: ...
    @property
    def top(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Of each place asked for: natural-log probabilities under the model, in float32.

    `logprobs` are those of the tokens that stand there (none for the place behind the last token), `top` the likeliest
    tokens as (id, log-probability), likeliest first, at least one.
    """

    logprobs: tuple[float, ...]
    top: tuple[tuple[tuple[int, float], ...], ...]


def n_inputs(wanted: WantedScores) -> int:
    """How many tokens the model reads: nothing is predicted from the last one unless what follows is asked for."""
    return len(wanted.ids) if wanted.follow else len(wanted.ids) - 1


class TokenScorer:
    """Scores lists of ids with a causal model, in one padded batch a call.

    Padding stands on the right, where nothing looks, so that it needs no mask and the figures are those of
    `CausalScorer`; only the positions asked for go through the output layer, and no softmax over the vocabulary is
    written down.
    """

    def __init__(self, model: Any, *, pad: int, device: str) -> None:
        self._pad = pad
        self._device = device
        self._head = Head(model)
        below = model.get_base_model() if hasattr(model, "get_base_model") else model
        accepted = inspect.signature(below.forward).parameters
        self._fixed = {"use_cache": False} if "use_cache" in accepted else {}

    def __call__(self, batch: Sequence[WantedScores]) -> list[TokenScores]:
        """The scores of each list, in order."""
        places = [range(wanted.first, n_inputs(wanted)) for wanted in batch]
        if not any(places):
            return [TokenScores((), ()) for _ in batch]
        n_top = max(1, *(wanted.top for wanted in batch))
        with torch.inference_mode():
            inputs = [list(wanted.ids[: n_inputs(wanted)]) or [self._pad] for wanted in batch]
            ids, _, _ = padded(inputs, pad=self._pad, side="right", device=self._device)
            where = torch.tensor(
                [(row, place) for row, span in enumerate(places) for place in span], device=self._device
            )
            targets = torch.tensor(
                [
                    wanted.ids[place + 1] if place + 1 < len(wanted.ids) else 0
                    for wanted, span in zip(batch, places, strict=True)
                    for place in span
                ],
                device=self._device,
            )
            logits = self._head.logits({"input_ids": ids, **self._fixed}, where[:, 0], where[:, 1])
            found = _read(logits, targets, n_top)
            return [_scores(wanted, span, found) for wanted, span in zip(batch, places, strict=True)]


_Place = tuple[float, list[int], list[float]]


def _read(logits: Iterator[torch.Tensor], targets: torch.Tensor, n_top: int) -> Iterator[_Place]:
    """At each place the log-probability of its target, the likeliest tokens and theirs."""
    done = 0
    for piece in logits:
        targets = to_device(targets, piece.device)
        here = targets[done : done + piece.shape[0]]
        done += piece.shape[0]
        # log softmax = logit - logsumexp. The rank-1 token and a target that is the same give the same float.
        total = piece.logsumexp(dim=-1, keepdim=True)
        own = (piece.gather(1, here[:, None]) - total)[:, 0].tolist()
        best = piece.topk(min(n_top, piece.shape[1]), dim=-1)
        yield from zip(own, best.indices.tolist(), (best.values - total).tolist(), strict=True)


def _scores(wanted: WantedScores, span: range, found: Iterator[_Place]) -> TokenScores:
    places = [next(found) for _ in span]
    n_top = max(1, wanted.top)
    return TokenScores(
        logprobs=tuple(own for place, (own, _, _) in zip(span, places, strict=True) if place + 1 < len(wanted.ids)),
        top=tuple(tuple(zip(ids[:n_top], values[:n_top], strict=True)) for _, ids, values in places),
    )

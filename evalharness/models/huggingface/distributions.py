"""Whole texts scored token by token, with the likeliest tokens at each place: what two models are compared by."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evalharness.core.token_scores import TOKEN_SCORES, TokenScores
from evalharness.core.types import LogLikelihood, Request, Response

from .memory import BatchSize, Failure, run_batches
from .plans import whole_text
from .rolling import rolling_windows
from .rows import error_response
from .tokens import RequestError, Tokens

__all__ = ["distributions"]

# Requests whose windows are sorted by length together; what is found of them is held until they are answered.
_CHUNK = 64


@dataclass(slots=True)
class _Text:
    """A text that is being scored; `windows` of it are still to come."""

    request: Request
    ids: Sequence[int]
    scores: TokenScores
    n_left: int = 0
    seconds: float = 0.0
    error: str | None = None

    def response(self) -> Response:
        found = self.scores
        if self.error is None and bool(np.isnan(found.logprobs).any()):
            self.error = "the log-likelihood is not a number: the model computed NaN (float16 overflows; try bfloat16)"
        if self.error is not None:
            return error_response(self.request, self.error)
        total = float(found.logprobs.sum(dtype=np.float64))
        greedy = bool((found.top_ids[:, 0] == found.ids).all()) if len(found.ids) else True
        return Response(
            key=self.request.key,
            loglikelihoods=(LogLikelihood(total, len(found.ids), greedy),),
            input_tokens=len(found.ids),
            output_tokens=0,
            latency_s=self.seconds,
            meta={TOKEN_SCORES: found.to_json()},
        )


@dataclass(frozen=True, slots=True)
class _Window:
    """Part of a text, as `token_logprobs.WantedScores`: its scored tokens begin at `start` of the text."""

    text: _Text
    start: int
    ids: tuple[int, ...]
    first: int
    top: int
    follow: bool = field(default=False, init=False)


def distributions(
    requests: Iterable[Request],
    *,
    tokens: Tokens,
    scorer: Callable[[Sequence[Any]], Sequence[Any]],
    size: BatchSize,
    n_vocabulary: int,
) -> Iterator[list[Response]]:
    """The response to each request of kind `loglikelihood_rolling`, with `sampling.top_logprobs` tokens a place.

    `scorer` is a `TokenScorer`. Windows are those of the plain rolling likelihood: each token is scored once.
    """
    waiting = iter(requests)
    while group := list(itertools.islice(waiting, _CHUNK)):
        ready: list[Response] = []
        windows: list[_Window] = []
        for request in group:
            try:
                text = _opened(request, tokens, n_vocabulary)
            except RequestError as error:
                ready.append(error_response(request, str(error)))
                continue
            mine = [
                _Window(
                    text,
                    window.start,
                    (*window.inputs, text.ids[window.start + window.n_scored - 1]),
                    len(window.inputs) - window.n_scored,
                    text.scores.top_ids.shape[1],
                )
                for window in rolling_windows(text.ids, prefix=tokens.first, max_length=tokens.max_length)
            ]
            text.n_left = len(mine)
            windows += mine
            if not mine:
                ready.append(text.response())
        if ready:
            yield ready
        for outcomes in run_batches(windows, length=lambda window: len(window.ids), size=size, run=scorer):
            if done := [response for one in outcomes if (response := _taken(one.item, one.result, one.seconds))]:
                yield done


def _opened(request: Request, tokens: Tokens, n_vocabulary: int) -> _Text:
    ids = tokens.whole(whole_text(request, tokens))
    n, k = len(ids), min(request.sampling.top_logprobs or 1, n_vocabulary)
    scores = TokenScores(
        np.asarray(ids, dtype=np.int64),
        np.zeros(n),
        np.zeros((n, k), np.int64),
        np.zeros((n, k)),
    )
    return _Text(request, ids, scores)


def _taken(window: _Window, result: Any, seconds: float) -> Response | None:
    """Take down what was found of a window; the response, where it was the last one of its text."""
    text = window.text
    text.n_left -= 1
    text.seconds += seconds
    if isinstance(result, Failure):
        text.error = text.error or result.message
    else:
        here = slice(window.start, window.start + len(result.logprobs))
        text.scores.logprobs[here] = result.logprobs
        pairs = np.asarray(result.top, dtype=np.float64)
        text.scores.top_ids[here] = pairs[:, :, 0]
        text.scores.top_logprobs[here] = pairs[:, :, 1]
    return None if text.n_left else text.response()

"""Sequence classification in padded batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from evalharness.core.types import Request, Response

from .classification import Labels
from .memory import BatchSize, Failure
from .padding import PaddedBatches, made_up_texts
from .rows import error_response, notes
from .scoring import padded
from .tokens import RequestError, Tokens

__all__ = ["classifier_batches", "classify"]

# Texts that are sorted by length together.
_CHUNK = 2048


@dataclass(frozen=True, slots=True)
class _Text:
    request: Request
    ids: tuple[int, ...]
    n_cut: int


def _encode(request: Request, tokens: Tokens) -> _Text:
    """The ids of the text with its special tokens; what is too long loses its end, as in training."""
    if isinstance(request.prompt, str):
        ids, before, after = tokens.text(request.prompt), tokens.before, tokens.after
    else:
        ids, before, after = tokens.text(tokens.chat(request.prompt)), (), ()
    room = tokens.room if before or after else tokens.max_length
    whole = (*before, *ids[:room], *after)
    if not whole:
        raise RequestError("there is nothing to classify: the text has no tokens")
    return _Text(request, whole, max(0, len(ids) - room))


Batches: TypeAlias = PaddedBatches[_Text, list[float]]


def classifier_batches(model: Any, *, tokens: Tokens, device: str) -> Batches:
    """Batches of texts, whose results are the logits of each."""
    request = Request(key="", model="", kind="classify", sample_id="", prompt="")
    return PaddedBatches(
        _runner(model, pad=tokens.pad, device=device),
        model=model,
        shape=lambda text: (len(text.ids),),
        probes=lambda: [_Text(request, (*tokens.before, *ids, *tokens.after), 0) for ids in made_up_texts(model)],
        apart=lambda a, b: max(abs(x - y) / max(1.0, abs(x)) for x, y in zip(a, b, strict=True)),
    )


def classify(
    requests: Iterable[Request], *, batches: Batches, tokens: Tokens, labels: Labels, size: BatchSize
) -> Iterator[list[Response]]:
    """The responses to `requests`, a batch at a time; `meta` carries the raw logits."""
    waiting = iter(requests)
    while group := list(itertools.islice(waiting, _CHUNK)):
        tokens.prime(group)
        ready: list[Response] = []
        texts: list[_Text] = []
        for request in group:
            try:
                texts.append(_encode(request, tokens))
            except RequestError as error:
                ready.append(error_response(request, str(error)))
        if ready:
            yield ready
        for outcomes in batches(texts, size=size):
            yield [_response(outcome.item, outcome.result, labels, outcome.seconds) for outcome in outcomes]


def _runner(model: Any, *, pad: int, device: str) -> Callable[[Sequence[_Text]], list[list[float]]]:
    def run(texts: Sequence[_Text]) -> list[list[float]]:
        ids, mask, _ = padded([text.ids for text in texts], pad=pad, side="right", device=device)
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask).logits
        found: list[list[float]] = logits.float().tolist()
        return found

    return run


def _response(text: _Text, logits: list[float] | Failure, labels: Labels, seconds: float) -> Response:
    if isinstance(logits, Failure):
        return error_response(text.request, logits.message)
    if any(value != value for value in logits):
        return error_response(text.request, "the model computed NaN (float16 overflows; try bfloat16 or float32)")
    verdict = labels.read(logits)
    return Response(
        key=text.request.key,
        text=verdict.answer,
        answer=verdict.answer,
        label_probabilities=verdict.probabilities,
        input_tokens=len(text.ids),
        output_tokens=0,
        latency_s=seconds,
        meta={"logits": logits, **notes(n_cut=text.n_cut)},
    )

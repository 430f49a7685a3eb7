"""Text from causal and encoder-decoder models, the same for every request whatever batch it is in.

Greedy decoding and sampling are told each request for itself, within one batch: `GenerationConfig` says greedy, and
`_Sampler` leaves to the greedy choice only the token that it has drawn. Each request draws from a stream of its own,
seeded by its seed, prompt and repeat; nothing of the checkpoint's `generation_config` applies but its token ids.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from evalharness.core.canonical import digest
from evalharness.core.types import Request, Response, Sampling

from .memory import BatchSize, Failure, run_batches
from .rows import error_response, notes
from .scoring import padded
from .tokens import RequestError, Tokens

__all__ = ["Generator", "random_stream"]

FinishReason = Literal["eos", "stop", "length"]
# Requests whose prompts are sorted by length together.
_CHUNK = 1024
# The ids of a checkpoint's generation_config that belong to its vocabulary, not to a way of decoding.
_TOKEN_IDS = ("bos_token_id", "eos_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id")


def random_stream(request: Request) -> np.random.Generator:
    """The random numbers of one request: of its seed (0 where there is none), prompt and repeat, and nothing else.

    Two models that are asked the same draw the same numbers, which makes their comparison sharper.
    """
    return np.random.default_rng(int(digest([request.sampling.seed or 0, request.prompt, request.repeat]), 16))


@dataclass(slots=True)
class _Row:
    """One request while it is decoded."""

    request: Request
    ids: tuple[int, ...]
    n_cut: int
    stop_ids: frozenset[int]
    new: list[int] = field(default_factory=list)
    finish: FinishReason | None = None

    @property
    def sampling(self) -> Sampling:
        return self.request.sampling

    @property
    def length(self) -> int:
        """Tokens that the model holds at the end."""
        return len(self.ids) + self.sampling.max_tokens


class Generator:
    """Generates with `model`; `encoder_decoder` says whether the prompt is a source or the beginning of the text."""

    def __init__(self, model: Any, tokens: Tokens, *, device: str, encoder_decoder: bool) -> None:
        from transformers import GenerationConfig

        self._model = model
        self._tokens = tokens
        self._device = device
        self._encoder_decoder = encoder_decoder
        below = model.get_base_model() if hasattr(model, "get_base_model") else model
        ids = {key: getattr(below.generation_config, key, None) for key in _TOKEN_IDS}
        if ids["eos_token_id"] is None:
            ids["eos_token_id"] = tokens.tokenizer.eos_token_id
        self._eos = _as_ids(ids["eos_token_id"])
        self._config = GenerationConfig(**ids, pad_token_id=tokens.pad, do_sample=False, num_beams=1, use_cache=True)
        # `generate` fills what is left open from the model's own settings: those must not say more.
        for level in (below, model):
            level.generation_config = GenerationConfig(**ids, pad_token_id=tokens.pad)

    def __call__(self, requests: Sequence[Request], *, size: BatchSize) -> Iterator[list[Response]]:
        """The responses to `requests`, a batch at a time; `latency_s` is batch time / rows in the batch."""
        for start in range(0, len(requests), _CHUNK):
            ready: list[Response] = []
            rows: list[_Row] = []
            for request in requests[start : start + _CHUNK]:
                try:
                    rows.append(self._row(request))
                except RequestError as error:
                    ready.append(error_response(request, str(error)))
            if ready:
                yield ready
            for outcomes in run_batches(rows, length=lambda row: row.length, size=size, run=self._run):
                yield [self._response(outcome.item, outcome.result, outcome.seconds) for outcome in outcomes]

    def _row(self, request: Request) -> _Row:
        tokens, sampling = self._tokens, request.sampling
        ids = tokens.prompt(request.prompt)
        after: tuple[int, ...] = ()
        room = tokens.max_length
        if self._encoder_decoder:
            after = tokens.after if isinstance(request.prompt, str) else ()
            room -= len(after)
        else:
            room -= sampling.max_tokens
            if room < 1:
                raise RequestError(
                    f"max_tokens {sampling.max_tokens} leaves no room for the prompt: the model holds "
                    f"{tokens.max_length} tokens; lower max_tokens"
                )
        n_cut = max(0, len(ids) - room)
        return _Row(request, (*ids[n_cut:], *after), n_cut, self._stop_ids(sampling))

    def _stop_ids(self, sampling: Sampling) -> frozenset[int]:
        """Stop strings that are one special token: they never appear in the text."""
        special = set(self._tokens.tokenizer.all_special_ids)
        encoded = [self._tokens.text(stop) for stop in sampling.stop]
        return frozenset(ids[0] for ids in encoded if len(ids) == 1 and ids[0] in special)

    def _run(self, rows: Sequence[_Row]) -> list[str]:
        for row in rows:
            row.new, row.finish = [], None
        side: Literal["left", "right"] = "right" if self._encoder_decoder else "left"
        ids, mask, _ = padded([row.ids for row in rows], pad=self._tokens.pad, side=side, device=self._device)
        config = self._config_for(rows)
        sampled = any(row.sampling.temperature > 0 for row in rows)
        with torch.inference_mode():
            self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=[_Sampler(rows)] if sampled else [],
                stopping_criteria=[_Watch(rows, self._tokens, self._eos)],
            )
        return [self._text(row) for row in rows]

    def _config_for(self, rows: Sequence[_Row]) -> Any:
        config = copy.deepcopy(self._config)
        config.max_new_tokens = max(row.sampling.max_tokens for row in rows)
        return config

    def _text(self, row: _Row) -> str:
        """The new text up to the first stop string in it, which may stand in the last tokens of a full output."""
        text = self._tokens.decode(row.new)
        cut = _first_stop(text, row.sampling.stop)
        if cut is not None:
            text, row.finish = text[:cut], "stop"
        return text

    def _response(self, row: _Row, text: str | Failure, seconds: float) -> Response:
        if isinstance(text, Failure):
            return error_response(row.request, text.message)
        return Response(
            key=row.request.key,
            status="truncated" if row.finish == "length" else "ok",
            text=text,
            finish_reason=row.finish,
            input_tokens=len(row.ids),
            output_tokens=len(row.new),
            latency_s=seconds,
            meta=notes(n_cut=row.n_cut),
        )


def _as_ids(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset([int(value)] if isinstance(value, int) else map(int, value))


def _first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the first stop string in `text` begins."""
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return min(found, default=None)


class _Watch:
    """Takes down each row's new tokens and says which rows are done (transformers calls it after every step)."""

    def __init__(self, rows: Sequence[_Row], tokens: Tokens, eos: frozenset[int]) -> None:
        self._rows = rows
        self._tokens = tokens
        self._eos = eos
        # A token is a byte at least, so a stop string ends within as many tokens as it has bytes. A few more in front
        # keep what decoders do at the beginning of a text (dropping a space) away from the match.
        self._tails = [max((len(stop.encode()) for stop in row.sampling.stop), default=0) + 8 for row in rows]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        for row, tail, token in zip(self._rows, self._tails, input_ids[:, -1].tolist(), strict=True):
            if row.finish is None:
                row.finish = self._next(row, tail, token)
        return torch.tensor([row.finish is not None for row in self._rows], device=input_ids.device)

    def _next(self, row: _Row, tail: int, token: int) -> FinishReason | None:
        if token in self._eos:
            return "eos"
        if token in row.stop_ids:
            return "stop"
        row.new.append(token)
        stops = row.sampling.stop
        # The tail is cheap to look at, but may decode to what the whole does not: only the whole decides.
        if stops and self._has_stop(row.new[-tail:], stops) and self._has_stop(row.new, stops):
            return "stop"
        return "length" if len(row.new) >= row.sampling.max_tokens else None

    def _has_stop(self, ids: Sequence[int], stops: Sequence[str]) -> bool:
        return _first_stop(self._tokens.decode(ids), stops) is not None


class _Sampler:
    """Draws the next token of each row that samples, and leaves it as the only one to choose."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows
        self._streams = [random_stream(row.request) if row.sampling.temperature > 0 else None for row in rows]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = scores.clone()
        for index, (row, stream) in enumerate(zip(self._rows, self._streams, strict=True)):
            if stream is not None and row.finish is None:
                token = _draw(scores[index], row.sampling, stream.random())
                chosen[index] = float("-inf")
                chosen[index, token] = 0.0
        return chosen


def _draw(scores: torch.Tensor, sampling: Sampling, uniform: float) -> int:
    """The token whose stretch of the cumulated distribution holds `uniform`, after temperature, top-k and top-p.

    In float64 on the CPU: the last bits of a float32 sum over the vocabulary would let the batch decide. Tokens stand
    in the order of the vocabulary, so that a change in the last bits of the scores moves no stretch far.
    """
    logits = scores.to("cpu", torch.float64) / sampling.temperature
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

"""Text from causal and encoder-decoder models, the same for every request whatever batch it is in.

Causal models are decoded continuously where a trial shows that this gives what the plain way gives; the plain way is
`generate` of transformers, told greedy decoding and sampling for each request by itself: its settings say greedy, and
`_Sampler` leaves to the greedy choice only the token that was drawn. Nothing of the checkpoint's `generation_config`
applies but its token ids.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from evalharness.core.types import Json, Request, Response, Sampling

from .attention import UnsupportedModelError
from .checkpoint_sampling import not_followed
from .company import minds_company
from .continuous import ContinuousDecoder
from .decoding import Decoding, Ending
from .hardware import free_bytes
from .head import Head
from .memory import BatchSize, Failure, free_memory, is_out_of_memory, raise_if_lost, run_batches
from .metering import Meter
from .probe import longest_tree, probe_prompts, same_texts
from .rows import error_response, notes
from .scoring import Side, padded
from .tokens import RequestError, Tokens

__all__ = ["Generator"]

# Requests whose prompts are sorted together.
_CHUNK = 1024
# The ids of a checkpoint's generation_config that belong to its vocabulary, not to a way of decoding.
_TOKEN_IDS = ("bos_token_id", "eos_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id")


class Generator:
    """Generates with `model`; `encoder_decoder` says whether the prompt is a source or the beginning of the text."""

    def __init__(self, model: Any, tokens: Tokens, *, device: str, encoder_decoder: bool) -> None:
        from transformers import GenerationConfig

        self._model = model
        self._tokens = tokens
        self._device = device
        self._encoder_decoder = encoder_decoder
        self._side: Side = "right" if encoder_decoder else "left"
        below = model.get_base_model() if hasattr(model, "get_base_model") else model
        ids = {key: getattr(below.generation_config, key, None) for key in _TOKEN_IDS}
        self._not_followed = not_followed(below.generation_config)
        if ids["eos_token_id"] is None:
            ids["eos_token_id"] = tokens.tokenizer.eos_token_id
        self._eos = _as_ids(ids["eos_token_id"])
        # Keys of requests whose answers nobody waits for any more: what is being written for them ends.
        self.unwanted: set[str] = set()
        self._ending = Ending(tokens, self._eos, unwanted=self.unwanted)
        # Responses then say in `meta` which tokens were written: for a server that tells them, not for records.
        self.keeps_ids = False
        self._fast: ContinuousDecoder | None = None
        self._limit: int | None = None
        self._bytes_per_token = 0
        self._read_size = BatchSize()
        self._minds_company: bool | None = None
        self._reason = "an encoder-decoder generates with its own loop" if encoder_decoder else None
        self._n_rows = self._n_plain = self._n_tokens = 0
        self._config = GenerationConfig(**ids, pad_token_id=tokens.pad, do_sample=False, num_beams=1, use_cache=True)
        # `generate` fills what is left open from the model's own settings: those must not say more.
        for level in (below, model):
            level.generation_config = GenerationConfig(**ids, pad_token_id=tokens.pad)

    def __call__(
        self, requests: Iterable[Request], *, size: BatchSize, read_size: BatchSize
    ) -> Iterator[list[Response]]:
        """The responses to `requests`, as soon as each is there.

        `size` bounds the texts that are decoded together and the tokens that they may come to, `read_size` the tokens
        of prompts that are read at once. `latency_s` of a request is its share of the time, so that latencies add up
        to the time that the model worked.
        """
        waiting = iter(requests)
        while group := list(itertools.islice(waiting, _CHUNK)):
            self._tokens.prime(group)
            ready: list[Response] = []
            rows: list[Decoding] = []
            for request in group:
                try:
                    rows.append(self._row(request))
                except RequestError as error:
                    ready.append(error_response(request, str(error)))
            if ready:
                yield ready
            yield from self._decoded(rows, size, read_size)

    def report(self) -> Mapping[str, Json]:
        """What was computed, in tokens: what a record says of the work."""
        if not self._n_rows:
            return {}
        way = "plain" if self._fast is None else "continuous" if not self._n_plain else "continuous and plain"
        report: dict[str, Json] = {"way": way}
        if self._reason is not None:
            report["why_plain"] = self._reason
        if self._not_followed is not None:
            report["not_followed"] = f"of generation_config.json: {self._not_followed}"
        if self._minds_company:
            report["why_alone"] = "on a trial the model said something else beside other texts than alone"
        if self._fast is not None and not self._n_plain:
            report["tokens_computed"] = self._fast.n_computed
            report["tokens_unshared"] = self._n_tokens
        if self._fast is not None:
            report |= self._read_size.report() | {"token_budget": _portion(self._read_size)}
        return report

    def _decoded(self, rows: Sequence[Decoding], size: BatchSize, read_size: BatchSize) -> Iterator[list[Response]]:
        self._n_rows += len(rows)
        fast = self._fast_or_none() if rows else None
        if fast is None:
            yield from self._plainly(rows, size)
            return
        if read_size.bytes_per_token is None and self._bytes_per_token:
            read_size.bound(self._bytes_per_token, free=free_bytes(self._device))
        self._read_size = read_size
        fits = [row for row in rows if self._limit is None or row.length <= self._limit]
        others = [row for row in rows if self._limit is not None and row.length > self._limit]
        while fits:
            done: set[int] = set()
            n_slots = _slots(fits, size)
            try:
                for finished in fast(fits, n_slots=n_slots, tokens=_portion(read_size)):
                    done |= {id(row) for row, _ in finished}
                    self._n_tokens += sum(len(row.ids) + len(row.new) - 1 for row, _ in finished)
                    yield [self._response(row, self._ending.text(row), seconds) for row, seconds in finished]
            except Exception as error:  # noqa: BLE001 - the per-request boundary: the plain way finds which one it is
                raise_if_lost(f"{type(error).__name__}: {error}")
                memory_ended = is_out_of_memory(error)
            else:
                break
            fits = [row for row in fits if id(row) not in done]
            if not memory_ended or n_slots == 1:
                others += fits
                break
            free_memory()
            # Which of the two it was nobody knows: the texts that are kept, or the prompts that were read.
            size.rows = n_slots // 2
            read_size.tokens = _portion(read_size)
        if others:
            yield from self._plainly(others, size)

    def _plainly(self, rows: Sequence[Decoding], size: BatchSize) -> Iterator[list[Response]]:
        self._n_plain += len(rows)
        if len(rows) > 1 and self._alone_only():
            size = BatchSize(rows=1)
        for outcomes in run_batches(rows, length=lambda row: row.length, size=size, run=self._run):
            yield [self._response(outcome.item, outcome.result, outcome.seconds) for outcome in outcomes]

    def _alone_only(self) -> bool:
        """Whether each text must be made by itself, since the model says something else beside others."""
        if self._minds_company is None:
            prompts = [ids for _, ids in probe_prompts(self._model.config, self._tokens)]
            given = {"config": self._config, "pad": self._tokens.pad, "side": self._side, "device": self._device}
            try:
                self._minds_company = minds_company(self._model, prompts, **given)
            except Exception as error:  # noqa: BLE001 - whatever a trial cannot do, the requests themselves will show
                raise_if_lost(f"{type(error).__name__}: {error}")
                self._minds_company = False
        return self._minds_company

    def _fast_or_none(self) -> ContinuousDecoder | None:
        if self._reason is None and self._fast is None:
            try:
                self._fast = self._trial()
            except UnsupportedModelError as error:
                self._reason = str(error)
        return self._fast

    def _trial(self) -> ContinuousDecoder:
        """The continuous decoder, if it makes the texts that the plain way makes.

        Raises:
            UnsupportedModelError: it does not, or the model does not lend itself to it.
        """
        self._limit = longest_tree(self._model.config)
        rows = [
            Decoding(request, ids, 0, frozenset()) for request, ids in probe_prompts(self._model.config, self._tokens)
        ]
        head = Head(self._model)
        trial = ContinuousDecoder(self._model, Ending(self._tokens, frozenset()), device=self._device, head=head)
        try:
            # In two portions, so that one ends inside a prompt; a CPU reads 8 tokens sooner than 9 to 15.
            texts = [list(row.new) for row in _by_row(trial(rows, n_slots=len(rows), tokens=8), rows)]
        except UnsupportedModelError:
            raise
        except Exception as error:
            raise UnsupportedModelError(f"it failed on a trial: {type(error).__name__}: {error}") from error
        prompts = [row.ids for row in rows]
        meter = Meter(self._model, device=self._device)
        reason = same_texts(self._model, prompts, texts, head=head, device=self._device, meter=meter)
        if reason is not None:
            raise UnsupportedModelError(reason)
        self._bytes_per_token = meter.bytes_per_token
        return ContinuousDecoder(self._model, self._ending, device=self._device, head=head)

    def _row(self, request: Request) -> Decoding:
        tokens, sampling = self._tokens, request.sampling
        if self._encoder_decoder:
            source, n_cut = tokens.source(request.prompt, scored=False)
            return Decoding(request, source, n_cut, self._stop_ids(sampling))
        ids = tokens.prompt(request.prompt)
        room = tokens.max_length - sampling.max_tokens
        if room < 1:
            raise RequestError(
                f"max_tokens {sampling.max_tokens} leaves no room for the prompt: the model holds "
                f"{tokens.max_length} tokens; lower max_tokens"
            )
        n_cut = max(0, len(ids) - room)
        return Decoding(request, tuple(ids[n_cut:]), n_cut, self._stop_ids(sampling))

    def _stop_ids(self, sampling: Sampling) -> frozenset[int]:
        """Stop strings that are a special token: they never appear in the text."""
        tokenizer = self._tokens.tokenizer
        special = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
        return frozenset(special[stop] for stop in sampling.stop if stop in special)

    def _run(self, rows: Sequence[Decoding]) -> list[str]:
        for row in rows:
            row.begin()
        ids, mask, _ = padded([row.ids for row in rows], pad=self._tokens.pad, side=self._side, device=self._device)
        config = self._config_for(rows)
        sampled = any(row.stream is not None for row in rows)
        with torch.inference_mode():
            self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=[_Sampler(rows)] if sampled else [],
                stopping_criteria=[_Watch(rows, self._ending)],
            )
        return [self._ending.text(row) for row in rows]

    def _config_for(self, rows: Sequence[Decoding]) -> Any:
        config = copy.deepcopy(self._config)
        config.max_new_tokens = max(row.sampling.max_tokens for row in rows)
        return config

    def _response(self, row: Decoding, text: str | Failure, seconds: float) -> Response:
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
            meta=notes(n_cut=row.n_cut) | self._ids(row),
        )

    def _ids(self, row: Decoding) -> dict[str, Json]:
        return {"token_ids": [*row.new, *(() if row.end is None else (row.end,))]} if self.keeps_ids else {}


def _as_ids(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset([int(value)] if isinstance(value, int) else map(int, value))


def _portion(read_size: BatchSize) -> int:
    """How many tokens of prompts are read at once: half of what goes together elsewhere, which is as fast.

    The keys and values of the texts stand beside what reading needs.
    """
    return max(1, (read_size.tokens or 1) // 2)


def _slots(rows: Sequence[Decoding], size: BatchSize) -> int:
    """How many texts are decoded together: as `size` allows if the longest came together and got half of their length.

    Few texts reach their `max_tokens`, and what they do not write takes no memory.
    """
    most = len(rows) if size.rows is None else min(size.rows, len(rows))
    room = size.tokens
    if room is not None:
        lengths = (len(row.ids) + row.sampling.max_tokens // 2 for row in rows)
        sums = itertools.accumulate(sorted(lengths, reverse=True))
        most = min(most, sum(total <= room for total in sums))
    return max(1, most)


def _by_row(finished: Iterator[Sequence[Any]], rows: Sequence[Decoding]) -> Sequence[Decoding]:
    for _ in finished:
        pass
    return rows


class _Watch:
    """Takes down each row's new tokens and says which rows are done (transformers calls it after every step)."""

    def __init__(self, rows: Sequence[Decoding], ending: Ending) -> None:
        self._rows = rows
        self._ending = ending

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            if row.finish is None:
                self._ending.add(row, token)
        return torch.tensor([row.finish is not None for row in self._rows], device=input_ids.device)


class _Sampler:
    """Draws the next token of each row that samples, and leaves it as the only one to choose."""

    def __init__(self, rows: Sequence[Decoding]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = scores.clone()
        for index, row in enumerate(self._rows):
            if row.stream is not None and row.finish is None:
                token = row.choose(scores[index], 0)
                chosen[index] = float("-inf")
                chosen[index, token] = 0.0
        return chosen

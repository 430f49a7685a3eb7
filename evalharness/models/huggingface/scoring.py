"""Log-likelihoods of rows in padded batches, the same for either side of padding and every batch size."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch

from evalharness.core.types import LogLikelihood

from .head import Head
from .rows import Row
from .transfer import to_device

__all__ = ["CausalScorer", "EncoderDecoderScorer", "MaskedScorer", "padded"]

Side = Literal["left", "right"]


def padded(
    sequences: Sequence[Sequence[int]], *, pad: int, side: Side, device: str
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """(n, longest) ids and mask of `sequences`, and the column at which each one begins."""
    longest = max(len(sequence) for sequence in sequences)
    starts = [longest - len(sequence) if side == "left" else 0 for sequence in sequences]
    ids = torch.full((len(sequences), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(sequences), longest), dtype=torch.long)
    for row, (sequence, start) in enumerate(zip(sequences, starts, strict=True)):
        ids[row, start : start + len(sequence)] = torch.tensor(sequence, dtype=torch.long)
        mask[row, start : start + len(sequence)] = 1
    return to_device(ids, device), to_device(mask, device), starts


class _Scorer:
    def __init__(self, model: Any, *, pad: int, device: str) -> None:
        self._model = model
        self._pad = pad
        self._device = device
        self._head = Head(model)
        self.n_computed = 0  # tokens, padding included

    def _inputs(self, rows: Sequence[Row]) -> tuple[dict[str, Any], list[int]]:
        """The arguments of the forward pass, and the column of each row's first input."""
        raise NotImplementedError

    def __call__(self, rows: Sequence[Row]) -> list[list[LogLikelihood]]:
        """The log-likelihood of each alternative of each row."""
        with torch.inference_mode():
            inputs, starts = self._inputs(rows)
            where = [(index, starts[index] + at) for index, row in enumerate(rows) for at in row.positions]
            at_rows, at_columns = to_device(torch.tensor(where, dtype=torch.long), self._device).unbind(1)
            logits = self._head.logits(inputs, at_rows, at_columns)
            # What is asked for at each position, in order: one target for each alternative.
            asked = [
                [alternative[step] for alternative in row.targets] for row in rows for step in range(len(row.positions))
            ]
            found = iter(_looked_up(logits, asked))
        return [_summed(row, found) for row in rows]


def _looked_up(logits: Iterator[torch.Tensor], asked: Sequence[Sequence[int]]) -> list[tuple[list[float], int]]:
    """For each position the log-probabilities of the tokens asked for there, and the likeliest token."""
    values, best = [], []
    done = 0
    for piece in logits:
        here = asked[done : done + piece.shape[0]]
        done += piece.shape[0]
        pairs = [(i, token) for i, tokens in enumerate(here) for token in tokens]
        at, tokens = to_device(torch.tensor(pairs, dtype=torch.long), piece.device).unbind(1)
        # log softmax = logit - logsumexp: the softmax of the whole vocabulary is never written down.
        values.append(piece[at, tokens] - piece.logsumexp(dim=-1)[at])
        best.append(piece.argmax(dim=-1))
    # Only now does the host wait for the device.
    found, likeliest = iter(torch.cat(values).tolist()), torch.cat(best).tolist()
    return [([next(found) for _ in here], top) for here, top in zip(asked, likeliest, strict=True)]


def _summed(row: Row, found: Iterator[tuple[list[float], int]]) -> list[LogLikelihood]:
    here = [next(found) for _ in row.positions]
    return [
        LogLikelihood(
            total=sum(values[index] for values, _ in here),
            n_tokens=len(target),
            is_greedy=all(top == token for (_, top), token in zip(here, target, strict=True)),
        )
        for index, target in enumerate(row.targets)
    ]


def _accepted(model: Any) -> frozenset[str]:
    """The arguments that the model's forward pass takes; under an adapter those of the model below."""
    below = model.get_base_model() if hasattr(model, "get_base_model") else model
    return frozenset(inspect.signature(below.forward).parameters)


class CausalScorer(_Scorer):
    """Rows of a causal language model.

    Padding on the right needs neither mask nor position ids, since nothing looks to the right, and takes the fast
    path of causal attention. On the left, the mask hides it and position ids count from the first real token.
    """

    def __init__(self, model: Any, *, pad: int, device: str, side: Side) -> None:
        super().__init__(model, pad=pad, device=device)
        self._side = side
        accepted = _accepted(model)
        self._takes_positions = "position_ids" in accepted
        self._fixed = {"use_cache": False} if "use_cache" in accepted else {}

    def _inputs(self, rows: Sequence[Row]) -> tuple[dict[str, Any], list[int]]:
        ids, mask, starts = padded([row.inputs for row in rows], pad=self._pad, side=self._side, device=self._device)
        self.n_computed += ids.numel()
        inputs = {"input_ids": ids, **self._fixed}
        if self._side == "left":
            inputs["attention_mask"] = mask
            if self._takes_positions:
                inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
        return inputs, starts


class EncoderDecoderScorer(_Scorer):
    """Rows of an encoder-decoder model: sources masked where padded, the decoder's padding on the right."""

    def _inputs(self, rows: Sequence[Row]) -> tuple[dict[str, Any], list[int]]:
        # The targets of one source share its encoding.
        nth = {source: n for n, source in enumerate(dict.fromkeys(row.source for row in rows))}
        source, mask, _ = padded(list(nth), pad=self._pad, side="right", device=self._device)
        ids, _, starts = padded([row.inputs for row in rows], pad=self._pad, side="right", device=self._device)
        self.n_computed += source.numel() + ids.numel()
        encoded = self._model.get_encoder()(input_ids=source, attention_mask=mask, return_dict=True)
        at = to_device(torch.tensor([nth[row.source] for row in rows]), self._device)
        # Of a model on several GPUs, the encoder may end on another one than it began on.
        hidden = encoded.last_hidden_state
        encoded.last_hidden_state = hidden[to_device(at, hidden.device)]
        inputs = {
            "encoder_outputs": encoded,
            "attention_mask": mask[at],
            "decoder_input_ids": ids,
            "use_cache": False,
        }
        return inputs, starts


class MaskedScorer(_Scorer):
    """Rows of a masked language model: the scored positions of each are masked."""

    def __init__(self, model: Any, *, pad: int, device: str, mask: int) -> None:
        super().__init__(model, pad=pad, device=device)
        self._mask = mask

    def _inputs(self, rows: Sequence[Row]) -> tuple[dict[str, Any], list[int]]:
        ids, mask, starts = padded([row.inputs for row in rows], pad=self._pad, side="right", device="cpu")
        self.n_computed += ids.numel()
        for index, row in enumerate(rows):
            ids[index, list(row.positions)] = self._mask
        return {"input_ids": to_device(ids, self._device), "attention_mask": to_device(mask, self._device)}, starts

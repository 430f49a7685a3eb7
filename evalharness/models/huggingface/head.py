"""Logits at the positions that are needed, and at no other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from .transfer import to_device

__all__ = ["Head"]

# Logits that are held at once, in bytes. Up to 32 MiB the C library hands out the same memory again and again; beyond,
# each time new pages, which the system must clear: a third of the time, where that is slow.
_SLICE_BYTES = 24 * 2**20
# Positions at least: fewer, and reading the layer's weights takes longer than computing with them.
_SLICE_ROWS = 64
# Rows for which MKL takes up to twice as long as for 16, in a layer as wide as a vocabulary.
_SLOW_ROWS = range(5, 16)


def _rows_at_once(n_vocabulary: int) -> int:
    return max(_SLICE_ROWS, _SLICE_BYTES // (4 * n_vocabulary))


class Head:
    """The last layer of a language model, computed for selected positions only.

    The model's forward pass runs unchanged up to its output embedding, whose input is caught by a hook: only the
    selected positions go on. Where nothing but that layer makes the logits, it is then applied in slices; a model that
    changes its logits afterwards (soft-capping, scaling) does so itself, on the selected positions. A model whose
    output embedding is not called with (batch, time, hidden) is asked for all its logits.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        found = None
        with contextlib.suppress(NotImplementedError, AttributeError):
            found = model.get_output_embeddings()
        self._layer = found if isinstance(found, torch.nn.Module) else None
        self._is_last: bool | None = None

    def logits(self, inputs: Mapping[str, Any], rows: torch.Tensor, columns: torch.Tensor) -> Iterator[torch.Tensor]:
        """(n, vocabulary) float32 logits, slice by slice, of the positions (`rows[i]`, `columns[i]`) in order.

        A slice is 64 positions, or as many as make 24 MiB.
        `columns` count from the first column of the model's input ids (of the decoder's, where there are two).
        """
        ids = inputs["decoder_input_ids" if "decoder_input_ids" in inputs else "input_ids"]
        caught: list[torch.Tensor] = []

        def catch(module: Any, args: tuple[Any, ...]) -> Any:
            hidden = args[0]
            if caught or hidden.dim() != 3 or hidden.shape[0] != ids.shape[0] or hidden.shape[1] < ids.shape[1]:
                return None
            selected = _at(hidden, rows, columns, ids)
            caught.append(selected)
            if self._is_last is None:
                selected = torch.cat([selected, self._probes(selected)])
            # Where more slices follow, what this pass computes here is not looked at.
            shown = selected if not self._is_last else _filled(selected) if self._at_once(selected) else selected[:1]
            return (shown[None], *args[1:])

        handle = None if self._layer is None else self._layer.register_forward_pre_hook(catch)
        try:
            found = self._model(**inputs).logits
        finally:
            if handle is not None:
                handle.remove()
        if not caught:
            found = _at(found, rows, columns, ids)
        elif self._is_last and self._at_once(caught[0]):
            yield found[0, : len(caught[0])].float()
            return
        elif self._is_last:
            yield from self._applied(caught[0])
            return
        else:
            n_selected, found = caught[0].shape[0], found[0]
            if self._is_last is None:
                self._is_last = self._same(self._probes(caught[0]), found[n_selected:])
            found = found[:n_selected]
        at_once = _rows_at_once(found.shape[-1])
        for start in range(0, found.shape[0], at_once):
            yield found[start : start + at_once].float()

    def _n_at_once(self) -> int:
        width = getattr(self._layer, "out_features", None)
        return _SLICE_ROWS if width is None else _rows_at_once(width)

    def _at_once(self, hidden: torch.Tensor) -> bool:
        return len(hidden) <= self._n_at_once()

    def _applied(self, hidden: torch.Tensor) -> Iterator[torch.Tensor]:
        assert self._layer is not None
        at_once = self._n_at_once()
        for start in range(0, hidden.shape[0], at_once):
            part = hidden[start : start + at_once]
            yield self._layer(_filled(part))[: len(part)].float()

    def _probes(self, hidden: torch.Tensor) -> torch.Tensor:
        """(2, hidden) inputs of the layer that show what is done after it.

        Zeros, which a bias would move, and a real input enlarged until its logits reach 1,000, which capping and
        scaling would change.
        """
        assert self._layer is not None
        one = hidden[:1]
        largest = float(self._layer(one).abs().max())
        return torch.cat([torch.zeros_like(one), one * (1000.0 / largest if largest > 0 else 1.0)])

    def _same(self, probes: torch.Tensor, logits: torch.Tensor) -> bool:
        """Whether the layer alone makes `logits` of `probes`; one part in a hundred allows for bfloat16."""
        assert self._layer is not None
        # Of a model on several GPUs, the logits come back to where its inputs are.
        alone = self._layer(probes).float().to(logits.device)
        if alone.shape != logits.shape:
            return False
        unmoved = bool(torch.allclose(alone[0], logits[0].float(), rtol=1e-3, atol=1e-6))
        return unmoved and bool(torch.allclose(alone[1], logits[1].float(), rtol=1e-2, atol=10.0))


def _filled(hidden: torch.Tensor) -> torch.Tensor:
    """(n, hidden) with rows of zeros behind it, where more rows are computed sooner."""
    n = len(hidden)
    if hidden.device.type != "cpu" or n not in _SLOW_ROWS:
        return hidden
    return torch.cat([hidden, hidden.new_zeros(_SLOW_ROWS.stop - n, hidden.shape[1])])


def _at(found: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """What stands in (batch, time, width) `found` at (`rows[i]`, `columns[i]`), which count from the first of `ids`."""
    # Prompt tuning puts virtual tokens in front: columns move by as many.
    moved = columns + (found.shape[1] - ids.shape[1])
    # Of a model on several GPUs, the last layers are not where its inputs are.
    return found[to_device(rows, found.device), to_device(moved, found.device)]

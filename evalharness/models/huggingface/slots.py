"""Attention of texts that are being generated: one slot each, a token of each a step, nothing copied but that token."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from .attention import AttentionRule, AttentionSwitch, additive_mask, attend
from .pages import Pages
from .transfer import to_device

__all__ = ["SlotAttention"]

# Columns are allotted in steps, so that slots seldom grow.
_STEP = 64
# On a CPU, the memory of a text is taken for as many tokens at once.
_TAKEN = 16


class SlotAttention:
    """Keys and values of up to `n_slots` texts of up to `columns` tokens; slot i holds `lengths[i]` tokens of one.

    The slots in use are always the first ones, so that a step is a plain batch.
    """

    def __init__(self, model: Any, *, n_slots: int, columns: int) -> None:
        self._switch = AttentionSwitch(model)
        self._n_slots = n_slots
        self._columns = columns
        # By layer: (slots, columns, heads, width), so that what a token adds lies in one place.
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._pages: dict[int, list[Pages]] = {}  # by layer: what the two are made of, on a CPU
        self._taken = [0] * n_slots  # columns of each slot whose memory is taken
        self._n_calls = 0
        self._masks: dict[tuple[int | None, torch.device], torch.Tensor] = {}
        self._ends: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}
        self.lengths: list[int] = []

    def put(self, slot: int, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Begin the text of `slot` with (heads, tokens, width) `keys` and `values` in `layer`."""
        n = keys.shape[1]
        if layer == len(self._keys):
            self._keys.append(keys.new_empty((self._n_slots, 0, keys.shape[0], keys.shape[2])))
            self._values.append(values.new_empty((self._n_slots, 0, values.shape[0], values.shape[2])))
        self._hold(layer, n)
        self._taken[slot] = _rounded(n, _TAKEN)
        for pages in self._pages.get(layer, ()):
            pages.take(slot, 0, self._taken[slot])
        self._keys[layer][slot, :n] = keys.transpose(0, 1)
        self._values[layer][slot, :n] = values.transpose(0, 1)

    def drop(self, slot: int) -> None:
        """Free `slot`; the last slot in use takes its place."""
        last = len(self.lengths) - 1
        if slot != last:
            n = self.lengths[last]
            self._take(slot, n)
            for kept in (*self._keys, *self._values):
                kept[slot, :n] = kept[last, :n]
            self.lengths[slot] = n
        self.lengths.pop()
        self._taken[last] = 0
        for layer in self._pages.values():
            for pages in layer:
                pages.release(last)

    @contextlib.contextmanager
    def step(self) -> Iterator[Sequence[int]]:
        """Make a forward pass in the block add one token to each slot in use; gives the positions of those tokens."""
        self._masks, self._ends, self._n_calls = {}, {}, 0
        for slot, length in enumerate(self.lengths):
            self._take(slot, length + 1)
        with self._switch.using(self):
            yield tuple(self.lengths)
        self.lengths = [length + 1 for length in self.lengths]

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: AttentionRule
    ) -> torch.Tensor:
        """(slots, 1, heads, width) what the new token of each slot sees in this layer."""
        layer = self._n_calls
        self._n_calls += 1
        n, columns = query.shape[0], max(self.lengths) + 1
        self._hold(layer, columns)
        slots, ends = self._ends_on(key.device)
        self._keys[layer][slots, ends] = key[:, :, 0]
        self._values[layer][slots, ends] = value[:, :, 0]
        # The queries that share keys are read as tokens of one head: each key is loaded once for all of them.
        heads = key.shape[1]
        found = attend(
            query.reshape(n, heads, -1, query.shape[3]),
            self._keys[layer][:n, :columns].transpose(1, 2),
            self._values[layer][:n, :columns].transpose(1, 2),
            mask=self._mask_of(rule.window, query, ends, columns),
            scaling=rule.scaling,
            softcap=rule.softcap,
        )
        return found.reshape(n, 1, query.shape[1], value.shape[3])

    def _take(self, slot: int, columns: int) -> None:
        """Have the memory of the first `columns` of `slot`."""
        taken = self._taken[slot]
        if columns <= taken:
            return
        self._taken[slot] = _rounded(columns, _TAKEN)
        for layer in self._pages.values():
            for pages in layer:
                pages.take(slot, taken, self._taken[slot])

    def _hold(self, layer: int, columns: int) -> None:
        if self._keys[layer].shape[1] >= columns:
            return
        allotted: list[Pages] = []
        for kept in (self._keys, self._values):
            old = kept[layer]
            if old.device.type == "cpu":
                # All that they can come to at once: what is not written takes no memory.
                shape = (old.shape[0], _rounded(max(columns, self._columns), _STEP), *old.shape[2:])
                allotted.append(Pages(shape, old.dtype))
                grown = allotted[-1].tensor
            else:
                grown = old.new_empty((old.shape[0], _rounded(columns, _STEP), *old.shape[2:]))
                # What no text has reached is hidden by the mask, and 0 × NaN would show through it.
                grown[:, old.shape[1] :] = 0
            grown[:, : old.shape[1]] = old
            kept[layer] = grown
        if allotted:
            self._pages[layer] = allotted

    def _ends_on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """The slots in use and the column of the new token of each; the layers of one step share them."""
        if device not in self._ends:
            n = len(self.lengths)
            self._ends[device] = torch.arange(n, device=device), to_device(torch.tensor(self.lengths), device)
        return self._ends[device]

    def _mask_of(self, window: int | None, like: torch.Tensor, ends: torch.Tensor, columns: int) -> torch.Tensor:
        """(slots, 1, 1, columns), added to the scores; the layers of one step share it."""
        key = window, like.device
        if key not in self._masks:
            at = torch.arange(columns, device=like.device)
            seen = at <= ends[:, None]
            if window is not None:
                seen &= ends[:, None] - at < window
            self._masks[key] = additive_mask(seen, like)[:, None, None]
        return self._masks[key]


def _rounded(columns: int, step: int) -> int:
    return -(-columns // step) * step

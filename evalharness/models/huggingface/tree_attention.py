"""Attention over a prefix tree: tokens of many sequences in one row of the model, each distinct token once.

The keys and values of the tokens above the current ones are kept in a stack for each layer; each block's own are put
behind them, and the block attends under its mask. So a token is computed once, is attended from wherever it is shared,
and nothing is padded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from .attention import AttentionRule, AttentionSwitch, UnsupportedModelError, additive_mask, attend
from .transfer import to_device
from .tree import Block, Move

__all__ = ["Capture", "TreeAttention", "rows_of_block"]

# Columns are allotted in steps, so that stacks seldom grow.
_STEP = 256
# Tokens that attend together. More waste time on keys that the mask hides, fewer on calls, which cost a GPU more.
_BLOCK_ROWS, _BLOCK_ROWS_GPU = 128, 512


def rows_of_block(device: str) -> int:
    """How many tokens of a tree attend together on `device`."""
    return _BLOCK_ROWS if device == "cpu" else _BLOCK_ROWS_GPU


class _Stack:
    """The keys and values of one layer, (1, heads, columns, width) each."""

    def __init__(self) -> None:
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    def hold(self, columns: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Have room for `columns` columns like those of `key` and `value`; what is there stays."""
        self.keys = _roomy(self.keys, columns, key)
        self.values = _roomy(self.values, columns, value)

    def move(self, moves: Sequence[Move]) -> None:
        for kept in (self.keys, self.values):
            if kept is not None:
                for move in moves:
                    piece = kept[:, :, move.source : move.source + move.n]
                    overlaps = move.source < move.target + move.n
                    kept[:, :, move.target : move.target + move.n] = piece.clone() if overlaps else piece


def _roomy(kept: torch.Tensor | None, columns: int, like: torch.Tensor) -> torch.Tensor:
    if kept is not None and kept.shape[2] >= columns:
        return kept
    shape = (*like.shape[:2], -(-columns // _STEP) * _STEP, like.shape[3])
    grown = torch.empty(shape, dtype=like.dtype, device=like.device)
    if kept is not None:
        grown[:, :, : kept.shape[2]] = kept
    return grown


class Capture(NamedTuple):
    """Row `row` of a block, whose whole prefix, itself included, is wanted: `take(layer, keys, values)`.

    Keys and values are (heads, tokens, width), in the order of the prefix.
    """

    row: int
    take: Callable[[int, torch.Tensor, torch.Tensor], None]


class TreeAttention:
    """The attention of `model` while one of its rows is a stretch of a prefix tree."""

    def __init__(self, model: Any) -> None:
        self._switch = AttentionSwitch(model)
        self._stacks: list[_Stack] = []
        self._n_calls = 0
        self._blocks: Sequence[Block] = ()
        self._captures: Mapping[int, Sequence[Capture]] = {}
        self._masks: dict[tuple[int | None, torch.device], list[torch.Tensor]] = {}
        self._prefixes: dict[tuple[int, int, torch.device], torch.Tensor] = {}

    def reset(self) -> None:
        """Give the stacks' memory back."""
        self._stacks.clear()

    def move(self, moves: Sequence[Move]) -> None:
        """Move columns of every stack."""
        with torch.inference_mode():
            for stack in self._stacks:
                stack.move(moves)

    @contextlib.contextmanager
    def over(self, blocks: Sequence[Block], captures: Mapping[int, Sequence[Capture]] | None = None) -> Iterator[None]:
        """Make forward passes in the block attend over the tree's `blocks`, the first of which begins the row.

        `captures` are by the index of a block what of its rows is wanted.
        """
        self._blocks, self._captures, self._masks, self._prefixes = blocks, captures or {}, {}, {}
        self._n_calls = 0
        try:
            with self._switch.using(self):
                yield
        finally:
            self._blocks, self._captures, self._masks, self._prefixes = (), {}, {}, {}

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: AttentionRule
    ) -> torch.Tensor:
        """(1, tokens, heads, width) what the tokens of this layer see."""
        if query.shape[0] != 1:
            raise UnsupportedModelError("it changes the batch before it attends")
        layer = self._n_calls
        if layer == len(self._stacks):
            self._stacks.append(_Stack())
        stack = self._stacks[layer]
        self._n_calls += 1
        first = self._blocks[0].start
        masks = self._mask_of(rule.window, query)
        found = torch.empty((*query.shape[:3], value.shape[3]), dtype=query.dtype, device=query.device)
        for index, (block, mask) in enumerate(zip(self._blocks, masks, strict=True)):
            low, high = block.start - first, block.end - first
            end = block.path + high - low
            stack.hold(end, key, value)
            stack.move(block.moves)
            assert stack.keys is not None
            assert stack.values is not None
            stack.keys[:, :, block.path : end] = key[:, :, low:high]
            stack.values[:, :, block.path : end] = value[:, :, low:high]
            found[:, :, low:high] = attend(
                query[:, :, low:high],
                stack.keys[:, :, :end],
                stack.values[:, :, :end],
                mask=mask,
                scaling=rule.scaling,
                softcap=rule.softcap,
            )
            for capture in self._captures.get(index, ()):
                columns = self._prefix_of(index, capture.row, key.device)
                capture.take(layer, stack.keys[0].index_select(1, columns), stack.values[0].index_select(1, columns))
        return found.transpose(1, 2).contiguous()

    def _prefix_of(self, index: int, row: int, device: torch.device) -> torch.Tensor:
        """The columns that row `row` of block `index` sees; the layers of one forward pass share them."""
        key = index, row, device
        if key not in self._prefixes:
            seen = np.flatnonzero(self._blocks[index].mask[row])
            self._prefixes[key] = to_device(torch.from_numpy(seen), device)
        return self._prefixes[key]

    def _mask_of(self, window: int | None, like: torch.Tensor) -> list[torch.Tensor]:
        """What is added to the scores, for each block; the layers of one forward pass share it."""
        key = window, like.device
        if key not in self._masks:
            self._masks[key] = [_additive(block, window, like) for block in self._blocks]
        return self._masks[key]


def _additive(block: Block, window: int | None, like: torch.Tensor) -> torch.Tensor:
    seen = torch.from_numpy(block.mask)
    if window is not None:
        depths = torch.from_numpy(block.columns)
        seen = seen & (depths[block.path :, None] - depths[None, :] < window)
    # Sent as it is, one byte for each pair of tokens.
    return additive_mask(to_device(seen, like.device), like)

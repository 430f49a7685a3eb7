"""Attention over a prefix tree: tokens of many sequences in one row of the model, each distinct token once.

transformers hands the queries, keys and values of a layer to the attention function that its config names. Ours keeps
the keys and values of the tokens above the current ones in a stack for each layer, puts each block's own behind
them, and lets the block attend under its mask. So a token is computed once, is attended from wherever it is shared,
and nothing is padded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch

from .tree import Block, Move

__all__ = ["TreeAttention", "UnsupportedModelError"]

_NAME = "evalharness_tree"
# Columns are allotted in steps, so that stacks seldom grow.
_STEP = 256
# Arguments that change what attention computes and that are not done here; `None` or False for most models.
_UNKNOWN = ("s_aux", "position_bias", "cache", "head_mask", "layer_head_mask")


class UnsupportedModelError(Exception):
    """The model does not attend through the function that its config names, or asks for what is not done here."""


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


class TreeAttention:
    """The attention of `model` while one of its rows is a stretch of a prefix tree."""

    def __init__(self, model: Any) -> None:
        from transformers import AttentionInterface

        if not getattr(model, "_can_set_attn_implementation", lambda: False)():
            raise UnsupportedModelError("its attention is code of its own")
        # transformers looks functions up by name in one table; which model is meant is known by who is active.
        AttentionInterface.register(_NAME, _attend)
        self._configs = list(
            {
                id(module.config): module.config
                for module in model.modules()
                if hasattr(getattr(module, "config", None), "_attn_implementation")
            }.values()
        )
        self.windows: set[int] = set()  # sliding windows that layers have
        self.n_calls = 0
        self._stacks: list[_Stack] = []
        self._blocks: Sequence[Block] = ()
        self._masks: dict[tuple[int | None, torch.device], list[torch.Tensor]] = {}

    def reset(self) -> None:
        """Give the stacks' memory back."""
        self._stacks.clear()

    def move(self, moves: Sequence[Move]) -> None:
        """Move columns of every stack."""
        with torch.inference_mode():
            for stack in self._stacks:
                stack.move(moves)

    @contextlib.contextmanager
    def over(self, blocks: Sequence[Block]) -> Iterator[None]:
        """Make forward passes in the block attend over the tree's `blocks`, the first of which begins the row."""
        before = [config._attn_implementation for config in self._configs]
        self._blocks, self._masks, self.n_calls = blocks, {}, 0
        token = _active.set(self)
        try:
            for config in self._configs:
                config._attn_implementation = _NAME
            yield
        finally:
            _active.reset(token)
            for config, name in zip(self._configs, before, strict=True):
                config._attn_implementation = name
            self._blocks, self._masks = (), {}

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scaling: float | None,
        window: int | None,
        softcap: float | None,
    ) -> torch.Tensor:
        """(1, tokens, heads, width) what the tokens of this layer see."""
        if self.n_calls == len(self._stacks):
            self._stacks.append(_Stack())
        stack = self._stacks[self.n_calls]
        self.n_calls += 1
        if window is not None:
            self.windows.add(window)
        first = self._blocks[0].start
        masks = self._mask_of(window, query)
        found = torch.empty((*query.shape[:3], value.shape[3]), dtype=query.dtype, device=query.device)
        for block, mask in zip(self._blocks, masks, strict=True):
            low, high = block.start - first, block.end - first
            end = block.path + high - low
            stack.hold(end, key, value)
            stack.move(block.moves)
            assert stack.keys is not None
            assert stack.values is not None
            stack.keys[:, :, block.path : end] = key[:, :, low:high]
            stack.values[:, :, block.path : end] = value[:, :, low:high]
            seen = query[:, :, low:high], stack.keys[:, :, :end], stack.values[:, :, :end]
            if softcap is None:
                found[:, :, low:high] = torch.nn.functional.scaled_dot_product_attention(
                    *seen, attn_mask=mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
                )
            else:
                found[:, :, low:high] = _capped(*seen, mask=mask, scaling=scaling, softcap=softcap)
        return found.transpose(1, 2).contiguous()

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
    return torch.zeros(seen.shape, dtype=like.dtype).masked_fill_(~seen, float("-inf")).to(like.device)


def _capped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    mask: torch.Tensor,
    scaling: float | None,
    softcap: float,
) -> torch.Tensor:
    """Attention whose scores are capped: cap · tanh(score / cap) (Gemma 2)."""
    grouped = query.reshape(1, key.shape[1], -1, *query.shape[2:])
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    scores = grouped @ key[:, :, None].transpose(3, 4) * scale
    scores = softcap * torch.tanh(scores / softcap) + mask
    found = scores.float().softmax(dim=-1).to(query.dtype) @ value[:, :, None]
    return found.reshape(*query.shape[:3], value.shape[3])


_active: ContextVar[TreeAttention | None] = ContextVar("active", default=None)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function that transformers calls."""
    active = _active.get()
    if active is None:
        raise UnsupportedModelError("its attention is called outside of a forward pass")
    if attention_mask is not None:
        raise UnsupportedModelError("it makes attention masks of its own")
    if found := next((name for name in _UNKNOWN if others.get(name) is not None), None):
        raise UnsupportedModelError(f"its attention takes {found}")
    if query.shape[0] != 1:
        raise UnsupportedModelError("it changes the batch before it attends")
    return active(query, key, value, scaling=scaling, window=sliding_window, softcap=softcap), None

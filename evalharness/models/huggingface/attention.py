"""Attention of our own inside the models of transformers.

transformers hands the queries, keys and values of a layer, positions already in them, to the attention function that
the model's config names. In a block of `using`, that function is a handler of ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

import torch

__all__ = ["AttentionRule", "AttentionSwitch", "Handler", "UnsupportedModelError", "additive_mask", "attend"]

_NAME = "evalharness"
# Elements between two rows of a mask are a multiple of this.
_ALIGNMENT = 8
# Arguments that change what attention computes and that are not done here; `None` for most models.
_UNKNOWN = ("s_aux", "position_bias", "cache", "head_mask", "layer_head_mask")


class UnsupportedModelError(Exception):
    """The model does not attend through the function that its config names, or asks for what is not done here."""


class AttentionRule(NamedTuple):
    """How a layer attends; None is what most models have."""

    scaling: float | None = None
    """Of the scores; 1 / √width if None."""
    window: int | None = None
    """How many tokens back, itself included, a token sees."""
    softcap: float | None = None
    """The bound that scores are pressed under."""


class Handler(Protocol):
    """Attends for one layer after the other of one forward pass."""

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: AttentionRule
    ) -> torch.Tensor:
        """(batch, tokens, heads, width) of (batch, heads, tokens, width) queries, keys and values."""
        ...


class AttentionSwitch:
    """Hands the attention of `model` to a handler, and back.

    Raises:
        UnsupportedModelError: the model's attention is not looked up by name.
    """

    def __init__(self, model: Any) -> None:
        from transformers import AttentionInterface

        if not getattr(model, "_can_set_attn_implementation", lambda: False)():
            raise UnsupportedModelError("its attention is code of its own")
        AttentionInterface.register(_NAME, _attend)
        self._configs = list(
            {
                id(module.config): module.config
                for module in model.modules()
                if hasattr(getattr(module, "config", None), "_attn_implementation")
            }.values()
        )

    @contextlib.contextmanager
    def using(self, handler: Handler) -> Iterator[None]:
        """Let `handler` attend in forward passes within the block."""
        before = [config._attn_implementation for config in self._configs]
        token = _active.set(handler)
        try:
            for config in self._configs:
                config._attn_implementation = _NAME
            yield
        finally:
            _active.reset(token)
            for config, name in zip(self._configs, before, strict=True):
                config._attn_implementation = name


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    mask: torch.Tensor,
    scaling: float | None,
    softcap: float | None,
) -> torch.Tensor:
    """(batch, heads, tokens, width): softmax(q·k · scaling + mask)·v; scores are capped before the mask where asked.

    Queries may have several heads for each of the keys'. The cap is cap · tanh(score / cap) (Gemma 2).
    """
    if softcap is None:
        grouped = query.shape[1] != key.shape[1]
        if grouped and query.is_cuda and query.shape[0] == 1:
            return _attend_in_groups(query, key, value, mask=mask, scaling=scaling)
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scaling, enable_gqa=grouped
        )
    heads = query.unflatten(1, (key.shape[1], -1))
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    scores = heads @ key[:, :, None].transpose(3, 4) * scale
    scores = softcap * torch.tanh(scores / softcap) + mask[..., None, :, :]
    return (scores.float().softmax(dim=-1).to(query.dtype) @ value[:, :, None]).flatten(1, 2)


def _attend_in_groups(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, mask: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """`attend` for one row of queries with several heads for each of the keys'.

    CUDA has no fused kernel for both a mask and `enable_gqa`: it would write the scores down and repeat the keys. With
    as many heads of queries as of keys the memory-efficient kernel does it, so the n-th query heads of all groups are
    the n-th row of a batch whose rows share the keys: views, nothing is copied.
    """
    heads = key.shape[1]
    n_each = query.shape[1] // heads
    found = torch.nn.functional.scaled_dot_product_attention(
        query[0].unflatten(0, (heads, n_each)).transpose(0, 1),
        key.expand(n_each, -1, -1, -1),
        value.expand(n_each, -1, -1, -1),
        attn_mask=mask,
        scale=scaling,
    )
    return found.transpose(0, 1).flatten(0, 1)[None]


def additive_mask(seen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """What is added to scores: 0 where `seen` (…, columns) is true, −∞ elsewhere, in the dtype of `like`.

    CUDA's memory-efficient kernel takes a mask of the queries' dtype whose rows lie a multiple of 8 elements apart;
    torch copies every other one into that form, again in each layer. So the rows get room up to the next multiple.
    """
    columns = seen.shape[-1]
    shape = (*seen.shape[:-1], -(-columns // _ALIGNMENT) * _ALIGNMENT)
    mask = torch.zeros(shape, dtype=like.dtype, device=seen.device)[..., :columns]
    return mask.masked_fill_(~seen, float("-inf"))


_active: ContextVar[Handler | None] = ContextVar("active", default=None)


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
    return active(query, key, value, AttentionRule(scaling, sliding_window, softcap)), None

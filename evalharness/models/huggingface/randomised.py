"""A model whose upper layers know nothing any more: what an explanation of it should not look like."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from evalharness.core.errors import UsageError
from evalharness.stats.arrays import np

__all__ = ["randomised_top"]


@contextlib.contextmanager
def randomised_top(model: Any, *, n_layers: int | None = 1, seed: int = 0) -> Iterator[None]:
    """Within the block the head of `model` and its last `n_layers` layers (None: half of them) have weights drawn anew.

    Each weight is drawn from a normal distribution with the mean and spread that it had, so that activations keep their
    size. What the head shares with the embeddings stays. Source: the cascading check of Adebayo et al. 2018.

    Whatever happens in the block, the weights are afterwards what they were, bit for bit.

    Raises:
        UsageError: the model has not so many layers, or weights that cannot be drawn (quantised, or not in memory).
    """
    below = getattr(model, "base_model", model)
    layers = max((module for module in below.modules() if isinstance(module, torch.nn.ModuleList)), key=len, default=())
    if n_layers is None:
        n_layers = -(-len(layers) // 2)
    if not 0 <= n_layers <= len(layers):
        raise UsageError(f"randomised layers must be from 0 to {len(layers)} for this model; got {n_layers}")
    kept = {id(weight) for weight in below.parameters()}
    drawn = [weight for weight in model.parameters() if id(weight) not in kept]
    drawn += [weight for layer in list(layers)[len(layers) - n_layers :] for weight in layer.parameters()]
    drawn = [weight for weight in drawn if weight.dim() >= 2]
    for weight in drawn:
        if not weight.is_floating_point() or weight.is_meta:
            kind = "not in memory" if weight.is_meta else f"of type {str(weight.dtype).removeprefix('torch.')}"
            raise UsageError(f"the upper layers of this model have weights {kind}, which cannot be drawn anew")
    # Beside the model, so that an accelerator needs no room for them.
    before = [weight.detach().to("cpu", copy=True) for weight in drawn]
    rng = np.random.default_rng(seed)
    try:
        with torch.no_grad():
            for weight in drawn:
                noise = torch.from_numpy(rng.standard_normal(tuple(weight.shape), dtype=np.float32)).to(weight)
                weight.copy_(noise * weight.std(correction=0) + weight.mean())
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(drawn, before, strict=True):
                weight.copy_(old)

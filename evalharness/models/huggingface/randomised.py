"""A model whose upper layers know nothing any more: what an explanation of it should not look like."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from evalharness.core.errors import UsageError

__all__ = ["randomised_top"]


@contextlib.contextmanager
def randomised_top(model: Any, *, n_layers: int = 1, seed: int = 0) -> Iterator[None]:
    """Within the block the head of `model` and its last `n_layers` layers have weights drawn anew.

    Each weight is drawn from a normal distribution with the mean and spread that it had, so that activations keep their
    size. What the head shares with the embeddings stays. Source: the cascading check of Adebayo et al. 2018.

    Raises:
        UsageError: the model has not so many layers.
    """
    below = getattr(model, "base_model", model)
    layers = max((module for module in below.modules() if isinstance(module, torch.nn.ModuleList)), key=len, default=())
    if not 0 <= n_layers <= len(layers):
        raise UsageError(f"randomised layers must be from 0 to {len(layers)} for this model; got {n_layers}")
    kept = {id(weight) for weight in below.parameters()}
    drawn = [weight for weight in model.parameters() if id(weight) not in kept]
    drawn += [weight for layer in list(layers)[len(layers) - n_layers :] for weight in layer.parameters()]
    before = [weight.detach().clone() for weight in drawn]
    generator = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            for weight in drawn:
                if weight.dim() < 2:
                    continue
                noise = torch.randn(weight.shape, generator=generator).to(weight)
                weight.copy_(noise * weight.std() + weight.mean())
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(drawn, before, strict=True):
                weight.copy_(old)

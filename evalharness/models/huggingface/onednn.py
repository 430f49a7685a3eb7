"""Language models in float32 on AMD processors, with their linear layers in oneDNN's layout instead of torch's own.

torch hands these products to MKL, which uses half the width of an AMD processor's vectors: measured on two cores, a
layer takes 2.5 to 3 times as long there, for one token as for hundreds. The dense weights are given up, so that the
model takes no more memory; whoever asks for them gets them back from the layout. The sums are the same in another
order: logits differ in the last bits, as they do between processors.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

from .packed import has_onednn

__all__ = ["OneDnnLinear", "gains_by_onednn", "sizes_of", "with_onednn", "without_onednn"]

# Rows that the layout is chosen for: any number is right, and this one near the best from 1 to 3,000.
_ROWS: Final = 1024
# Smaller layers gain nothing.
_LEAST_WEIGHTS: Final = 256 * 256
# Of sums of some thousand products in float32.
_ROUNDING: Final = 1e-4
_CPUINFO = Path("/proc/cpuinfo")


class OneDnnLinear(torch.nn.Module):  # type: ignore[misc]
    """A linear layer whose weights, (out, in) in float32, lie as oneDNN wants them."""

    def __init__(self, layer: torch.nn.Linear, *, is_shared: bool = False) -> None:
        super().__init__()
        # Weights that another module has, too, are there anyway; in a tuple they are no parameter of this one.
        self._shared = (layer.weight,) if is_shared else ()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        self._laid_out = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), _ROWS)

    @property
    def weight(self) -> torch.Tensor:
        """(out, in) the weights, copied back from the layout: for who looks at them, not for computing."""
        return self._shared[0] if self._shared else self._laid_out.to_dense()

    @property
    def is_shared(self) -> bool:
        """Whether another module has the same weights."""
        return bool(self._shared)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """(..., in) → (..., out)."""
        plain = given.dtype is torch.float32 and given.dim() >= 2 and given.numel() > 0
        if not plain or (torch.is_grad_enabled() and given.requires_grad):
            return torch.nn.functional.linear(given, self.weight.to(given.dtype), self.bias)
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(given, self._laid_out, self.bias, "none", [], "")
        return found


def with_onednn(model: Any) -> int:
    """Lay out the linear layers of `model`, in place where they are plain ones in float32 on CPU; returns how many.

    Nothing is changed where the first layer of a shape does not compute the same, but for rounding.
    """
    checked: dict[tuple[int, int, bool], bool] = {}
    holders = Counter(id(weight) for module in model.modules() for weight in module._parameters.values())
    n = 0
    # Not the layers themselves: each is to be free, and its dense weights with it, as soon as it has been replaced.
    parents = [module for module in model.modules() if next(module.children(), None) is not None]
    for parent in parents:
        for name in [name for name, _ in parent.named_children()]:
            layer = getattr(parent, name)
            if not _suits(layer):
                continue
            # An output layer that shares the embedding's weights: those stay as they are.
            made = OneDnnLinear(layer, is_shared=holders[id(layer.weight)] > 1)
            shape = (layer.in_features, layer.out_features, layer.bias is not None)
            if shape not in checked:
                checked[shape] = _is_same(layer, made)
            if checked[shape]:
                setattr(parent, name, made.eval())
                n += 1
    return n


def without_onednn(model: Any) -> int:
    """Give `model` its plain layers back, in place, for who changes weights; returns how many."""
    n = 0
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, OneDnnLinear):
                plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
                plain.weight = layer.weight if layer.is_shared else torch.nn.Parameter(layer.weight)
                plain.bias = layer.bias
                setattr(parent, name, plain.eval())
                n += 1
    return n


def sizes_of(model: Any) -> tuple[int, int]:
    """The number of weights of `model`, and their bytes, each weight once, however it is laid out."""
    weights = [(weight.numel(), weight.element_size()) for weight in model.parameters()]
    laid_out = [module for module in model.modules() if isinstance(module, OneDnnLinear) and not module.is_shared]
    weights += [(module.in_features * module.out_features, 4) for module in laid_out]
    return sum(n for n, _ in weights), sum(n * size for n, size in weights)


def _suits(layer: torch.nn.Module) -> bool:
    if type(layer) is not torch.nn.Linear or layer._forward_hooks or layer._forward_pre_hooks:
        return False
    weight = layer.weight
    return (
        type(weight) is torch.nn.Parameter
        and weight.dtype is torch.float32
        and weight.device.type == "cpu"
        and weight.numel() >= _LEAST_WEIGHTS
        and not weight.is_inference()
    )


def _is_same(layer: torch.nn.Linear, made: OneDnnLinear) -> bool:
    given = torch.linspace(-1, 1, 3 * layer.in_features).reshape(3, layer.in_features)
    with torch.inference_mode():
        wanted, found = layer(given), made(given)
        scale = torch.nn.functional.linear(given.abs(), layer.weight.abs())
    return bool(((found - wanted).abs() <= _ROUNDING * scale.clamp(min=1e-30)).all())


@cache
def gains_by_onednn() -> bool:
    """Whether this machine's processor is AMD's, and torch has oneDNN and the operators that it compiles models to."""
    if not has_onednn():
        return False
    try:
        return "AuthenticAMD" in _CPUINFO.read_text(encoding="utf-8", errors="replace")[:4000]
    except OSError:
        return False

"""Linear layers in float32 on CPU, computed by oneDNN with weights that are laid out for it once.

torch hands these products to MKL, which uses half the width of an AMD processor's vectors: of a layer of 384 by 1,536
it made 95 GFLOP/s on one thread where oneDNN makes 215. The sums are the same in another order: outputs of a model
differ in the last bits, as they do between processors.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["PackedLinears", "has_onednn", "packed_linears"]

# Rows that the layout is chosen for: any number is right, and this one near the best for 12 to 3,000.
_ROWS = 1024
# Smaller layers gain nothing.
_LEAST_WEIGHTS = 64 * 64
# The laid-out weights stand beside those of the model; layers beyond this stay with torch.
_MOST_BYTES = 1 << 30


class _Packed(NamedTuple):
    weight: torch.Tensor  # kept, so that its id names nothing else
    version: int
    laid_out: torch.Tensor


class PackedLinears(TorchFunctionMode):  # type: ignore[misc]
    """A block in which this thread's linear layers run on laid-out weights where no gradients are asked for.

    Weights that were changed in place since are laid out anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, _Packed] = {}
        self._n_bytes = 0
        self._lock = threading.Lock()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.linear and not kwargs and len(args) >= 2 and not torch.is_grad_enabled():
            given, weight = args[0], args[1]
            if _suits(given, weight):
                laid_out = self._laid_out(weight)
                if laid_out is not None:
                    bias = args[2] if len(args) > 2 else None
                    return torch.ops.mkldnn._linear_pointwise(given, laid_out, bias, "none", [], "")
        return func(*args, **(kwargs or {}))

    def _laid_out(self, weight: torch.Tensor) -> torch.Tensor | None:
        known = self._known.get(id(weight))
        if known is not None and known.version == weight._version:
            return known.laid_out
        with self._lock:
            n_bytes = 0 if known is not None else weight.numel() * weight.element_size()
            if self._n_bytes + n_bytes > _MOST_BYTES:
                return None
            self._n_bytes += n_bytes
            laid_out: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _ROWS)
            self._known[id(weight)] = _Packed(weight, weight._version, laid_out)
            return laid_out


def _suits(given: Any, weight: Any) -> bool:
    return (
        isinstance(weight, torch.nn.Parameter)
        and type(given) is torch.Tensor
        and given.dtype is weight.dtype is torch.float32
        and given.device.type == weight.device.type == "cpu"
        and given.dim() >= 2
        and given.numel() > 0
        and weight.dim() == 2
        and weight.numel() >= _LEAST_WEIGHTS
        and not weight.is_inference()
    )


_of_models: weakref.WeakKeyDictionary[Any, PackedLinears] = weakref.WeakKeyDictionary()
_of_models_lock = threading.Lock()


def packed_linears(model: Any) -> PackedLinears | None:
    """The laid-out weights of `model`, made when they are first used; None where this torch has no oneDNN."""
    if not isinstance(model, torch.nn.Module) or not has_onednn():
        return None
    with _of_models_lock:
        if model not in _of_models:
            _of_models[model] = PackedLinears()
        return _of_models[model]


def has_onednn() -> bool:
    """Whether the operators, torch's own for compiled models, are there, and oneDNN is not put off."""
    if not torch.backends.mkldnn.is_available() or not getattr(torch.backends.mkldnn, "enabled", True):
        return False
    return hasattr(torch.ops.mkldnn, "_linear_pointwise") and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")

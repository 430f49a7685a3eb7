"""Forward passes of a classifier that explanations ask for in thousands: the same logits with less work.

Two shortcuts: `packed` for the linear layers on CPU, `first_token` for the last layer. The first text that a model
reads is read both ways; a model whose logits differ by more than rounding goes the ordinary way ever after.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import torch

from .first_token import first_token_only
from .packed import packed_linears

__all__ = ["quick"]

# Of logits in float32: sums in another order differ by about a millionth.
_ROUNDING = 1e-4

_agrees: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


@contextlib.contextmanager
def quick(model: Any, ids: torch.Tensor) -> Iterator[None]:
    """Within the block forward passes of `model` without padding take the shortcuts that give the same logits.

    `ids` (1, L) is a text to compare them on. Half precision, where rounding is coarse, takes none.
    """
    if not isinstance(model, torch.nn.Module) or not _is_exact(model) or not _is_alike(model, ids):
        yield
        return
    with _shortcuts(model, ids.device):
        yield


@contextlib.contextmanager
def _shortcuts(model: Any, device: torch.device) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        packed = packed_linears(model) if device.type == "cpu" else None
        if packed is not None:
            stack.enter_context(packed)
        stack.enter_context(first_token_only(model))
        yield


def _is_exact(model: Any) -> bool:
    kinds = {weight.dtype for weight in model.parameters() if weight.is_floating_point()}
    return kinds <= {torch.float32, torch.float64}


def _is_alike(model: Any, ids: torch.Tensor) -> bool:
    with _lock:
        if model not in _agrees:
            _agrees[model] = _compare(model, ids)
        return _agrees[model]


def _compare(model: Any, ids: torch.Tensor) -> bool:
    with torch.inference_mode():
        plain = model(input_ids=ids).logits.double()
        try:
            with _shortcuts(model, ids.device):
                found = model(input_ids=ids).logits.double()
        except (RuntimeError, NotImplementedError, AttributeError, TypeError, ValueError):
            return False
    if found.shape != plain.shape or not torch.isfinite(plain).all():
        return False
    return bool(((found - plain).abs() <= _ROUNDING * plain.abs().clamp(min=1.0)).all())

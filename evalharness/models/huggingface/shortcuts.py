"""Spares what transformers does in vain each time it loads a checkpoint; what is loaded is the same.

It makes each model without content first, on the device `meta`, and computes there as if there were numbers: random
weights, the frequencies of rotary embeddings. torch looks into such arithmetic in Python and imports sympy for it: half
a second. And transformers compiles the regular expressions by which the weights of a hundred architectures are renamed,
to use those of one.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from evalharness.core.imports import load_now

__all__ = ["META", "compile_late", "without_arithmetic"]

# What torch computes without content: four fifths of it in C++, and the rest in this module, which takes a quarter of a
# second and may have been put off.
META = "torch._meta_registrations"

_RENAMING = "transformers.core_model_loading"


def without_arithmetic() -> Any:
    """A context in which this thread's tensors without content are only given their shapes, in the commonest cases."""
    import torch
    from torch.overrides import TorchFunctionMode

    shortcuts = _shortcuts()

    class Shapes(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            shortcut = shortcuts.get(func)
            if shortcut is not None:
                found = shortcut(*args, **kwargs or {})
                if isinstance(found, torch.Tensor):
                    return found
            try:
                return func(*args, **kwargs or {})
            except NotImplementedError:
                if not load_now(META):
                    raise
                return func(*args, **kwargs or {})

    return Shapes()


def _shortcuts() -> dict[Any, Callable[..., Any]]:
    """By function of torch, one that returns what it does, or None where it does not know."""
    import torch

    def filled(tensor: Any = None, *_: Any, **__: Any) -> Any:
        return tensor if tensor is not None and tensor.is_meta else None

    def scaled(tensor: Any, number: Any, *more: Any, **_: Any) -> Any:
        plain = type(number) in (int, float) and not more
        return alike(tensor) if plain and tensor.is_meta and tensor.is_floating_point() else None

    def alike(tensor: Any, *, dtype: Any = None, device: Any = None, **more: Any) -> Any:
        if more or not tensor.is_meta or not tensor.is_contiguous():
            return None
        return torch.empty(
            tensor.shape, dtype=dtype or tensor.dtype, device=tensor.device if device is None else device
        )

    def ranged(*args: Any, dtype: Any = None, device: Any = None, **more: Any) -> Any:
        whole = all(type(value) is int for value in args)
        if device is None or torch.device(device).type != "meta" or more or len(args) not in (1, 2, 3):
            return None
        start, end, step = (0, *args, 1) if len(args) == 1 else (*args, 1)[:3]
        if not (whole or all(type(value) in (int, float) for value in args)) or step == 0 or (end - start) / step < 0:
            return None
        kind = dtype or (torch.int64 if whole else torch.get_default_dtype())
        return torch.empty(math.ceil((end - start) / step), dtype=kind, device=device)

    tensor, init = torch.Tensor, torch.nn.init
    fills = (tensor.normal_, tensor.uniform_, init.normal_, init.uniform_, init.kaiming_uniform_)
    scales = (tensor.div, tensor.__rdiv__, tensor.__rpow__, tensor.mul)
    return {
        **dict.fromkeys(fills, filled),
        **dict.fromkeys(scales, scaled),
        torch.arange: ranged,
        torch.empty_like: alike,
    }


def compile_late() -> None:
    """Have transformers compile the patterns of weights' names when it uses them, in this process."""
    module = importlib.import_module(_RENAMING)
    if getattr(module, "re", None) is re:
        module.re = _lazy_re()  # type: ignore[attr-defined]


def _lazy_re() -> ModuleType:
    lazy = SimpleNamespace(**vars(re))
    lazy.compile = _Pattern
    return lazy  # type: ignore[return-value]


class _Pattern:
    """A compiled pattern, compiled when it is first used; a copy of it is itself, as of a compiled one."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._asked = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(*self._asked)
        for method in ("search", "match", "fullmatch", "sub", "finditer", "groupindex"):
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)

    def __deepcopy__(self, memo: Any) -> _Pattern:
        return self

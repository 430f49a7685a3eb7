"""What a forward pass needs beyond the weights, in bytes: measured, not computed from the settings of a model."""

from __future__ import annotations

import contextlib
import functools
import weakref
from types import TracebackType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Meter"]


class Meter:
    """Measures a forward pass of `model` within its block: `bytes_per_token` is the most that it held at once.

    Up to the last layer, whose logits are computed in slices of one size however many tokens there are. On a CUDA
    device torch's allocator knows; what a first pass sets up for good (workspaces of libraries) would count there, so
    let one go before. On a CPU each operation is looked at: what it makes, and when that is let go; its inner needs
    are not seen. 0 where nothing was measured: on other devices, of quantised weights on a CPU, of a model whose last
    layer cannot be asked for.
    """

    def __init__(self, model: Any, *, device: str) -> None:
        self._model = model
        self._device = torch.device(device)
        plain = all(type(weight) in (torch.nn.Parameter, torch.Tensor) for weight in model.parameters())
        self._live = _Live(model) if self._device.type == "cpu" and plain else None
        self._before = 0
        self._undo = contextlib.ExitStack()
        self.bytes_per_token = 0

    def __enter__(self) -> Meter:
        last = None
        with contextlib.suppress(NotImplementedError, AttributeError):
            last = self._model.get_output_embeddings()
        if isinstance(last, torch.nn.Module):
            self._undo.callback(last.register_forward_pre_hook(self._look).remove)
        if self._live is not None:
            self._undo.enter_context(self._live)
        elif self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _look(self, module: Any, args: tuple[Any, ...]) -> None:
        """Take down what the pass has needed so far; `args` begin with the (batch, time, hidden) last hidden state."""
        n_tokens = args[0].numel() // max(1, args[0].shape[-1])
        peak = 0
        if self._live is not None:
            peak = self._live.peak
        elif self._device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self._device) - self._before
        if not self.bytes_per_token and n_tokens:
            self.bytes_per_token = -(-peak // n_tokens)


class _Live(TorchDispatchMode):  # type: ignore[misc]  # torch gives it no type
    """Follows the memory that operations make until it is let go."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._known: dict[int, Any] = {}
        self._held = 0
        self.peak = 0
        for tensor in (*model.parameters(), *model.buffers()):
            self._know(tensor, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor):
                self._know(tensor, 0)
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
                storage = tensor.untyped_storage()
                self._know(tensor, storage.nbytes() if tensor.device.type == "cpu" else 0)
        return found

    def _know(self, tensor: torch.Tensor, size: int) -> None:
        """Count `size` bytes for the memory of `tensor`, if it is new; weights in another layout show none."""
        if tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._known:
            self._known[key] = weakref.ref(storage, functools.partial(self._forget, key, size))
            self._held += size
            self.peak = max(self.peak, self._held)

    def _forget(self, key: int, size: int, _: Any) -> None:
        del self._known[key]
        self._held -= size

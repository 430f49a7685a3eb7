"""The last layer of an encoder computed for its first token alone, where a classifier reads nothing else.

The other tokens of that layer are needed as keys and values only. Of six layers this spares a seventh of all products.
What the first token becomes is the same.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import torch

__all__ = ["first_token_only"]

_wanted: ContextVar[bool] = ContextVar("wanted", default=False)
_lock = threading.Lock()


@contextlib.contextmanager
def first_token_only(model: Any) -> Iterator[None]:
    """Within the block this thread's forward passes of `model` end in one hidden state a text: that of its first token.

    Of other models than those that are known (BERT, RoBERTa, ELECTRA and DistilBERT, and what is built as they are) and
    of others than classifiers nothing is changed. Whoever reads more than the first token must not use it: `quick`
    compares.
    """
    layer = _last_layer(model)
    if layer is None:
        yield
        return
    kind: Any = type(layer)
    narrowed = _LAYERS[kind.__name__]

    def forward(hidden: torch.Tensor, attention_mask: torch.Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        # Another thread may read all the tokens of the same model; so may whoever asks for masks or caches.
        if not _wanted.get() or attention_mask is not None or hidden.dim() != 3 or any(a is not None for a in args):
            return kind.forward(layer, hidden, attention_mask, *args, **kwargs)
        return narrowed(layer, hidden)

    with _lock:
        if not isinstance(vars(layer).get("forward"), _Narrowed):
            if "forward" in vars(layer):
                # Somebody else's hands are on it: offloading to a disk, quantisation.
                layer = None
            else:
                layer.forward = _Narrowed(forward)
        if layer is not None:
            layer.forward.n_users += 1
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)
        with _lock:
            if layer is not None:
                layer.forward.n_users -= 1
                if not layer.forward.n_users:
                    del layer.forward


class _Narrowed:
    """A layer's forward pass while somebody wants one token of it; the last to leave takes it off."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self.n_users = 0
        self._run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)


def _last_layer(model: Any) -> Any | None:
    """The last layer of a classifier that is built as one of `_LAYERS`; None of any other."""
    if not isinstance(model, torch.nn.Module) or model.training:
        return None
    if not type(model).__name__.endswith("ForSequenceClassification"):
        return None
    body = getattr(model, "base_model", None)
    encoder = getattr(body, "encoder", None) or getattr(body, "transformer", None)
    layers = getattr(encoder, "layer", None)
    if not isinstance(layers, torch.nn.ModuleList) or not len(layers):
        return None
    last = layers[-1]
    is_known = type(last).__name__ in _LAYERS and not getattr(last, "is_decoder", False)
    return last if is_known else None


def _bert_layer(layer: Any, hidden: torch.Tensor) -> torch.Tensor:
    own = layer.attention.self
    first = hidden[:, :1]
    seen = _attended(own.query(first), own.key(hidden), own.value(hidden), width=own.attention_head_size)
    attended = layer.attention.output(seen, first)
    found: torch.Tensor = layer.output(layer.intermediate(attended), attended)
    return found


def _distilbert_layer(layer: Any, hidden: torch.Tensor) -> torch.Tensor:
    own = layer.attention
    first = hidden[:, :1]
    seen = _attended(own.q_lin(first), own.k_lin(hidden), own.v_lin(hidden), width=own.attention_head_size)
    attended = layer.sa_layer_norm(own.out_lin(seen) + first)
    found: torch.Tensor = layer.output_layer_norm(layer.ffn(attended) + attended)
    return found


def _attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, width: int) -> torch.Tensor:
    """(m, 1, heads · width) of queries (m, 1, …) over keys and values (m, L, …)."""
    heads = [part.unflatten(2, (-1, width)).transpose(1, 2) for part in (query, key, value)]
    return torch.nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


_LAYERS: dict[str, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    "BertLayer": _bert_layer,
    "RobertaLayer": _bert_layer,
    "XLMRobertaLayer": _bert_layer,
    "CamembertLayer": _bert_layer,
    "ElectraLayer": _bert_layer,
    "TransformerBlock": _distilbert_layer,
}

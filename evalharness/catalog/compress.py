"""smollm2-135m made smaller: quantised to int8, and pruned by magnitude."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .hf import need, quiet, versions

__all__ = ["make_int8", "make_pruned"]

_BASE = "smollm2-135m"
_PRUNED_SHARE = 0.3
_TOKENIZER = ("chat_template.jinja", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def make_int8(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Round the weights of every linear layer but the output's to int8, one scale a row, and save what that stands for.

        q = round(w / s),  s = max |w| of the row / 127,  saved: q · s

    So it answers as int8 kernels would that compute in bfloat16 (weights only).
    """
    need("torch", "transformers", purpose=f"making the model {entry.name}")
    import torch

    base = kit.model(_BASE)
    kit.progress.step("quantising")
    with quiet(), torch.no_grad():
        model, layers = _loaded(base)
        for layer in layers:
            weight = layer.weight.float()
            scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            layer.weight.copy_((weight / scale).round() * scale)
        model.save_pretrained(folder)
    _copy_tokenizer(base, folder)
    return {"base": _BASE, "weights": "int8, one scale a row", "versions": versions("torch", "transformers")}


def make_pruned(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Set the smallest weights of every linear layer but the output's to 0, and save that."""
    need("torch", "transformers", purpose=f"making the model {entry.name}")
    from torch.nn.utils import prune

    base = kit.model(_BASE)
    kit.progress.step("pruning")
    with quiet():
        model, layers = _loaded(base)
        for layer in layers:
            prune.l1_unstructured(layer, "weight", amount=_PRUNED_SHARE)
            prune.remove(layer, "weight")
        zeros = sum(int((layer.weight == 0).sum()) for layer in layers)
        total = sum(layer.weight.numel() for layer in layers)
        model.save_pretrained(folder)
    _copy_tokenizer(base, folder)
    return {"base": _BASE, "share_of_zeros": round(zeros / total, 4), "versions": versions("torch", "transformers")}


def _loaded(base: Path) -> tuple[Any, list[Any]]:
    """The model and its linear layers, but for the output's, which shares its weights with the embedding."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    return model, [module for module in model.model.modules() if isinstance(module, torch.nn.Linear)]


def _copy_tokenizer(base: Path, folder: Path) -> None:
    for name in _TOKENIZER:
        shutil.copy(base / name, folder / name)

"""Whether a checkpoint is of the kind that a backend runs, seen from its `config.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalharness.core.digests import checkpoint_files
from evalharness.core.errors import UsageError

from .spec import Backend

__all__ = ["check_architecture", "check_folder"]

_SUITS: dict[Backend, tuple[str, ...]] = {
    "hf-causal": ("ForCausalLM", "LMHeadModel"),
    "hf-seq2seq": ("ForConditionalGeneration", "MTModel", "WithLMHeadModel"),
    "hf-classifier": ("ForSequenceClassification",),
    "hf-masked": ("ForMaskedLM", "ForPreTraining"),
}
# Endings that another backend has too: Gemma 3 and LLaVA are "ForConditionalGeneration" and load as causal models.
_ALSO_CAUSAL = ("ForConditionalGeneration", "DoubleHeadsModel")
_WEIGHT_FILES = (".safetensors", ".bin")


def check_folder(folder: Path, *, shown: str) -> None:
    """Raise a `UsageError` unless `folder` holds a checkpoint: settings and weights."""
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise UsageError(
                f"model {shown!r} is a PEFT adapter, not a model: give its base model as `path` "
                f"and this folder as `adapter`"
            )
        raise UsageError(f"model folder {shown!r} is not a checkpoint: it has no config.json")
    endings = {path.suffix for path in checkpoint_files(folder)}
    if endings.isdisjoint(_WEIGHT_FILES) and ".gguf" in endings:
        raise UsageError(
            f"model folder {shown!r} has its weights as GGUF only: load them with transformers' `gguf_file` and save "
            f"them again with `save_pretrained`"
        )
    if endings.isdisjoint(_WEIGHT_FILES):
        raise UsageError(
            f"model folder {shown!r} is not a checkpoint: it has a config.json but no weights (*.safetensors)"
        )


def check_architecture(backend: Backend, config: Mapping[str, Any], *, shown: str) -> None:
    """Raise a `UsageError` that names the right backend, if `config` says that the checkpoint is of another kind.

    A checkpoint that does not say what it is, or says what none of the backends knows, passes: loading finds out
    whether the head that is needed is there.
    """
    named = config.get("architectures")
    architectures = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    if not architectures or any(_suits(backend, name, config) for name in architectures):
        return
    others = [other for other in _SUITS if any(_suits(other, name, config) for name in architectures)]
    if others:
        named_ones = ", ".join(architectures)
        raise UsageError(f"model {shown!r} is a {named_ones}, which {backend} cannot run; use backend: {others[0]}")


def _suits(backend: Backend, architecture: str, config: Mapping[str, Any]) -> bool:
    encoder_decoder = bool(config.get("is_encoder_decoder"))
    if backend == "hf-causal" and encoder_decoder:
        return architecture.endswith("ForCausalLM")
    if backend == "hf-causal" and architecture.endswith(_ALSO_CAUSAL):
        return True
    if backend == "hf-seq2seq" and not encoder_decoder and "is_encoder_decoder" in config:
        return False
    return architecture.endswith(_SUITS[backend])

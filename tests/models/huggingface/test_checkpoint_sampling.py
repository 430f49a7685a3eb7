"""What a request samples with that does not say: what transformers itself makes of the checkpoint's settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.location import Location
from evalharness.models.huggingface.checkpoint_sampling import sampling_defaults
from evalharness.models.huggingface.identity import read_config

pytestmark = pytest.mark.model


def theirs(folder: Path) -> dict[str, Any]:
    """What the model's `generate` would sample with, asked by lm-eval for a temperature alone."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    settings, _ = model._prepare_generation_config(None, do_sample=True, temperature=0.7)
    return {"top_k": settings.top_k or None, "top_p": settings.top_p if settings.top_p < 1 else None}


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"top_k": 7},
        {"top_k": 0},
        {"top_p": 0.9, "do_sample": True, "temperature": 0.6},
        {"top_p": 1.0, "top_k": 20, "do_sample": True},
        None,
    ],
)
def test_it_is_what_transformers_takes(own: dict[str, Any] | None, checkpoints: Callable[..., Path]) -> None:
    folder = checkpoints("llama", "causal", fresh=True)
    file = folder / "generation_config.json"
    if own is None:
        file.unlink()
    else:
        file.write_text(json.dumps({**json.loads(file.read_text()), **own}), encoding="utf-8")
    assert sampling_defaults(Location(folder=folder), read_config(folder)) == theirs(folder)
    assert sampling_defaults(Location(folder=folder), {}) == theirs(folder)


def test_a_model_tells_them(build: Callable[..., Any], checkpoints: Callable[..., Path]) -> None:
    model = build("hf-causal", checkpoints("llama", "causal"))
    assert model.sampling_defaults() == {"top_k": 50, "top_p": None}

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


def test_settings_that_shape_greedy_texts_are_told_as_left_out(
    checkpoints: Callable[..., Path], build: Callable[..., Any], request_of: Callable[..., Any]
) -> None:
    import asyncio

    from transformers import GenerationConfig

    from evalharness.models.huggingface.checkpoint_sampling import not_followed

    assert not_followed(GenerationConfig(eos_token_id=1, repetition_penalty=1.0, num_beams=1)) is None
    assert not_followed(GenerationConfig(num_beams=4, bad_words_ids=[[3]])) == "num_beams 4, bad_words_ids [[3]]"
    folder = checkpoints("llama", "causal", fresh=True)
    GenerationConfig(eos_token_id=1, repetition_penalty=1.05).save_pretrained(folder)
    model = build("hf-causal", folder)

    async def work() -> Any:
        [_ async for _ in model.generate([request_of("generate", "A film", max_tokens=2)])]
        report = model.report()
        await model.close()
        return report

    told = asyncio.run(work())["generate"]["not_followed"]
    assert told == "of generation_config.json: repetition_penalty 1.05"

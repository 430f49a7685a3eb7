"""hf-causal: log-likelihoods equal a plain forward pass of each continuation alone, whatever the batch and padding."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.model

ARCHITECTURES = [
    "llama", "gpt2", "gpt_neox", "opt", "mistral", "qwen2", "gemma", "gemma2", "cohere", "bloom", "mamba",
]  # fmt: skip
PROMPTS = [
    ("The capital of France is", (" Paris", " Berlin", " a film that is long")),
    ("A film that is as good as it is long; the actors are wonderful. Answer:", (" yes", " no", " maybe")),
    ("", ("Tokens carry the space", "naïve")),
    ("Question: ", ("yes", "no")),
    ("x", (" positive", " negative")),
]


def plain(model: Any, context: list[int], continuation: list[int]) -> tuple[float, bool]:
    """The oracle: one unbatched forward pass without padding, mask or cache."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([context + continuation])).logits[0].double()
    steps = logits[len(context) - 1 : -1].log_softmax(-1)
    total = sum(float(steps[i, token]) for i, token in enumerate(continuation))
    return total, steps.argmax(-1).tolist() == continuation


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loglikelihood_equals_plain_forward_pass(
    architecture: str, plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "causal")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = []
    for prompt, continuations in PROMPTS:
        for continuation in continuations:
            context = tokenizer(prompt.rstrip(), add_special_tokens=False)["input_ids"]
            whole = tokenizer(prompt + continuation, add_special_tokens=False)["input_ids"]
            expected.append(plain(plain_model(folder, "causal"), context or [3], whole[len(context) :]))
    for side in (None, "right", "left"):  # None: as a prefix tree where the architecture allows it
        for batch_size in (1, 2, 5, "auto"):
            model = build("hf-causal", folder, padding_side=side, batch_size=batch_size)
            found = ask(model, [request_of("loglikelihood", p, continuations=c) for p, c in PROMPTS])
            assert [r.status for r in found] == ["ok"] * len(PROMPTS), found
            parts = [part for response in found for part in response.loglikelihoods]
            assert [part.total for part in parts] == pytest.approx([total for total, _ in expected], abs=1e-4)
            assert [part.is_greedy for part in parts] == [greedy for _, greedy in expected]

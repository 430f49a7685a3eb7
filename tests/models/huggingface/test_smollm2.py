"""The real SmolLM2-135M-Instruct, as `evalharness fetch-model smollm2-135m` makes it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from evalharness.cli.main import main
from evalharness.core.types import Message

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.real_cache]


@pytest.fixture
def smollm2(users_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # No other test is relied on to have made it: with several workers their order is anybody's.
    with monkeypatch.context() as patch:
        patch.setenv("EVALHARNESS_CACHE", str(users_cache))
        assert main(["fetch-model", "smollm2-135m"]) == 0
    return users_cache / "models" / "smollm2-135m"


def test_known_likelihoods(smollm2: Path, build: Any, ask: Any, request_of: Any) -> None:
    """−0.26 nats: transformers 5.23.0 and torch 2.13.0 in float32, one plain forward pass."""
    prompt = "The capital of France is"
    requests = [
        request_of("loglikelihood", prompt, continuations=(" Paris", " Berlin", " the largest city in the country")),
        request_of("loglikelihood", prompt + " ", continuations=("Paris",)),
    ]
    first, second = ask(build("hf-causal", smollm2), requests)
    paris, berlin, phrase = first.loglikelihoods
    assert paris.total == pytest.approx(-0.26, abs=0.05)
    assert paris.is_greedy
    assert (paris.n_tokens, phrase.n_tokens) == (1, 6)
    assert berlin.total < paris.total - 3
    assert second.loglikelihoods[0].total == pytest.approx(paris.total, abs=1e-4)


def test_padding_and_batch_do_not_matter(smollm2: Path, build: Any, ask: Any, request_of: Any) -> None:
    prompts = ["The capital of France is", "One, two, three,", "To be, or not to be: that is the", "", "Water boils at"]
    requests = [request_of("loglikelihood", p, continuations=(" four", " question", " 100 degrees")) for p in prompts]

    def totals(**settings: Any) -> list[float]:
        found = ask(build("hf-causal", smollm2, **settings), requests)
        return [part.total for response in found for part in response.loglikelihoods]

    alone = totals(batch_size=1)
    assert totals() == pytest.approx(alone, abs=1e-4)
    assert totals(padding_side="left", batch_size=4) == pytest.approx(alone, abs=1e-4)


def test_chat_and_perplexity(smollm2: Path, build: Any, ask: Any, request_of: Any) -> None:
    model = build("hf-causal", smollm2)
    turns = (Message("user", "What is the capital of France? Answer with one word."),)
    (answer,) = ask(model, [request_of("generate", turns, max_tokens=24)])
    assert "Paris" in answer.text
    assert "<|im_" not in answer.text
    text = (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness"
    )
    (found,) = ask(model, [request_of("loglikelihood_rolling", text)])
    (part,) = found.loglikelihoods
    assert 1 < math.exp(-part.total / part.n_tokens) < 20

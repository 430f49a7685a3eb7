"""Token by token: what the model's own logits say, whatever the windows and the batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from evalharness.core.token_scores import TOKEN_SCORES, TokenScores
from evalharness.core.types import Sampling

pytestmark = pytest.mark.model

TEXTS = ["The capital of France is Paris.", "x", "naïve café 北京 " * 12, "", "A film that is as good as it is long"]


def wanted(request_of: Any, text: str, k: int = 5) -> Any:
    return dataclasses.replace(request_of("loglikelihood_rolling", text), sampling=Sampling(top_logprobs=k))


def scores_of(response: Any) -> TokenScores:
    assert response.status == "ok", response.error
    return TokenScores.from_json(response.meta[TOKEN_SCORES])


@pytest.mark.parametrize("max_length", [None, 16])
def test_equal_to_the_models_own_logits(
    max_length: int | None, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from evalharness.models.huggingface.rolling import rolling_windows

    folder = checkpoints("llama", "causal", seed=3)
    more = {} if max_length is None else {"max_length": max_length}
    model = build("hf-causal", folder, **more)
    found = ask(model, [wanted(request_of, text) for text in TEXTS])
    plain = ask(build("hf-causal", folder, **more), [request_of("loglikelihood_rolling", text) for text in TEXTS])
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for response, rolled in zip(found, plain, strict=True):
        scores = scores_of(response)
        (total,), (expected,) = response.loglikelihoods, rolled.loglikelihoods
        assert total.total == pytest.approx(expected.total, abs=1e-3)
        assert (total.n_tokens, total.is_greedy) == (expected.n_tokens, expected.is_greedy)
        assert response.input_tokens == rolled.input_tokens
        limit = max_length or 2048
        first = int(reference.config.bos_token_id)
        for window in rolling_windows(scores.ids.tolist(), prefix=first, max_length=limit):
            with torch.no_grad():
                logs = reference(torch.tensor([window.inputs])).logits[0, -window.n_scored :].log_softmax(-1).numpy()
            here = slice(window.start, window.start + window.n_scored)
            ids = scores.ids[here]
            assert scores.logprobs[here] == pytest.approx(logs[np.arange(len(ids)), ids], abs=1e-4)
            assert scores.top_logprobs[here] == pytest.approx(-np.sort(-logs, axis=1)[:, :5], abs=1e-4)
            told = np.take_along_axis(logs, scores.top_ids[here], axis=1)
            assert scores.top_logprobs[here] == pytest.approx(told, abs=1e-4)


def test_plain_requests_beside_them_stay_plain(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    model = build("hf-causal", checkpoints("llama", "causal", seed=3))
    mixed = [wanted(request_of, TEXTS[0]), request_of("loglikelihood_rolling", TEXTS[2]), wanted(request_of, TEXTS[4])]
    told, plain, again = ask(model, mixed)
    assert TOKEN_SCORES not in plain.meta
    assert len(scores_of(told).ids) == told.input_tokens
    assert len(scores_of(again).ids) == again.input_tokens


def test_no_more_tokens_than_there_are(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    model = build("hf-causal", checkpoints("llama", "causal", seed=3))
    (found,) = ask(model, [wanted(request_of, TEXTS[0], k=1_000_000)])
    scores = scores_of(found)
    assert np.exp(scores.top_logprobs).sum(axis=1) == pytest.approx(np.ones(len(scores.ids)), abs=1e-4)

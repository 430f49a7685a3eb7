"""Rolling likelihood: every token of a text is scored once, with as much context as fits."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.models.huggingface.rolling import rolling_windows


def test_windows_of_lm_evals_docstring() -> None:
    """The example in lm_eval.api.model.LM.loglikelihood_rolling (lm-eval 0.4.13)."""
    windows = list(rolling_windows(range(10), prefix=-1, max_length=4))
    assert [w.inputs for w in windows] == [(-1, 0, 1, 2), (3, 4, 5, 6), (5, 6, 7, 8)]
    assert [(w.start, w.n_scored) for w in windows] == [(0, 4), (4, 4), (8, 2)]


@given(st.integers(0, 60), st.integers(1, 20))
def test_every_token_once_and_after_its_own_context(n_tokens: int, max_length: int) -> None:
    text = list(range(100, 100 + n_tokens))
    padded = [7, *text]
    scored = []
    for window in rolling_windows(text, prefix=7, max_length=max_length):
        assert 1 <= len(window.inputs) <= max_length
        for at in range(window.n_scored):
            # The input at a scored position is the token right before the one it predicts.
            position = len(window.inputs) - window.n_scored + at
            assert window.inputs[position] == padded[window.start + at]
            scored.append(window.start + at)
        if window.start:
            assert len(window.inputs) == max_length
    assert scored == list(range(n_tokens))


@pytest.mark.model
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_rolling_equals_windows_by_hand(
    architecture: str, plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    import torch
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "causal")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = ["A film that is as good as it is long; the actors are wonderful.", "x", "", "naïve café 北京 🙂" * 3]
    model = plain_model(folder, "causal")
    for max_length in (8, 13, 96):
        expected = []
        for text in texts:
            ids = [3, *tokenizer(text)["input_ids"]]
            total = 0.0
            for at in range(1, len(ids)):
                # Token `at` is predicted in the block of max_length tokens that it falls into; the last block is
                # moved to the left until it is full.
                block_end = min(-(-at // max_length) * max_length, len(ids) - 1)
                low = max(0, block_end - max_length)
                with torch.inference_mode():
                    steps = model(torch.tensor([ids[low:at]])).logits[0, -1].double().log_softmax(-1)
                total += float(steps[ids[at]])
            expected.append((total, len(ids) - 1))
        for batch_size in (1, "auto"):
            tested = build("hf-causal", folder, max_length=max_length, batch_size=batch_size)
            found = ask(tested, [request_of("loglikelihood_rolling", text) for text in texts])
            assert [r.status for r in found] == ["ok"] * len(texts)
            assert [r.loglikelihoods[0].n_tokens for r in found] == [n for _, n in expected]
            assert [r.loglikelihoods[0].total for r in found] == pytest.approx([x for x, _ in expected], abs=1e-3)


@pytest.mark.model
def test_perplexity_of_a_uniform_model_is_its_vocabulary(
    checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = checkpoints("llama", "causal", fresh=True)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    model.save_pretrained(folder)
    text = "Tokens carry the space in front of a word. " * 8
    (found,) = ask(build("hf-causal", folder, max_length=17), [request_of("loglikelihood_rolling", text)])
    (part,) = found.loglikelihoods
    assert math.exp(-part.total / part.n_tokens) == pytest.approx(420, rel=1e-5)

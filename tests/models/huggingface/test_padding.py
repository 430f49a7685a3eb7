"""Models that padding reaches: what they say of a text does not hang on what is beside it."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import pytest

from evalharness.core.types import LogLikelihood
from evalharness.models.huggingface.memory import Outcome
from evalharness.models.huggingface.probe import why_not

pytestmark = pytest.mark.model

TEXTS = ["The capital of France is Paris, and", "A film", "x", "naïve café 北京 numbers", "two words"]


@pytest.mark.parametrize(("architecture", "minds"), [("fnet", True), ("bert", False)])
def test_a_classifier_says_what_it_says_of_each_text_alone(
    architecture: str, minds: bool, checkpoints: Any, plain_model: Any, build: Any, request_of: Any
) -> None:
    import asyncio

    import torch
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "classifier", style="bert", num_labels=3)
    tokenizer, plain = AutoTokenizer.from_pretrained(folder), plain_model(folder, "classifier")
    model = build("hf-classifier", folder)

    async def main() -> Any:
        found = [r async for r in model.classify([request_of("classify", text) for text in TEXTS])]
        report = model.report()
        await model.close()
        return found, report

    found, report = asyncio.run(main())
    said = {tuple(response.meta["logits"]) for response in found}
    assert len(said) == len(TEXTS)
    for text in TEXTS:
        with torch.inference_mode():
            expected = plain(torch.tensor([tokenizer(text)["input_ids"]])).logits[0].tolist()
        assert any(logits == pytest.approx(expected, abs=1e-4) for logits in said), text
    assert ("why_one_length" in report.get("classify", {})) is minds


def test_masked_texts_score_what_they_score_alone(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("fnet", "masked", style="bert")

    def totals(**settings: Any) -> list[float]:
        requests = [request_of("loglikelihood_rolling", text) for text in TEXTS]
        return [r.loglikelihoods[0].total for r in ask(build("hf-masked", folder, **settings), requests)]

    assert totals() == pytest.approx(totals(batch_size=1), abs=1e-4)


@pytest.mark.parametrize("side", ["tree", "plain", "both"])
def test_a_trial_that_computes_nan_proves_nothing(side: str) -> None:
    def way(named: str) -> Any:
        value = math.nan if side in (named, "both") else -1.0
        return lambda rows, size: iter([[Outcome(row, [LogLikelihood(value, 1, False)], 0.0) for row in rows]])

    reason = why_not(
        way("tree"),
        way("plain"),
        n_vocabulary=400,
        dtype="float16",
        meter=nullcontext(),  # type: ignore[arg-type]
    )
    assert reason == "on a trial the model computed NaN in float16"

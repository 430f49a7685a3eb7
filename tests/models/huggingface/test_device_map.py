"""Weights that accelerate has placed: the same answers, and inputs that go where the embedding is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from evalharness.models.huggingface.backend import HfCausal, HfClassifier, HfSeq2Seq
from evalharness.models.huggingface.loading import Loaded, _input_device

pytestmark = [pytest.mark.model, pytest.mark.slow]

PROMPTS = ["The capital of France is", "The capital of Germany is Berlin, and", "x", "A film that is as good as"]


def asked(verb: str, request_of: Any) -> list[Any]:
    continuations = (" yes", " a film that is") if verb == "loglikelihood" else ()
    return [request_of(verb, text, continuations=continuations, max_tokens=6) for text in PROMPTS]


def same(found: Any, wanted: Any) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert (one.status, one.error, one.text) == (other.status, other.error, other.text)
        assert [p.total for p in one.loglikelihoods or ()] == pytest.approx(
            [p.total for p in other.loglikelihoods or ()], abs=1e-4
        )


CASES = [
    (HfCausal, "hf-causal", "llama", "causal", ("loglikelihood", "loglikelihood_rolling", "generate")),
    (HfCausal, "hf-causal", "gemma2", "causal", ("loglikelihood", "generate")),
    (HfCausal, "hf-causal", "bloom", "causal", ("loglikelihood", "generate")),
    (HfSeq2Seq, "hf-seq2seq", "t5", "seq2seq", ("loglikelihood", "generate")),
    (HfClassifier, "hf-classifier", "bert", "classifier", ("classify",)),
]


@pytest.mark.parametrize("way", ["auto", "balanced", "sequential"])
def test_without_a_gpu_all_is_on_the_cpu(way: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("llama", "causal")
    for verb in ("loglikelihood", "generate"):
        requests = asked(verb, request_of)
        placed = build("hf-causal", folder, device="auto", device_map=way)
        assert placed.identity() == build("hf-causal", folder).identity()
        same(ask(placed, requests), ask(build("hf-causal", folder), requests))


@pytest.mark.parametrize(("kind", "backend", "architecture", "head", "verbs"), CASES)
def test_weights_that_are_brought_in_when_they_are_used(
    kind: Any, backend: str, architecture: str, head: str, verbs: Any, checkpoints: Any, ask: Any, request_of: Any,
    build: Any, spec: Any,
) -> None:  # fmt: skip
    """As accelerate does with what no GPU has room for: each module is wrapped, and has no weights of its own."""
    import torch
    from accelerate import cpu_offload

    folder = checkpoints(architecture, head, style="bert" if architecture == "bert" else "plain")

    class Offloaded(kind):  # type: ignore[misc]
        def prepare(self, loaded: Loaded) -> None:
            cpu_offload(loaded.model, execution_device=torch.device("cpu"))
            assert next(loaded.model.parameters()).device.type == "meta"
            super().prepare(dataclasses.replace(loaded, device=_input_device(loaded.model)))

    for verb in verbs:
        requests = asked(verb, request_of)
        placed = Offloaded("m", spec(folder), base=Path())
        same(ask(placed, requests), ask(build(backend, folder), requests))


def test_where_inputs_go(random_model: Any) -> None:
    import torch

    model = random_model("llama", "causal")
    assert _input_device(model) == "cpu"
    model.get_input_embeddings().to("meta")
    assert _input_device(model) == "cpu"
    model.hf_device_map = {"model.embed_tokens": "cpu", "model.layers.0": 1, "lm_head": 0}
    assert _input_device(model) == "cuda:1"
    model.hf_device_map = {"model.embed_tokens": "disk", "lm_head": torch.device("cuda:2")}
    assert _input_device(model) == "cuda:2"


def test_adapter_on_top(lora: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("llama", "causal")
    adapter = str(lora(folder, seed=1))
    requests = asked("loglikelihood", request_of)
    placed = build("hf-causal", folder, device="auto", device_map="auto", adapter=adapter)
    same(ask(placed, requests), ask(build("hf-causal", folder, adapter=adapter), requests))

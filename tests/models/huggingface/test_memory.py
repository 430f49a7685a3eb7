"""Batches: memory that ends makes them smaller and loses nothing; a failure stays with the item that caused it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import ModelError
from evalharness.models.huggingface.memory import BatchSize, Failure, is_out_of_memory, run_batches


class OutOfMemoryError(RuntimeError):
    """By the name that torch gives its own."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.79 GiB total capacity)"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.96 GB, other allocations: 88.00 MB)"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tri"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 68719476736 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_out_of_memory_in_all_its_forms(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.model
def test_out_of_memory_of_this_torch() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("boom"))


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shape mismatch"), KeyError("memory")])
def test_other_errors_are_not(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def answers(outcomes: Any) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for batch in outcomes:
        for outcome in batch:
            assert outcome.item not in found, "answered twice"
            assert outcome.seconds >= 0
            found[outcome.item] = outcome.result
    return found


@given(st.lists(st.integers(1, 50), unique=True), st.integers(1, 200), st.integers(1, 16), st.integers(0, 400))
def test_backs_off_and_loses_nothing(items: list[int], capacity: int, rows: int, tokens: int) -> None:
    """A model that holds `capacity` padded tokens: what fits alone is answered, the rest fails by itself."""
    shapes = []

    def run(batch: Sequence[int]) -> list[int]:
        shapes.append((len(batch), max(batch)))
        if len(batch) * max(batch) > capacity:
            raise OutOfMemoryError("CUDA out of memory")
        return [item * 2 for item in batch]

    size = BatchSize(rows=rows, tokens=tokens or None)
    # A collection for each of thousands of invented failures would take most of the test's time.
    with patch("gc.collect"):
        found = answers(run_batches(items, length=lambda item: item, size=size, run=run))
    assert set(found) == set(items)
    for item, result in found.items():
        if item <= capacity:
            assert result == item * 2
        else:
            assert isinstance(result, Failure)
            assert "does not fit into memory" in result.message
    assert all(n <= rows for n, _ in shapes)
    assert all(n == 1 or tokens == 0 or n * longest <= tokens for n, longest in shapes)


def test_size_stays_small_once_memory_ended() -> None:
    shapes = []

    def run(batch: Sequence[int]) -> Sequence[int]:
        shapes.append(len(batch))
        if len(batch) > 4:
            raise RuntimeError("CUDA out of memory")
        return batch

    size = BatchSize(rows=16)
    assert set(answers(run_batches(range(64), length=lambda _: 1, size=size, run=run))) == set(range(64))
    assert shapes == [16, 8, *[4] * 16]
    shapes.clear()
    answers(run_batches(range(64), length=lambda _: 1, size=size, run=run))
    assert max(shapes) == 4, "learnt for good"


def test_the_longest_come_first() -> None:
    seen: list[int] = []

    def run(batch: Sequence[int]) -> Sequence[int]:
        seen.extend(batch)
        return batch

    answers(run_batches([3, 1, 2, 5, 4], length=lambda item: item, size=BatchSize(rows=2), run=run))
    assert seen == [5, 4, 3, 2, 1]


@given(st.sets(st.integers(0, 40)), st.integers(1, 20))
def test_failures_stay_with_their_item(bad: set[int], rows: int) -> None:
    def run(batch: Sequence[int]) -> Sequence[int]:
        if wrong := bad.intersection(batch):
            raise ValueError(f"cannot do {min(wrong)}")
        return batch

    found = answers(run_batches(range(30), length=lambda item: item, size=BatchSize(rows=rows), run=run))
    for item in range(30):
        assert found[item] == (Failure(f"ValueError: cannot do {item}") if item in bad else item)


def test_a_lost_device_ends_the_run() -> None:
    def run(batch: Sequence[int]) -> Sequence[int]:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(ModelError, match="cannot go on"):
        answers(run_batches(range(4), length=lambda item: item, size=BatchSize(), run=run))


@pytest.mark.model
@pytest.mark.parametrize("batch_size", [8, "auto"])
def test_model_that_runs_out_of_memory_answers_all(
    batch_size: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    folder = checkpoints("llama", "causal")
    scored = [request_of("loglikelihood", "x" * n, continuations=(" yes", " no film")) for n in range(20)]
    written = [request_of("generate", "x" * n, max_tokens=4) for n in range(20)]
    expected = ask(build("hf-causal", folder), scored), ask(build("hf-causal", folder), written)
    forward = LlamaForCausalLM.forward
    shapes: list[int] = []

    def small(self: Any, input_ids: Any = None, **rest: Any) -> Any:
        shapes.append(input_ids.shape[0])
        if input_ids.shape[0] > 3:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(LlamaForCausalLM, "forward", small)
    model = build("hf-causal", folder, batch_size=batch_size)
    for requests, wanted in zip((scored, written), expected, strict=True):
        found = ask(model, requests)
        assert [r.text for r in found] == [r.text for r in wanted]
        totals = [part.total for r in found for part in r.loglikelihoods]
        assert totals == pytest.approx([part.total for r in wanted for part in r.loglikelihoods], abs=1e-4)
    assert max(shapes) > 3


@pytest.mark.model
def test_a_bad_request_leaves_the_others_alone(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("llama", "causal")
    good = [request_of("loglikelihood", "The capital", continuations=(" yes",)) for _ in range(3)]
    empty = request_of("loglikelihood", "The capital", continuations=("",))
    broken = request_of("loglikelihood", "lone \ud800 surrogate", continuations=(" yes",))
    long = request_of("loglikelihood", "x", continuations=("北京 🙂" * 80,))
    found = ask(build("hf-causal", folder), [good[0], empty, good[1], broken, long, good[2]])
    assert [r.status for r in found] == ["ok", "error", "ok", "error", "error", "ok"]
    assert "no tokens to score" in found[1].error
    assert "cannot encode" in found[3].error
    assert "the model reads 96 at most" in found[4].error


@pytest.mark.model
def test_a_row_that_fails_in_the_model_fails_alone(
    checkpoints: Any, build: Any, ask: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    folder = checkpoints("llama", "causal")
    forward = LlamaForCausalLM.forward

    def picky(self: Any, input_ids: Any = None, **rest: Any) -> Any:
        if (input_ids == 4).any():
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(LlamaForCausalLM, "forward", picky)
    for kind, rest in (("loglikelihood", {"continuations": (" yes",)}), ("generate", {"max_tokens": 3})):
        prompts = ["one", "two", "three <mask> four", "five", "six"]
        found = ask(build("hf-causal", folder), [request_of(kind, p, **rest) for p in prompts])
        assert [r.status == "error" for r in found] == [False, False, True, False, False]
        assert "mat1 and mat2" in found[2].error


@pytest.mark.model
def test_not_a_number_is_an_error_not_a_score(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = checkpoints("llama", "causal", fresh=True)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    model.save_pretrained(folder)
    (found,) = ask(build("hf-causal", folder), [request_of("loglikelihood", "x", continuations=(" yes",))])
    assert found.status == "error"
    assert "not a number" in found.error


def test_a_position_that_the_model_has_not_is_explained(
    checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    model = build("hf-causal", checkpoints("gpt2", "causal"), max_length=500)
    requests = [request_of("loglikelihood", text, continuations=(" a",)) for text in ("word " * 150, "A")]
    long, short = ask(model, requests)
    assert "max_length no more than its positions" in long.error
    assert short.status == "ok"


def test_texts_that_are_made_together_hold_a_third_of_what_the_weights_take(
    build: Any, checkpoints: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from evalharness.models.huggingface import base

    monkeypatch.setattr(base, "_sizes", lambda model: (0, 300 * 2**20))
    monkeypatch.setattr(base, "_bytes_per_token", lambda model: 2**20)
    monkeypatch.setattr(base, "free_bytes", lambda device: 2**50)
    model = build("hf-causal", checkpoints("llama", "causal"))
    model._loaded_model = SimpleNamespace(model=None)
    assert model.size("generate").tokens == 100

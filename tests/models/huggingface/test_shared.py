"""`score: shared`: only the tokens that two choices share count, as CrowS-Pairs counts them."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.models.huggingface.shared import shared_places

pytestmark = pytest.mark.model

PAIRS = [
    ("", ("The capital of France is as good as it is long.", "The capital of Germany is as good as it is long.")),
    ("", ("A wonderful film, yes.", "A film that is as wonderful, yes.")),
    ("The actors are", (" positive; the actors are wonderful.", " negative; the actors are wonderful.")),
    ("Question:", (" positive", " 北京")),
]


def opcodes(first: list[int], second: list[int]) -> tuple[list[int], list[int]]:
    """The places that are equal, by the operations that turn one sequence into the other: the published way."""
    matcher = difflib.SequenceMatcher(None, [str(x) for x in first], [str(x) for x in second])
    equal = [op for op in matcher.get_opcodes() if op[0] == "equal"]
    return [x for op in equal for x in range(op[1], op[2])], [x for op in equal for x in range(op[3], op[4])]


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_the_places_are_those_of_the_published_code(first: list[int], second: list[int]) -> None:
    found = shared_places(first, second)
    assert ([a for a, _ in found], [b for _, b in found]) == opcodes(first, second)
    assert all(first[a] == second[b] for a, b in found)


def shared(request: Any) -> Any:
    return replace(request, sampling=replace(request.sampling, shared_tokens=True))


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
@pytest.mark.parametrize("batch_size", [1, "auto"])
def test_masked(
    architecture: str, batch_size: Any, plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    import torch
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "masked", style="bert")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), plain_model(folder, "masked")
    requests = [shared(request_of("loglikelihood", p, continuations=c)) for p, c in PAIRS]
    answers = ask(build("hf-masked", folder, batch_size=batch_size), requests)
    for (prompt, texts), answer in zip(PAIRS, answers, strict=True):
        ids = [tokenizer(prompt + text)["input_ids"] for text in texts]
        n_before = 1 + len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        for slot, places in enumerate(opcodes(*ids)):
            scored = [at for at in places if n_before <= at < len(ids[slot]) - 1]
            total = 0.0
            for at in scored:
                masked = [*ids[slot][:at], 4, *ids[slot][at + 1 :]]
                with torch.inference_mode():
                    total += float(model(torch.tensor([masked])).logits[0, at].double().log_softmax(-1)[ids[slot][at]])
            assert answer.loglikelihoods[slot].total == pytest.approx(total, abs=1e-4)
            assert answer.loglikelihoods[slot].n_tokens == len(scored)
    first, second = answers[0].loglikelihoods
    assert first.n_tokens == second.n_tokens > 3
    assert first.total != second.total


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mamba"])
@pytest.mark.parametrize("settings", [{}, {"padding_side": "left", "batch_size": 2}])
def test_causal(
    architecture: str, settings: Any, plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    import torch
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "causal", style="bos")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), plain_model(folder, "causal")
    requests = [shared(request_of("loglikelihood", p, continuations=c)) for p, c in PAIRS]
    answers = ask(build("hf-causal", folder, **settings), requests)
    for (prompt, texts), answer in zip(PAIRS, answers, strict=True):
        ids = [tokenizer(prompt + text)["input_ids"] for text in texts]
        n_before = len(tokenizer(prompt)["input_ids"])
        for slot, places in enumerate(opcodes(*ids)):
            with torch.inference_mode():
                steps = model(torch.tensor([ids[slot]])).logits[0].double().log_softmax(-1)
            scored = [at for at in places if at >= n_before]
            total = sum(float(steps[at - 1, ids[slot][at]]) for at in scored)
            assert answer.loglikelihoods[slot].total == pytest.approx(total, abs=1e-4)
            assert answer.loglikelihoods[slot].n_tokens == len(scored)


def test_nothing_that_is_shared_is_a_tie(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("bert", "masked", style="bert")
    (found,) = ask(build("hf-masked", folder), [shared(request_of("loglikelihood", "", continuations=("12", "北")))])
    assert [(part.total, part.n_tokens) for part in found.loglikelihoods] == [(0.0, 0), (0.0, 0)]


def test_three_choices_are_refused(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    request = shared(request_of("loglikelihood", "A", continuations=(" film", " text", " word")))
    for backend, kind in (("hf-masked", "masked"), ("hf-causal", "causal")):
        architecture = "bert" if kind == "masked" else "llama"
        (found,) = ask(build(backend, checkpoints(architecture, kind, style="bert")), [request])
        assert (found.status, found.error) == (
            "error",
            "the tokens that choices share are those of two, and there are 3",
        )


def test_an_encoder_decoder_refuses(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    request = shared(request_of("loglikelihood", "A", continuations=(" film", " text")))
    (found,) = ask(build("hf-seq2seq", checkpoints("t5", "seq2seq", style="t5")), [request])
    assert found.status == "error"
    assert "set score: all" in found.error

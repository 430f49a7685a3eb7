"""hf-masked: pseudo-log-likelihoods equal a loop that masks one token at a time."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.model

PROMPTS = [
    ("The capital of France is", (" Paris", " a wonderful film")),
    ("", ("Question: Answer",)),
    ("A film that is as good as it is", (" long", " positive", " 北京")),
]


@pytest.fixture
def one_at_a_time(plain_model: Any) -> Any:
    """The oracle: mask position after position, one forward pass each."""

    def run(folder: Any, ids: list[int], positions: list[int]) -> tuple[float, bool]:
        import torch

        model = plain_model(folder, "masked")
        total, is_greedy = 0.0, True
        for at in positions:
            masked = [*ids[:at], 4, *ids[at + 1 :]]
            with torch.inference_mode():
                steps = model(torch.tensor([masked])).logits[0, at].double().log_softmax(-1)
            total += float(steps[ids[at]])
            is_greedy = is_greedy and int(steps.argmax()) == ids[at]
        return total, is_greedy

    return run


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("batch_size", [1, 3, "auto"])
def test_continuations(
    architecture: str, batch_size: Any, one_at_a_time: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "masked", style="bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    requests = [request_of("loglikelihood", p, continuations=c) for p, c in PROMPTS]
    found = ask(build("hf-masked", folder, batch_size=batch_size), requests)
    for (prompt, continuations), response in zip(PROMPTS, found, strict=True):
        n_context = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        for continuation, part in zip(continuations, response.loglikelihoods, strict=True):
            ids = tokenizer(prompt + continuation)["input_ids"]
            positions = list(range(1 + n_context, len(ids) - 1))
            total, is_greedy = one_at_a_time(folder, ids, positions)
            assert part.total == pytest.approx(total, abs=1e-4)
            assert (part.n_tokens, part.is_greedy) == (len(positions), is_greedy)


def test_whole_texts_in_windows(one_at_a_time: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    from transformers import AutoTokenizer

    folder = checkpoints("bert", "masked", style="bert")
    text = "naïve café 北京 numbers 12345 and 67890!"
    ids = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]
    n, room = len(ids), 5
    assert n > 2 * room
    assert n % room
    total = 0.0
    for start in range(0, n, room):
        end = min(start + room, n)
        low = max(0, end - room)
        total += one_at_a_time(folder, [3, *ids[low:end], 1], [1 + at - low for at in range(start, end)])[0]
    (found,) = ask(build("hf-masked", folder, max_length=room + 2), [request_of("loglikelihood_rolling", text)])
    assert found.loglikelihoods[0].total == pytest.approx(total, abs=1e-4)
    assert found.loglikelihoods[0].n_tokens == n
    (whole,) = ask(build("hf-masked", folder), [request_of("loglikelihood_rolling", text)])
    assert whole.loglikelihoods[0].total == pytest.approx(
        one_at_a_time(folder, [3, *ids, 1], list(range(1, n + 1)))[0], abs=1e-4
    )


def test_long_context_loses_its_beginning(
    one_at_a_time: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    from transformers import AutoTokenizer

    folder = checkpoints("bert", "masked", style="bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    context, continuation = "A film that is as good as it is long;", " yes no"
    ids = tokenizer(context + continuation, add_special_tokens=False)["input_ids"]
    n_scored = len(ids) - len(tokenizer(context, add_special_tokens=False)["input_ids"])
    model = build("hf-masked", folder, max_length=10)
    (found,) = ask(model, [request_of("loglikelihood", context, continuations=(continuation,))])
    kept = [3, *ids[-8:], 1]
    expected, _ = one_at_a_time(folder, kept, list(range(9 - n_scored, 9)))
    assert found.loglikelihoods[0].total == pytest.approx(expected, abs=1e-4)
    assert found.meta == {"truncated_tokens": len(ids) - 8}


def test_positions_of_roberta_are_fewer_than_its_embeddings(
    checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    folder = checkpoints("roberta", "masked", style="bert")
    (found,) = ask(build("hf-masked", folder), [request_of("loglikelihood_rolling", "a b c d e f g h" * 30)])
    assert found.status == "ok", found.error


@pytest.mark.parametrize("max_length", [1, 2])
def test_no_room_beside_the_special_tokens_is_an_error_not_a_score(
    max_length: int, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    model = build("hf-masked", checkpoints("bert", "masked", style="bert"), max_length=max_length)
    (found,) = ask(model, [request_of("loglikelihood_rolling", "A film")])
    assert found.status == "error"
    assert found.error == f"max_length {max_length} leaves no room for a text beside 2 special tokens; raise it"
    (found,) = ask(model, [request_of("loglikelihood", "A", continuations=(" film",))])
    assert "the model reads 0 at most" in found.error

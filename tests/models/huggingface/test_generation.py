"""Generation: each request's output is its own, whatever batch it is in and whatever the checkpoint recommends."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from evalharness.core.types import Message

pytestmark = pytest.mark.model

PROMPTS = ["The capital of France is", "A film that is as good as it is long; the actors", "x", "", "naïve café 北京"]
ARCHITECTURES = ["llama", "gpt2", "gpt_neox", "opt", "mistral", "qwen2", "gemma2", "bloom", "mamba", "rwkv"]


def greedy(model: Any, ids: list[int], n: int) -> tuple[list[int], str]:
    """The oracle: the likeliest token, one plain forward pass of the whole text a step; EOS is id 1."""
    import torch

    new: list[int] = []
    while len(new) < n:
        with torch.inference_mode():
            token = int(model(torch.tensor([ids + new])).logits[0, -1].argmax())
        if token == 1:
            return new, "eos"
        new.append(token)
    return new, "length"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_plain_decoding(
    architecture: str, plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "causal", seed=3)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = []
    for prompt, n in zip(PROMPTS, (12, 5, 9, 1, 7), strict=True):
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"] or [3]
        new, finish = greedy(plain_model(folder, "causal"), ids, n)
        text = tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        status = "truncated" if finish == "length" else "ok"
        expected.append((text, finish, status, len(ids), len(new)))
    for batch_size in (1, 2, "auto"):
        model = build("hf-causal", folder, batch_size=batch_size)
        requests = [request_of("generate", p, max_tokens=n) for p, n in zip(PROMPTS, (12, 5, 9, 1, 7), strict=True)]
        found = ask(model, requests)
        assert [(r.text, r.finish_reason, r.status, r.input_tokens, r.output_tokens) for r in found] == expected, (
            batch_size
        )
        assert all(r.latency_s is not None and r.latency_s > 0 and r.created_utc for r in found)


@pytest.mark.parametrize(("architecture", "minds"), [("mamba", False), ("rwkv", True)])
def test_what_minds_company_makes_one_text_at_a_time(
    architecture: str,
    minds: bool,
    checkpoints: Any,
    build: Any,
    ask: Any,
    request_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import GenerationMixin

    calls, generate = [], GenerationMixin.generate

    def counted(self: Any, **given: Any) -> Any:
        calls.append(len(given["input_ids"]))
        return generate(self, **given)

    monkeypatch.setattr(GenerationMixin, "generate", counted)
    model = build("hf-causal", checkpoints(architecture, "causal", seed=3))
    reports: list[Any] = []
    unload = model.unload
    monkeypatch.setattr(model, "unload", lambda: (reports.append(dict(model.report())), unload()))
    ask(model, [request_of("generate", p, max_tokens=2) for p in ("one two", "two one", "a much longer prompt")])
    assert ("why_alone" in reports[0]["generate"]) is minds
    # The trial: all together, then each; then the prompts themselves.
    assert calls[:5] == [4, 1, 1, 1, 1]
    assert calls[5:] == ([1, 1, 1] if minds else [3])


def ends(folder: Any, token: int = 1) -> Any:
    """The checkpoint in `folder`, made to say `token` (EOS) soon after it began."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[token] = model.lm_head.weight.abs().mean(0) * 3
    model.save_pretrained(folder)
    return folder


def test_end_of_text_is_not_part_of_the_output(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = ends(checkpoints("llama", "causal", fresh=True, tie_word_embeddings=False))
    prompts = [text + tail for text in PROMPTS for tail in (" a", " film", " the")]
    found = ask(build("hf-causal", folder), [request_of("generate", p, max_tokens=40) for p in prompts])
    ended = [r for r in found if r.finish_reason == "eos"]
    assert 0 < len(ended) < len(found)
    for response in ended:
        assert response.status == "ok"
        assert "</s>" not in response.text
        assert response.output_tokens < 40


def test_generation_config_of_the_checkpoint_does_not_leak(
    checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    from transformers import GenerationConfig

    plain = checkpoints("llama", "causal", seed=3)
    folder = checkpoints("llama", "causal", seed=3, fresh=True)
    GenerationConfig(
        do_sample=True, temperature=3.0, top_k=5, repetition_penalty=9.0, no_repeat_ngram_size=1, num_beams=1,
        min_new_tokens=3, max_new_tokens=2, eos_token_id=1, pad_token_id=0, bos_token_id=3,
    ).save_pretrained(folder)  # fmt: skip
    requests = [request_of("generate", p, max_tokens=12) for p in PROMPTS]
    expected = [r.text for r in ask(build("hf-causal", plain), requests)]
    assert [r.text for r in ask(build("hf-causal", folder), requests)] == expected


def test_seeds_give_the_same_text_in_any_batch(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("llama", "causal", seed=3)

    def requests(**changed: Any) -> list[Any]:
        return [
            request_of("generate", p, repeat=repeat, **{"max_tokens": 10, "temperature": 0.9, "seed": 7, **changed})
            for p in PROMPTS
            for repeat in range(3)
        ]

    alone = [r.text for r in ask(build("hf-causal", folder, batch_size=1), requests())]
    assert [r.text for r in ask(build("hf-causal", folder), requests())] == alone
    mixed = build("hf-causal", folder, batch_size=4)
    plain = [request_of("generate", p, max_tokens=14) for p in PROMPTS]
    assert [r.text for r in ask(mixed, [*plain, *requests()])][len(plain) :] == alone
    # Greedy requests are untouched by sampled ones beside them.
    assert [r.text for r in ask(mixed, [*requests(), *plain])][-len(plain) :] == [r.text for r in ask(mixed, plain)]
    by_prompt = [alone[i : i + 3] for i in range(0, len(alone), 3)]
    assert all(len(set(texts)) > 1 for texts in by_prompt), "repeats must differ"
    assert [r.text for r in ask(build("hf-causal", folder), requests(seed=8))] != alone
    assert [r.text for r in ask(build("hf-causal", folder), requests(top_k=1))] == [
        r.text
        for r in ask(
            build("hf-causal", folder), [request_of("generate", p, max_tokens=10) for p in PROMPTS for _ in "abc"]
        )
    ]


def test_sampling_follows_the_distribution() -> None:
    import numpy as np
    import torch

    from evalharness.core.types import Sampling
    from evalharness.models.huggingface.decoding import draw

    probabilities = [0.05, 0.4, 0.25, 0.3, 0.0]
    scores = torch.tensor(probabilities).log()
    stream = np.random.default_rng(0)
    uniform = stream.random(4000)

    def shares(**sampling: Any) -> list[float]:
        drawn = Counter(draw(scores, Sampling(**{"temperature": 1.0, **sampling}), u) for u in uniform)
        return [drawn[token] / len(uniform) for token in range(5)]

    # Four standard errors at n = 4,000 are at most 0.032.
    assert shares() == pytest.approx(probabilities, abs=0.032)
    squared = [p * p for p in probabilities]
    assert shares(temperature=0.5) == pytest.approx([p / sum(squared) for p in squared], abs=0.032)
    assert shares(top_k=2) == pytest.approx([0, 4 / 7, 0, 3 / 7, 0], abs=0.032)
    # 0.4 + 0.3 reach 0.7 before 0.25 is looked at.
    assert shares(top_p=0.69) == pytest.approx([0, 4 / 7, 0, 3 / 7, 0], abs=0.032)
    assert shares(top_p=0.71) == pytest.approx([0, 0.4 / 0.95, 0.25 / 0.95, 0.3 / 0.95, 0], abs=0.032)
    assert shares(top_p=1e-9) == [0, 1, 0, 0, 0]
    assert {draw(scores, Sampling(temperature=1.0), u) for u in (0.0, 1 - 1e-16, 1.0)} <= {0, 3}


def test_a_temperature_near_zero_is_greedy() -> None:
    import torch

    from evalharness.core.types import Sampling
    from evalharness.models.huggingface.decoding import draw

    scores = torch.tensor([1.0, 3.0, 2.0, -50.0])
    assert {draw(scores, Sampling(temperature=t), u) for t in (1e-3, 1e-200, 5e-324) for u in (0.0, 0.5, 1.0)} == {1}


@pytest.mark.parametrize("width", [1, 2, 5, 9])
def test_stop_strings_that_span_tokens(
    width: int, plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    from transformers import AutoTokenizer

    folder = checkpoints("llama", "causal", seed=3)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = []
    requests = []
    for prompt in PROMPTS:
        new, _ = greedy(plain_model(folder, "causal"), tokenizer(prompt)["input_ids"] or [3], 24)
        texts = [tokenizer.decode(new[:n], skip_special_tokens=True) for n in range(len(new) + 1)]
        stop = texts[-1][len(texts[-1]) // 2 :][:width]
        assert stop
        # As many tokens as it takes until the stop string is there, and not one more.
        n_needed = next(n for n, text in enumerate(texts) if stop in text)
        expected.append((texts[-1][: texts[-1].find(stop)], "stop", "ok", n_needed))
        requests.append(request_of("generate", prompt, max_tokens=24, stop=("\x00never", stop)))
    found = ask(build("hf-causal", folder), requests)
    assert [(r.text, r.finish_reason, r.status, r.output_tokens) for r in found] == expected


def test_the_first_of_several_stops_counts(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("llama", "causal", seed=3)
    (full,) = ask(build("hf-causal", folder), [request_of("generate", "x", max_tokens=24)])
    early, late = full.text[3:5], full.text[9:12]
    (found,) = ask(build("hf-causal", folder), [request_of("generate", "x", max_tokens=24, stop=(late, early))])
    assert found.text == full.text[: min(full.text.find(early), full.text.find(late))]


def test_a_special_token_as_stop(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    """It never appears in the decoded text, so that only its id can end the output."""
    folder = ends(checkpoints("llama", "causal", fresh=True, tie_word_embeddings=False), token=4)
    prompts = [text + tail for text in PROMPTS for tail in (" a", " film", " the")]
    full = ask(build("hf-causal", folder), [request_of("generate", p, max_tokens=40) for p in prompts])
    found = ask(
        build("hf-causal", folder), [request_of("generate", p, max_tokens=40, stop=("<mask>",)) for p in prompts]
    )
    stopped = [(a, b) for a, b in zip(found, full, strict=True) if a.finish_reason == "stop"]
    assert len(stopped) >= 3
    for response, without in stopped:
        assert without.text.startswith(response.text)
        assert response.output_tokens < without.output_tokens


def test_a_stop_string_that_the_tokenizer_does_not_know(
    checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    """Its one token is that of all unknown words, which ends no text."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = checkpoints("llama", "causal", fresh=True, tie_word_embeddings=False)
    unknown = 248  # this model says it often
    # No two words of one number: which of them a file keeps is chance.
    known = {f"w{i}": i for i in range(2, 420) if i != unknown}
    words = Tokenizer(models.WordLevel(known | {"</s>": 1, "<unk>": unknown}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", unk_token="<unk>")
    tokenizer.save_pretrained(folder)
    prompts = [f"w{i} w7 w9" for i in range(3, 12)]
    asked = [[request_of("generate", p, max_tokens=12, stop=stop) for p in prompts] for stop in ((), ("never",))]
    plain, stopped = (ask(build("hf-causal", folder), requests) for requests in asked)
    assert any(len(response.text.split()) < response.output_tokens for response in plain)  # it says <unk>
    assert [response.text for response in stopped] == [response.text for response in plain]
    assert {response.finish_reason for response in stopped} == {"length"}


def test_chat_template_is_applied(chat_template: str, checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("llama", "causal", seed=3, style="bos", template=chat_template)
    turns = (Message("system", "Be short."), Message("user", "yes or no"))
    rendered = "<|system|>Be short.\n<|user|>yes or no\n<|assistant|>"
    plain = checkpoints("llama", "causal", seed=3)
    found = ask(build("hf-causal", folder), [request_of("generate", turns, max_tokens=8)])
    # The template writes all special tokens itself: the tokenizer's own BOS is not put in front of it.
    expected = ask(build("hf-causal", plain), [request_of("generate", rendered, max_tokens=8)])
    assert (found[0].text, found[0].input_tokens) == (expected[0].text, expected[0].input_tokens)
    own = (*turns, Message("assistant", "Well"))
    continued = ask(build("hf-causal", folder), [request_of("generate", own, max_tokens=8)])
    expected = ask(build("hf-causal", plain), [request_of("generate", rendered + "Well", max_tokens=8)])
    assert continued[0].text == expected[0].text


def test_missing_chat_template_is_that_requests_error(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("llama", "causal", seed=3)
    requests = [
        request_of("generate", (Message("user", "hi"),), max_tokens=4),
        request_of("generate", "hi", max_tokens=4),
    ]
    refused, answered = ask(build("hf-causal", folder), requests)
    assert refused.status == "error"
    assert "no chat template" in refused.error
    assert "chat: false" in refused.error
    assert answered.status in ("ok", "truncated")


def test_long_prompt_loses_its_beginning(
    plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    folder = checkpoints("llama", "causal", seed=3)
    text = PROMPTS[1] * 4
    (found,) = ask(build("hf-causal", folder, max_length=32), [request_of("generate", text, max_tokens=8)])
    assert found.input_tokens == 24
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"]
    assert found.meta["truncated_tokens"] == len(ids) - 24
    new, _ = greedy(plain_model(folder, "causal"), ids[-24:], 8)
    assert found.text == tokenizer.decode(new, skip_special_tokens=True)
    (refused,) = ask(build("hf-causal", folder, max_length=32), [request_of("generate", text, max_tokens=32)])
    assert refused.status == "error"
    assert "max_tokens 32 leaves no room" in refused.error


def test_tokenizer_without_padding_token(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    # Without <pad> the ids of its tokenizer are lower by one; the weights are the same.
    folder = checkpoints("llama", "causal", seed=3, pad=False, pad_token_id=None, eos_token_id=0, bos_token_id=2)
    requests = [request_of("generate", p, max_tokens=6) for p in PROMPTS]
    together = [r.text for r in ask(build("hf-causal", folder), requests)]
    assert together == [r.text for r in ask(build("hf-causal", folder, batch_size=1), requests)]
    scored = [request_of("loglikelihood", p, continuations=(" yes", " a film")) for p in PROMPTS]
    found = ask(build("hf-causal", folder, padding_side="left"), scored)
    alone = ask(build("hf-causal", folder, batch_size=1), scored)
    for a, b in zip(found, alone, strict=True):
        assert [x.total for x in a.loglikelihoods] == pytest.approx([x.total for x in b.loglikelihoods], abs=1e-4)


@pytest.mark.parametrize(
    ("rows", "tokens", "expected"),
    [(None, None, 6), (4, None, 4), (None, 100, 3), (2, 100, 2), (None, 10, 1)],
)
def test_as_many_texts_side_by_side_as_fit_with_half_of_their_length(
    rows: int | None, tokens: int | None, expected: int
) -> None:
    from evalharness.core.types import Request, Sampling
    from evalharness.models.huggingface.decoding import Decoding
    from evalharness.models.huggingface.generation import _slots
    from evalharness.models.huggingface.memory import BatchSize

    request = Request("k", "m", "generate", "s", "", sampling=Sampling(max_tokens=40))
    # With half of what may be added: 31, 30, 29, 28, 27 and 26 tokens.
    texts = [Decoding(request, (7,) * n, 0, frozenset()) for n in (6, 8, 7, 11, 10, 9)]
    assert _slots(texts, BatchSize(rows=rows, tokens=tokens)) == expected

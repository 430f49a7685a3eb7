"""hf-seq2seq: targets scored, and texts generated, as by plain forward passes of each request alone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.model

PROMPTS = [
    ("Question: The capital of France is", ("Paris", " Berlin and Paris", "a")),
    ("x", ("yes", "no")),
    ("A film that is as good as it is long; the actors are wonderful.", (" positive",)),
]


def ids_of(tokenizer: Any, architecture: str, prompt: str) -> list[int]:
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return [*ids, 1] if architecture == "t5" else [3, *ids, 1]


STYLE = {"t5": "t5", "bart": "bert"}


@pytest.mark.parametrize("batch_size", [1, 2, "auto"])
@pytest.mark.parametrize(("architecture", "begin"), [("t5", [0]), ("bart", [1]), ("bart", [1, 3])])
def test_targets(
    architecture: str, begin: list[int], batch_size: Any, plain_model: Any, checkpoints: Any, build: Any, ask: Any,
    request_of: Any,
) -> None:  # fmt: skip
    import torch
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "seq2seq", style=STYLE[architecture], fresh=len(begin) == 2)
    if len(begin) == 2:
        from transformers import GenerationConfig

        GenerationConfig(decoder_start_token_id=1, forced_bos_token_id=3, eos_token_id=1).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = plain_model(folder, "seq2seq")
    requests = [request_of("loglikelihood", p, continuations=c) for p, c in PROMPTS]
    found = ask(build("hf-seq2seq", folder, batch_size=batch_size), requests)
    for (prompt, continuations), response in zip(PROMPTS, found, strict=True):
        source = torch.tensor([ids_of(tokenizer, architecture, prompt)])
        for continuation, part in zip(continuations, response.loglikelihoods, strict=True):
            target = tokenizer(continuation, add_special_tokens=False)["input_ids"]
            with torch.inference_mode():
                logits = model(input_ids=source, decoder_input_ids=torch.tensor([begin + target[:-1]])).logits
            steps = logits[0, len(begin) - 1 :].double().log_softmax(-1)
            expected = sum(float(steps[i, token]) for i, token in enumerate(target))
            assert part.total == pytest.approx(expected, abs=1e-4)
            assert (part.n_tokens, part.is_greedy) == (len(target), steps.argmax(-1).tolist() == target)


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_greedy_generation(
    architecture: str, plain_model: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    import torch
    from transformers import AutoTokenizer

    folder = checkpoints(architecture, "seq2seq", style=STYLE[architecture])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = plain_model(folder, "seq2seq")
    expected = []
    for prompt, _ in PROMPTS:
        source = torch.tensor([ids_of(tokenizer, architecture, prompt)])
        new, reason = [{"t5": 0, "bart": 1}[architecture]], "length"
        while len(new) <= 9:
            with torch.inference_mode():
                token = int(model(input_ids=source, decoder_input_ids=torch.tensor([new])).logits[0, -1].argmax())
            if token == 1:
                reason = "eos"
                break
            new.append(token)
        expected.append((tokenizer.decode(new[1:], skip_special_tokens=True), reason, len(new) - 1, source.shape[1]))
    for batch_size in (1, "auto"):
        model_ = build("hf-seq2seq", folder, batch_size=batch_size)
        found = ask(model_, [request_of("generate", p, max_tokens=9) for p, _ in PROMPTS])
        assert [(r.text, r.finish_reason, r.output_tokens, r.input_tokens) for r in found] == expected


def test_beam_search_settings_of_the_checkpoint_do_not_leak(
    checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    from transformers import GenerationConfig

    plain = checkpoints("bart", "seq2seq", style="bert")
    folder = checkpoints("bart", "seq2seq", style="bert", fresh=True)
    GenerationConfig(
        num_beams=4, length_penalty=2.0, no_repeat_ngram_size=1, min_length=20, early_stopping=True,
        decoder_start_token_id=1, eos_token_id=1, pad_token_id=0, bos_token_id=3,
    ).save_pretrained(folder)  # fmt: skip
    requests = [request_of("generate", p, max_tokens=9) for p, _ in PROMPTS]
    expected = [r.text for r in ask(build("hf-seq2seq", plain), requests)]
    assert [r.text for r in ask(build("hf-seq2seq", folder), requests)] == expected


def test_long_source_keeps_its_end(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    folder = checkpoints("t5", "seq2seq", style="t5")
    model = build("hf-seq2seq", folder, max_length=12)
    text = PROMPTS[2][0]
    (found,) = ask(model, [request_of("loglikelihood", text, continuations=(" yes",))])
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    kept = tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"][-11:])
    (same,) = ask(build("hf-seq2seq", folder), [request_of("loglikelihood", kept, continuations=(" yes",))])
    assert found.loglikelihoods[0].total == pytest.approx(same.loglikelihoods[0].total, abs=1e-4)
    assert found.meta["truncated_tokens"] > 0


def test_the_record_says_how_and_why(checkpoints: Any, build: Any, request_of: Any) -> None:
    import asyncio

    model = build("hf-seq2seq", checkpoints("t5", "seq2seq", style="t5"))

    async def work() -> Any:
        [_ async for _ in model.loglikelihood([request_of("loglikelihood", "A film", continuations=(" yes",))])]
        scored = model.report()
        [_ async for _ in model.generate([request_of("generate", "A film", max_tokens=2)])]
        both = model.report()
        await model.close()
        return scored, both, model.report()

    scored, both, closed = asyncio.run(work())
    assert set(scored) == {"weights", "loglikelihood"}
    assert scored["loglikelihood"]["way"] == both["generate"]["way"] == "plain"
    assert scored["loglikelihood"]["why_plain"]
    assert both["generate"]["why_plain"]
    assert scored["loglikelihood"]["tokens_computed"] == 4  # two of the source and its end, one of the decoder
    assert closed == {}

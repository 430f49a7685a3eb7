"""Log-probabilities and offsets of what a real, tiny model writes."""

from __future__ import annotations

import math

import pytest

pytestmark = [pytest.mark.model, pytest.mark.slow]

PROMPTS = ["The capital of France is", "naïve café 北京 🙂", [7, 300, 12], "a"]


@pytest.fixture(scope="module")
def spaced(maker, tmp_path_factory):
    """A checkpoint whose tokenizer puts a space in front of every text and takes it away when it decodes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=["<pad>", "</s>", "<unk>", "<s>"], show_progress=False)
    backend.train_from_iterator(maker.TEXTS, trainer)
    folder = tmp_path_factory.mktemp("spaced")
    maker.make_model("llama", "causal").save_pretrained(folder)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def server(checkpoint, serving):
    with serving(checkpoint()) as started:
        yield started


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.0, "top_p": 0.9, "seed": 5}])
def test_what_is_written_is_scored_as_echo_scores_it(server, sampling):
    found = server.complete(prompt=PROMPTS[0], max_tokens=9, logprobs=3, **sampling)["choices"][0]
    plain = server.complete(prompt=PROMPTS[0], max_tokens=9, **sampling)["choices"][0]
    both = server.complete(prompt=PROMPTS[0], max_tokens=9, logprobs=3, echo=True, **sampling)["choices"][0]
    assert found["text"] == plain["text"]
    assert both["text"] == PROMPTS[0] + plain["text"]
    told, all_told = found["logprobs"], both["logprobs"]
    assert len(told["tokens"]) == 9
    assert all_told["tokens"][-9:] == told["tokens"]
    assert all_told["token_logprobs"][-9:] == pytest.approx(told["token_logprobs"], abs=1e-5)
    likeliest = [
        value == max(top.values()) for value, top in zip(told["token_logprobs"], told["top_logprobs"], strict=True)
    ]
    assert all(likeliest) == (sampling["temperature"] == 0)
    assert all(value < 0 and math.isfinite(value) for value in told["token_logprobs"])


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("echo", [True, False])
def test_offsets_are_places_in_the_text(server, prompt, echo):
    for seed in range(3):
        choice = server.complete(prompt=prompt, max_tokens=12, logprobs=0, echo=echo, seed=seed)["choices"][0]
        told = choice["logprobs"]
        whole = [at for at, token in enumerate(told["tokens"]) if not token.startswith(("token_id:", "<"))]
        assert whole
        for at in whole:
            begin, token = told["text_offset"][at], told["tokens"][at]
            assert choice["text"][begin : begin + len(token)] == token


def test_offsets_behind_a_space_that_is_put_in_front(spaced, serving):
    with serving(spaced) as server:
        told = server.complete(prompt="The film is long", max_tokens=0, logprobs=0, echo=True)["choices"][0]
        tokens, offsets = told["logprobs"]["tokens"], told["logprobs"]["text_offset"]
        assert (tokens[0][0], offsets[0]) == (" ", 0)
        text = told["text"]
        assert [text[at : at + len(token)] for token, at in zip(tokens, offsets, strict=True)][1:] == tokens[1:]
        assert offsets[1] == len(tokens[0]) - 1
        for seed in range(8):
            written = server.complete(prompt="The film", max_tokens=3, echo=True, seed=seed, logprobs=0)["choices"][0]
            # The vocabulary has fewer tokens than the model: those that there are not have no text.
            shown = "".join(
                token for token in written["logprobs"]["tokens"] if not token.startswith(("<", "token_id:"))
            )
            assert written["text"] == shown.removeprefix(" ")


def test_a_text_that_nobody_waits_for_ends(checkpoint, maker):
    import asyncio

    from evalharness.core.types import Request, Sampling
    from evalharness.models.huggingface.completions import CausalEngine, ServedCausal

    async def main():
        model = ServedCausal("tiny", maker.make_spec(checkpoint()), base=checkpoint())
        await model.open()
        engine = CausalEngine(model)
        sampling = Sampling(max_tokens=80)
        requests = [Request(key, "tiny", "generate", key, "The film", sampling=sampling) for key in ("a", "b")]
        writing = asyncio.create_task(engine.generate(requests))
        await asyncio.sleep(0)
        engine.abandon(["a", "elsewhere"])
        first, second = await writing
        again = await engine.generate(requests)
        await model.close()
        return first, second, again

    first, second, again = asyncio.run(main())
    assert (first.output_tokens or 0) < 5
    assert second.text == again[0].text == again[1].text
    assert second.output_tokens == again[0].output_tokens > 5

"""lm-eval's own client against the running server: its figures are those of our hf-causal backend."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("lm_eval", reason="needs the lm-eval extra")
pytest.importorskip("tenacity", reason="needs what lm-eval's clients of servers are built on")
pytestmark = [pytest.mark.model, pytest.mark.slow]

PAIRS = [
    ("The capital of France is", " Paris, and the capital of Germany"),
    ("The capital of France is", " Berlin"),
    ("A film that is as good as it is long;", " the actors are wonderful."),
    ("Question: numbers 12345 Answer:", " yes"),
    ("Question: numbers 12345 Answer:", " no"),
    ("naïve café 北京 🙂", " and 67890!"),
    ("Tokens carry the space in front of a word, so trailing spaces ", "move."),
]


def client(server, folder, **options):
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LocalCompletionsAPI(
            base_url=f"{server.url}/v1/completions",
            tokenizer=str(folder),
            tokenizer_backend="huggingface",
            **options,
        )


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("options", [{}, {"batch_size": 4}, {"num_concurrent": 4}, {"tokenized_requests": False}])
def test_loglikelihood(checkpoint, serving, likelihoods, instances, architecture, options):
    folder = checkpoint(architecture)
    with serving(folder) as server:
        found = client(server, folder, **options).loglikelihood(instances("loglikelihood", PAIRS), disable_tqdm=True)
    for (total, is_greedy), ours in zip(found, likelihoods(folder, "loglikelihood", PAIRS), strict=True):
        assert total == pytest.approx(ours.loglikelihoods[0].total, abs=1e-3)
        assert is_greedy == ours.loglikelihoods[0].is_greedy


@pytest.mark.parametrize("tokenized", [True, False])
def test_loglikelihood_with_bos(checkpoint, serving, likelihoods, instances, tokenized):
    folder = checkpoint("llama", "bos")
    with serving(folder) as server:
        lm = client(server, folder, add_bos_token=True, tokenized_requests=tokenized)
        found = lm.loglikelihood(instances("loglikelihood", PAIRS), disable_tqdm=True)
    for (total, _), ours in zip(found, likelihoods(folder, "loglikelihood", PAIRS), strict=True):
        assert total == pytest.approx(ours.loglikelihoods[0].total, abs=1e-3)


def test_a_greedy_continuation_is_seen_as_one(checkpoint, serving, likelihoods, instances):
    from evalharness.core.types import Sampling

    folder = checkpoint()
    prompts = [prompt for prompt, _ in PAIRS]
    texts = likelihoods(folder, "generate", [(p, None) for p in prompts], sampling=Sampling(max_tokens=4))
    pairs = [(prompt, found.text) for prompt, found in zip(prompts, texts, strict=True) if found.text]
    ours = likelihoods(folder, "loglikelihood", pairs)
    with serving(folder) as server:
        found = client(server, folder).loglikelihood(instances("loglikelihood", pairs), disable_tqdm=True)
    assert [greedy for _, greedy in found] == [one.loglikelihoods[0].is_greedy for one in ours]
    assert any(greedy for _, greedy in found)


def test_rolling(checkpoint, serving, likelihoods, instances):
    folder = checkpoint()
    texts = [prompt + continuation for prompt, continuation in PAIRS]
    with serving(folder, max_length=26) as server:
        # Its windows score two tokens less than it is told the model reads.
        lm = client(server, folder, max_length=26)
        found = lm.loglikelihood_rolling(instances("loglikelihood_rolling", [(t,) for t in texts]), disable_tqdm=True)
    ours = likelihoods(folder, "loglikelihood_rolling", [(text, None) for text in texts], max_length=24)
    assert found == pytest.approx([one.loglikelihoods[0].total for one in ours], abs=1e-3)


@pytest.mark.parametrize("options", [{}, {"batch_size": 3}, {"num_concurrent": 3}, {"tokenized_requests": False}])
def test_generate_until(checkpoint, serving, likelihoods, instances, options):
    from evalharness.core.types import Sampling

    folder = checkpoint()
    prompts = [prompt for prompt, _ in PAIRS]
    free = likelihoods(folder, "generate", [(p, None) for p in prompts], sampling=Sampling(max_tokens=12))
    stop = next(one.text[3:5] for one in free if len(one.text) > 6)
    ours = likelihoods(folder, "generate", [(p, None) for p in prompts], sampling=Sampling(max_tokens=12, stop=(stop,)))
    kwargs = {"until": [stop], "max_gen_toks": 12, "do_sample": False, "temperature": 0.0}
    with serving(folder) as server:
        lm = client(server, folder, max_length=96, **options)
        found = lm.generate_until(instances("generate_until", [(p, kwargs) for p in prompts]), disable_tqdm=True)
    assert found == [one.text for one in ours]
    assert any(one.finish_reason == "stop" for one in ours)

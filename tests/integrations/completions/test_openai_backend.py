"""Our openai backend against our server: the log-likelihoods of the checkpoint behind the hf-causal backend."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import TypeAdapter

from evalharness.core.types import Request

pytest.importorskip("torch", reason="needs the hf extra")
pytestmark = [pytest.mark.model, pytest.mark.slow]

PAIRS = [
    ("The capital of France is", " Paris, and the capital of Germany"),
    ("The capital of France is", " Berlin"),
    ("A film that is as good as it is long;", " the actors are wonderful."),
    ("Question: numbers 12345 Answer:", " yes"),
    ("naïve café 北京 🙂", " and 67890!"),
    ("The signs are", " 北京 🙂 and so on"),
    ("Tokens carry the space in front of a word, so trailing spaces ", "move."),
]
TEXTS = ["The capital of France is Paris.", "naïve café 北京 🙂", "one"]


def asked(server, kind, pairs, **entry):
    from evalharness.models.openai import make
    from evalharness.suite.schema import ModelSpec

    spec = TypeAdapter(ModelSpec).validate_python(
        {"backend": "openai", "model": "tiny", "base_url": f"{server.url}/v1", "api": "completions", **entry}
    )
    model = make("tiny", spec, base=None, environ={}, concurrency=4, allow_code=False)
    requests = [
        Request(str(i), "tiny", kind, str(i), prompt, continuations=() if continuation is None else (continuation,))
        for i, (prompt, continuation) in enumerate(pairs)
    ]

    async def main():
        await model.open()
        try:
            return {response.key: response async for response in getattr(model, kind)(requests)}
        finally:
            await model.close()

    found = asyncio.run(main())
    return [found[request.key] for request in requests]


def same(found, ours):
    for mine, theirs in zip(found, ours, strict=True):
        assert mine.error is None
        assert mine.loglikelihoods[0].total == pytest.approx(theirs.loglikelihoods[0].total, abs=1e-4)
        assert mine.loglikelihoods[0].n_tokens == theirs.loglikelihoods[0].n_tokens
        assert mine.loglikelihoods[0].is_greedy == theirs.loglikelihoods[0].is_greedy


@pytest.mark.parametrize(("architecture", "style"), [("llama", "plain"), ("llama", "bos"), ("gpt2", "plain")])
def test_choices(checkpoint, serving, likelihoods, architecture, style):
    folder = checkpoint(architecture, style)
    with serving(folder) as server:
        found = asked(server, "loglikelihood", PAIRS)
    same(found, likelihoods(folder, "loglikelihood", PAIRS))


@pytest.mark.parametrize(("style", "entry"), [("bos", {}), ("plain", {"first_token": "<s>"})])
def test_whole_texts(checkpoint, serving, likelihoods, style, entry):
    folder = checkpoint("llama", style)
    pairs = [(text, None) for text in TEXTS]
    with serving(folder) as server:
        found = asked(server, "loglikelihood_rolling", pairs, **entry)
    same(found, likelihoods(folder, "loglikelihood_rolling", pairs))


def test_nothing_before_a_choice(checkpoint, serving, likelihoods):
    folder = checkpoint("llama", "plain")
    with serving(folder) as server:
        refused = asked(server, "loglikelihood", [("", "Paris")])
        found = asked(server, "loglikelihood", [("", "Paris")], first_token="<s>")
    assert "first_token" in refused[0].error
    same(found, likelihoods(folder, "loglikelihood", [("", "Paris")]))

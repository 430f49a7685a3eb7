"""Per-token log-probabilities beside transformers' own logits, and the text of tokens."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from evalharness.core.errors import UsageError
from evalharness.models.huggingface.completions import CausalEngine, ServedCausal
from evalharness.models.huggingface.token_logprobs import TokenScorer
from evalharness.models.huggingface.tokens import TokenPrompt

pytestmark = pytest.mark.model

LISTS = [[3, 50, 61, 72, 8], [99], [7, 7, 300, 12, 45, 6, 90, 33, 210], [18, 400]]


def wanted(ids, *, first=0, follow=True, top=3):
    return SimpleNamespace(ids=tuple(ids), first=first, follow=follow, top=top)


@pytest.fixture
def served(checkpoints, spec):
    """`served(*checkpoint, **settings)`: an opened model and its engine."""
    opened = []

    def start(*of, style="plain", template=None, **settings):
        model = ServedCausal("m", spec(checkpoints(*of, style=style, template=template), **settings), base=Path("."))
        asyncio.run(model.open())
        opened.append(model)
        return CausalEngine(model)

    yield start
    for model in opened:
        asyncio.run(model.close())


@pytest.mark.parametrize(
    "architecture", ["llama", "gpt2", "gpt_neox", "opt", "mistral", "gemma2", "cohere", "bloom", "mamba"]
)
def test_equal_to_the_models_own_logits(checkpoints, plain_model, architecture):
    model = plain_model(checkpoints(architecture, "causal"), "causal")
    scorer = TokenScorer(model, pad=0, device="cpu")
    for _ in range(2):  # the second call knows what the output layer is
        found = scorer([wanted(ids) for ids in LISTS])
        for ids, scores in zip(LISTS, found, strict=True):
            with torch.inference_mode():
                expected = model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(dim=-1)
            own = [float(expected[i, token]) for i, token in enumerate(ids[1:])]
            assert scores.logprobs == pytest.approx(own, abs=1e-4)
            best = expected.topk(3)
            assert [[token for token, _ in place] for place in scores.top] == best.indices.tolist()
            values = [value for place in scores.top for _, value in place]
            assert values == pytest.approx(best.values.flatten().tolist(), abs=1e-4)


def test_only_the_places_asked_for(checkpoints, plain_model):
    scorer = TokenScorer(plain_model(checkpoints("llama", "causal"), "causal"), pad=0, device="cpu")
    (whole,) = scorer([wanted(LISTS[0])])
    last, rest, nothing, one = scorer(
        [
            wanted(LISTS[0], first=4, top=1),
            wanted(LISTS[0], first=1, follow=False, top=2),
            wanted([5], follow=False),
            wanted(LISTS[0], first=3, follow=False, top=0),
        ]
    )
    assert last.logprobs == ()
    assert last.top[0][0] == pytest.approx(whole.top[4][0], abs=1e-5)
    assert rest.logprobs == pytest.approx(whole.logprobs[1:], abs=1e-5)
    assert [len(place) for place in rest.top] == [2, 2, 2]
    assert nothing.logprobs == nothing.top == ()
    assert len(one.top[0]) == 1
    assert scorer([wanted([5], follow=False)])[0].top == ()


def test_a_token_that_is_the_likeliest_has_the_same_float(checkpoints, plain_model):
    """Clients compare the two to see whether a continuation is the greedy one."""
    scorer = TokenScorer(plain_model(checkpoints("llama", "causal"), "causal"), pad=0, device="cpu")
    ids = LISTS[0]
    for _ in range(6):
        ids = [*ids, scorer([wanted(ids, top=1)])[0].top[-1][0][0]]
    (found,) = scorer([wanted(ids, follow=False, top=1)])
    assert [own == place[0][1] for own, place in zip(found.logprobs, found.top, strict=True)][4:] == [True] * 6


def test_scores_do_not_depend_on_the_batch(served):
    lists = [wanted(ids, follow=index % 2 == 0) for index, ids in enumerate(LISTS * 5)]
    together = asyncio.run(served("llama", "causal").score(lists))
    small = served("llama", "causal", batch_size=2, padding_side="right")
    for one, other in zip(together, asyncio.run(small.score(lists)), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_a_failure_stays_with_its_own_list(served):
    engine = served("gpt2", "causal")
    good, bad = asyncio.run(engine.score([wanted([5, 6]), wanted([5, 10_000, 6])]))
    assert len(good.logprobs) == 1
    assert isinstance(bad, str)
    assert "IndexError" in bad


def test_a_cancelled_call_ends_with_the_batch_that_is_computed(served, monkeypatch):
    engine = served("llama", "causal", batch_size=1, padding_side="right")
    begun, goes_on, batches = threading.Event(), threading.Event(), []

    def slow(batch):
        batches.append(batch)
        begun.set()
        assert goes_on.wait(10)
        return [None] * len(batch)

    monkeypatch.setattr(engine._model, "token_scorer", slow)

    async def main():
        call = asyncio.create_task(engine.score([wanted([5, 6])] * 50))
        await asyncio.to_thread(begun.wait, 10)
        call.cancel()
        await asyncio.wait([call])
        goes_on.set()
        await engine._model.close()

    asyncio.run(main())
    assert len(batches) == 1


def test_text_of_tokens(served):
    engine = served("llama", "causal", style="bos")
    text = "naïve café 北京 🙂"
    ids = engine.encode(text)
    assert engine.n_added(text, ids) == 1
    assert engine.n_added("<s> a", engine.encode("<s> a")) == 0
    assert engine.n_added("", engine.encode("")) == 1
    assert engine.decode(ids) == f"<s>{text}"
    assert engine.decode(ids, special=False) == text
    assert engine.piece(ids[0]) == "<s>"
    assert engine.piece(engine.encode(" the")[-1]) == " the"
    assert engine.ends(1)
    assert not engine.ends(0)
    with pytest.raises(UsageError, match="no chat template"):
        engine.encode(())
    with pytest.raises(UsageError, match="cannot encode"):
        engine.encode("\ud800")


def test_prompts_of_ids_are_read_as_they_stand(served, request_of):
    engine = served("llama", "causal", style="bos")
    text = "The capital of"
    ids = engine.encode(text)
    asked = [
        request_of("generate", prompt, max_tokens=6) for prompt in (text, engine.prompt(ids), engine.prompt(ids[1:]))
    ]
    plain, same, bare = asyncio.run(engine.generate(asked))
    assert plain.text == same.text
    assert (same.input_tokens, bare.input_tokens) == (len(ids), len(ids) - 1)
    assert TokenPrompt([1, 2]) != TokenPrompt([12])

"""Lists of ids that share their beginnings: the figures of padded batches, each distinct token computed once."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from evalharness.models.huggingface.completions import CausalEngine, ServedCausal
from evalharness.models.huggingface.memory import BatchSize
from evalharness.models.huggingface.token_logprobs import TokenScorer
from evalharness.models.huggingface.token_tree import TreeTokenScorer

pytestmark = pytest.mark.model


def wanted(ids: list[int], *, first: int = 0, follow: bool = True, top: int = 3) -> SimpleNamespace:
    return SimpleNamespace(ids=tuple(ids), first=first, follow=follow, top=top)


def lists(seed: int = 0) -> list[SimpleNamespace]:
    """Lists that share prefixes at several depths, in no order, with places of all kinds asked for."""
    draw = random.Random(seed)
    made = [draw.randrange(5, 400) for _ in range(12)]
    found = []
    for _ in range(4):
        context = made + [draw.randrange(5, 400) for _ in range(draw.randrange(1, 9))]
        for _ in range(3):
            ids = context + [draw.randrange(5, 400) for _ in range(draw.randrange(1, 5))]
            found.append(
                wanted(ids, first=draw.randrange(len(ids) - 1), follow=draw.random() < 0.5, top=draw.randrange(6))
            )
    found += [
        found[0],
        wanted([9]),
        wanted([9], follow=False),
        wanted(made, first=0, top=5),
        wanted([7, 8], follow=False),
    ]
    draw.shuffle(found)
    return found


def same(found: Any, expected: Any) -> None:
    assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert [len(place) for place in found.top] == [len(place) for place in expected.top]
    for ours, theirs in zip(found.top, expected.top, strict=True):
        assert [value for _, value in ours] == pytest.approx([value for _, value in theirs], abs=1e-4)
        assert [token for token, _ in ours] == [token for token, _ in theirs]


@pytest.mark.parametrize("tokens", [None, 7, 1])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "mistral", "gemma2", "cohere"])
def test_equal_to_padded_batches(checkpoints: Any, plain_model: Any, architecture: str, tokens: int | None) -> None:
    model = plain_model(checkpoints(architecture, "causal"), "causal")
    asked = lists()
    expected = TokenScorer(model, pad=0, device="cpu")(asked)
    tree = TreeTokenScorer(model, device="cpu", block_rows=5)
    for _ in range(2):  # nothing of the first call is left for the second
        tree.n_computed = 0
        found = dict(pair for part in tree(asked, size=BatchSize(tokens=tokens)) for pair in part)
        assert sorted(found) == list(range(len(asked)))
        for index, scores in found.items():
            same(scores, expected[index])
        read = {one.ids[: n + 1] for one in asked for n in range(len(one.ids) - (not one.follow))}
        assert tree.n_computed <= len(read)


def test_more_tokens_than_there_are(checkpoints: Any, plain_model: Any) -> None:
    model = plain_model(checkpoints("llama", "causal"), "causal")
    asked = [wanted([5, 6], top=1000), wanted([5, 7], top=2)]
    expected = TokenScorer(model, pad=0, device="cpu")(asked)
    found = dict(
        pair for part in TreeTokenScorer(model, device="cpu")(asked, size=BatchSize(tokens=64)) for pair in part
    )
    assert [len(place) for place in found[0].top] == [420, 420]
    same(found[1], expected[1])


@pytest.fixture
def served(checkpoints: Any, spec: Any) -> Any:
    opened = []

    def start(*of: str, **settings: Any) -> CausalEngine:
        model = ServedCausal("m", spec(checkpoints(*of), **settings), base=Path("."))
        asyncio.run(model.open())
        opened.append(model)
        return CausalEngine(model)

    yield start
    for model in opened:
        asyncio.run(model.close())


def test_requests_that_wait_together_share(served: Any) -> None:
    engine, plain = served("llama", "causal"), served("llama", "causal", padding_side="right")
    asked = lists(1)
    found, expected = asyncio.run(engine.score(asked)), asyncio.run(plain.score(asked))
    for ours, theirs in zip(found, expected, strict=True):
        same(ours, theirs)
    tree = engine._model.tree_scorer
    assert tree is not None
    assert 0 < tree.n_computed < sum(len(one.ids) for one in asked) / 1.5
    assert plain._model.tree_scorer is None


def test_a_model_that_cannot_share_is_computed_as_before(served: Any) -> None:
    engine = served("mamba", "causal")
    found = asyncio.run(engine.score([wanted([5, 6, 7]), wanted([5, 6, 8])]))
    assert engine._model.tree_scorer is None
    assert [len(scores.logprobs) for scores in found] == [2, 2]


def test_a_tree_that_fails_costs_time_alone(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = served("llama", "causal")
    asked = lists(2)
    expected = asyncio.run(engine.score(asked))

    def ends(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    before = engine._model.size("tree").tokens
    monkeypatch.setattr(engine._model.tree_scorer, "_compute", ends)
    for ours, theirs in zip(asyncio.run(engine.score(asked)), expected, strict=True):
        same(ours, theirs)
    assert engine._model.size("tree").tokens == before // 2


def test_a_cancelled_call_ends_with_the_stretch_that_is_computed(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = served("llama", "causal")
    asyncio.run(engine.score([wanted([5, 6]), wanted([5, 7])]))
    engine._model.size("tree").tokens = 2
    begun, goes_on, calls = threading.Event(), threading.Event(), []
    compute = engine._model.tree_scorer._compute

    def slow(*args: Any) -> None:
        calls.append(args)
        begun.set()
        assert goes_on.wait(10)
        compute(*args)

    monkeypatch.setattr(engine._model.tree_scorer, "_compute", slow)

    async def main() -> None:
        call = asyncio.create_task(engine.score([wanted([5, n]) for n in range(6, 60)]))
        await asyncio.to_thread(begun.wait, 10)
        call.cancel()
        await asyncio.wait([call])
        goes_on.set()
        await engine._model.close()

    asyncio.run(main())
    assert len(calls) == 1

"""The prefix tree of a causal model: the plain figures, each token computed once, or else the plain way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from evalharness.models.huggingface.memory import BatchSize, Failure
from evalharness.models.huggingface.prefix import PrefixScorer
from evalharness.models.huggingface.rows import Row
from evalharness.models.huggingface.scoring import CausalScorer

pytestmark = pytest.mark.model

SHARING = [
    "llama",
    "gpt2",
    "gpt_neox",
    "opt",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "phi",
    "cohere",
]
PLAIN = ["bloom", "falcon", "mamba"]


def row(context: list[int], target: list[int]) -> Row:
    inputs = (*context, *target[:-1])
    return Row(inputs, tuple(range(len(context) - 1, len(inputs))), (tuple(target),), (0,))


def few_shot(seed: int = 0, *, n_shared: int = 20, n_documents: int = 6) -> list[Row]:
    """Documents with three choices each behind one preamble."""
    draw = random.Random(seed)

    def made(n: int) -> list[int]:
        return [draw.randrange(5, 400) for _ in range(n)]

    preamble = made(n_shared)
    rows = []
    for _ in range(n_documents):
        context = preamble + made(draw.randint(1, 12))
        rows += [row(context, made(draw.randint(1, 4))) for _ in range(3)]
    return rows


def distinct(rows: list[Row]) -> int:
    return len({one.inputs[:n] for one in rows for n in range(1, len(one.inputs) + 1)})


def outcomes(scorer: PrefixScorer, rows: list[Row], **size: int) -> dict[int, Any]:
    return {id(o.item): o.result for batch in scorer(rows, size=BatchSize(**size)) for o in batch}


@pytest.mark.parametrize("architecture", SHARING)
@pytest.mark.parametrize(("block_rows", "tokens"), [(128, 1024), (8, 16), (3, 7)])
def test_every_row_scores_as_it_does_alone(architecture: str, block_rows: int, tokens: int, random_model: Any) -> None:
    model, rows = random_model(architecture, "causal"), few_shot()
    scorer = PrefixScorer(model, device="cpu", block_rows=block_rows)
    alone = CausalScorer(model, pad=0, device="cpu", side="right")
    found: dict[int, Any] = {}
    for part in (rows[:6], rows[6:]):  # the second call goes on from what the first one holds
        found |= outcomes(scorer, part, tokens=tokens)
    for one in rows:
        (expected,), (result,) = alone([one])[0], found[id(one)]
        assert result.total == pytest.approx(expected.total, abs=1e-4)
        assert (result.n_tokens, result.is_greedy) == (expected.n_tokens, expected.is_greedy)
    assert scorer.n_computed == distinct(rows)


def test_what_is_asked_of_a_held_prefix_is_computed_again(random_model: Any) -> None:
    """A rolling row asks for every token: the logits of the held ones are gone."""
    model = random_model("llama", "causal")
    scorer, alone = PrefixScorer(model, device="cpu"), CausalScorer(model, pad=0, device="cpu", side="right")
    (first, *_) = few_shot()
    whole = Row(first.inputs, tuple(range(len(first.inputs))), (tuple(range(50, 50 + len(first.inputs))),), (0,))
    outcomes(scorer, [first], tokens=64)
    found = outcomes(scorer, [whole], tokens=64)
    assert found[id(whole)][0].total == pytest.approx(alone([whole])[0][0].total, abs=1e-4)


def test_identical_rows_and_shared_targets(random_model: Any) -> None:
    model = random_model("gpt2", "causal")
    scorer, alone = PrefixScorer(model, device="cpu"), CausalScorer(model, pad=0, device="cpu", side="right")
    context = few_shot()[0].inputs
    twice = [row(list(context), [9, 8]), row(list(context), [9, 8])]
    several = Row(context, (len(context) - 1,), ((7,), (8,), (9,)), (0, 1, 2))
    found = outcomes(scorer, [*twice, several], tokens=64)
    for one in (*twice, several):
        assert [x.total for x in found[id(one)]] == pytest.approx([x.total for x in alone([one])[0]], abs=1e-4)
    assert scorer.n_computed == len(context) + 1


@pytest.mark.parametrize("capacity", [40, 12, 3])
def test_memory_that_ends_halves_the_stretch_and_loses_nothing(capacity: int, random_model: Any) -> None:
    model, rows = random_model("llama", "causal"), few_shot()
    expected = outcomes(PrefixScorer(model, device="cpu"), rows, tokens=1024)
    forward = model.forward

    def limited(input_ids: Any, **others: Any) -> Any:
        if input_ids.shape[1] > capacity:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
        return forward(input_ids=input_ids, **others)

    model.forward = limited
    size = BatchSize(tokens=64)
    found = {id(o.item): o.result for b in PrefixScorer(model, device="cpu")(rows, size=size) for o in b}
    assert size.tokens is not None
    assert capacity / 2 < size.tokens <= capacity
    assert {k: v[0].total for k, v in found.items()} == pytest.approx({k: v[0].total for k, v in expected.items()})


def test_a_fault_ends_in_failures_not_in_an_exception(random_model: Any) -> None:
    model, rows = random_model("llama", "causal"), few_shot()
    scorer = PrefixScorer(model, device="cpu")

    def broken(**_: Any) -> Any:
        raise ValueError("no such kernel")

    model.forward = broken
    found = outcomes(scorer, rows, tokens=64)
    assert len(found) == len(rows)
    assert all(isinstance(one, Failure) and "no such kernel" in one.message for one in found.values())


def asked(build: Any, ask: Any, request_of: Any, folder: Any, **settings: Any) -> tuple[list[Any], dict[str, Any]]:
    """Four requests that share a preamble, asked of the checkpoint; the answers and what the model reports."""
    model = build("hf-causal", folder, **settings)
    reports = []
    model.unload = _before(model.unload, lambda: reports.append(dict(model.report())))
    shared = "A film that is as good as it is long; the actors are wonderful. "
    prompts = [shared + end for end in ("Question: yes", "Question: no", "naïve", "Answer:")]
    answers = ask(model, [request_of("loglikelihood", p, continuations=(" yes", " no maybe")) for p in prompts])
    return answers, reports[0]["loglikelihood"]


def _before(call: Any, first: Any) -> Any:
    def both() -> None:
        first()
        call()

    return both


@pytest.mark.parametrize("architecture", SHARING)
def test_checkpoints_take_the_tree_and_say_what_it_saved(
    architecture: str, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    answers, report = asked(build, ask, request_of, checkpoints(architecture, "causal"))
    assert [a.status for a in answers] == ["ok"] * 4
    assert report["way"] == "prefix tree", report
    assert report["tokens_computed"] == report["tokens_distinct"] < report["tokens_unshared"] / 2


@pytest.mark.parametrize("architecture", PLAIN)
def test_models_that_cannot_share_are_computed_plainly_and_say_why(
    architecture: str, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    answers, report = asked(build, ask, request_of, checkpoints(architecture, "causal"))
    assert [a.status for a in answers] == ["ok"] * 4
    assert report["way"] == "plain"
    assert report["why_plain"]
    assert report["tokens_computed"] >= report["tokens_unshared"]


def test_a_wrong_tree_is_found_out(
    checkpoints: Any, build: Any, ask: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention that sees one token too many gives other figures: the trial must notice."""
    from evalharness.models.huggingface import tree

    mask = tree.Walk._mask

    def leaking(self: Any, start: int, end: int, path: int) -> Any:
        seen, columns = mask(self, start, end, path)
        seen[:] = True
        return seen, columns

    folder = checkpoints("llama", "causal")
    expected, _ = asked(build, ask, request_of, folder)
    monkeypatch.setattr(tree.Walk, "_mask", leaking)
    answers, report = asked(build, ask, request_of, folder)
    assert report["way"] == "plain"
    assert "shared prefix changed log-probabilities" in report["why_plain"]
    for one, other in zip(answers, expected, strict=True):
        totals = [[part.total for part in answer.loglikelihoods] for answer in (one, other)]
        assert totals[0] == pytest.approx(totals[1], abs=1e-4)


def test_padding_asked_for_is_padding(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    _, report = asked(build, ask, request_of, checkpoints("llama", "causal"), padding_side="left")
    assert report["way"] == "plain"
    assert report["why_plain"] == "padding_side: left asks for padded batches"


def test_rotary_embeddings_that_follow_the_length_share_only_what_is_short(
    checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    scaled = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    folder = checkpoints("llama", "causal", rope_parameters=scaled, max_position_embeddings=20)
    sharing, report = asked(build, ask, request_of, folder, max_length=90)
    plain, _ = asked(build, ask, request_of, folder, max_length=90, batch_size=1, padding_side="right")
    assert report["way"] == "prefix tree and plain"
    for one, other in zip(sharing, plain, strict=True):
        totals = [[part.total for part in answer.loglikelihoods] for answer in (one, other)]
        assert totals[0] == pytest.approx(totals[1], abs=1e-4)


def test_a_row_that_overflows_spoils_no_other(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    """Keys that are not numbers reach through every mask: the rows beside it are computed again, each for itself."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = checkpoints("llama", "causal", fresh=True, tie_word_embeddings=False)
    prompts = ["The capital of France is Paris", "The capital of Germany is Berlin", "The actors are wonderful"]
    requests = [request_of("loglikelihood", p, continuations=(" yes", " no maybe")) for p in prompts]
    expected = ask(build("hf-causal", folder), requests)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [set(tokenizer(p)["input_ids"]) for p in prompts]
    only = min(ids[0] - ids[1] - ids[2] - set(tokenizer(" yes no maybe")["input_ids"]))
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight[only] = float("nan")
    model.save_pretrained(folder)
    found = ask(build("hf-causal", folder), requests)
    assert [r.status for r in found] == ["error", "ok", "ok"]
    for one, other in zip(found[1:], expected[1:], strict=True):
        totals = [[part.total for part in answer.loglikelihoods] for answer in (one, other)]
        assert totals[0] == pytest.approx(totals[1], abs=1e-4)

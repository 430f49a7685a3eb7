"""Continuous decoding: the texts that each prompt has alone, whatever comes and goes beside it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from evalharness.core.types import Request, Sampling
from evalharness.models.huggingface.continuous import ContinuousDecoder
from evalharness.models.huggingface.decoding import Decoding, Ending

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


def prompts(seed: int = 0, *, n: int = 9, n_shared: int = 10) -> list[Decoding]:
    """Prompts of mixed lengths with and without a common beginning, and different lengths to come to."""
    draw = random.Random(seed)
    shared = [draw.randrange(5, 400) for _ in range(n_shared)]
    rows = []
    for index in range(n):
        own = [draw.randrange(5, 400) for _ in range(draw.randint(1, 8))]
        ids = tuple([*shared, *own] if index % 3 else own)
        sampling = Sampling(max_tokens=draw.choice((1, 2, 5, 11)))
        rows.append(
            Decoding(Request(str(index), "m", "generate", str(index), "", sampling=sampling), ids, 0, frozenset())
        )
    return rows


class _Tokens:
    """Decodes to the numbers of the tokens."""

    def decode(self, ids: Any) -> str:
        return " ".join(map(str, ids))


def ending(eos: tuple[int, ...] = ()) -> Ending:
    return Ending(_Tokens(), frozenset(eos))  # type: ignore[arg-type]


def greedy(model: Any, row: Decoding, eos: tuple[int, ...] = ()) -> list[int]:
    """The oracle: one plain forward pass of the whole text a step."""
    import torch

    new: list[int] = []
    while len(new) < row.sampling.max_tokens:
        with torch.inference_mode():
            token = int(model(torch.tensor([[*row.ids, *new]])).logits[0, -1].argmax())
        if token in eos:
            break
        new.append(token)
    return new


@pytest.mark.parametrize("architecture", SHARING)
@pytest.mark.parametrize(("n_slots", "tokens"), [(16, 512), (3, 7), (1, 4)])
def test_every_text_is_what_it_is_alone(architecture: str, n_slots: int, tokens: int, random_model: Any) -> None:
    model, rows = random_model(architecture, "causal"), prompts()
    finished = [
        done.row for batch in ContinuousDecoder(model, ending(), device="cpu")(rows, n_slots=n_slots, tokens=tokens)
        for done in batch
    ]  # fmt: skip
    assert sorted(id(row) for row in finished) == sorted(id(row) for row in rows)
    for row in rows:
        assert row.new == greedy(model, row)
        assert row.finish == "length"


def test_texts_that_end_make_room_and_are_not_carried_on(random_model: Any) -> None:
    model, rows = random_model("llama", "causal"), prompts(n=12)
    everything = [token for row in rows for token in greedy(model, row)]
    eos = tuple({token for token in everything if everything.count(token) > 1})[:2]
    assert eos
    decoder = ContinuousDecoder(model, ending(eos), device="cpu")
    batches = list(decoder(rows, n_slots=4, tokens=64))
    assert [row.new for row in rows] == [greedy(model, row, eos) for row in rows]
    assert {"eos", "length"} == {row.finish for row in rows}
    distinct = len({row.ids[:n] for row in rows for n in range(1, len(row.ids) + 1)})
    steps = sum(len(row.new) + (row.finish == "eos") - 1 for row in rows)
    assert decoder.n_computed == distinct + steps
    assert len(batches) > 1
    assert all(done.seconds > 0 for batch in batches for done in batch)


def test_prompts_are_read_in_the_passes_that_add_tokens(random_model: Any) -> None:
    model, rows = random_model("llama", "causal"), prompts(n=8, n_shared=0)
    sizes: list[tuple[int, ...]] = []
    handle = model.register_forward_pre_hook(
        lambda module, args, inputs: sizes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    decoder = ContinuousDecoder(model, ending(), device="cpu")
    try:
        for _ in decoder(rows, n_slots=3, tokens=5):
            pass
    finally:
        handle.remove()
    # No token is computed twice, and no pass has more than its share of the prompts and a token of each text.
    assert sum(n for _, n in sizes) == decoder.n_computed
    assert all(batch == 1 and n <= 5 + 3 for batch, n in sizes)
    assert any(n > 5 for _, n in sizes)
    # One text after the other would take as many passes as there are tokens; three side by side take about a third.
    assert len(sizes) < 0.6 * sum(len(row.new) for row in rows) + 2
    assert [row.new for row in rows] == [greedy(model, row) for row in rows]


def test_the_time_of_all_passes_is_shared_out(random_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.models.huggingface import continuous

    seconds = iter(range(10_000))
    monkeypatch.setattr(continuous.time, "perf_counter", lambda: float(next(seconds)))
    decoder = ContinuousDecoder(random_model("llama", "causal"), ending(), device="cpu")
    passes = []
    whole = ContinuousDecoder._pass
    monkeypatch.setattr(
        ContinuousDecoder, "_pass", lambda self, *args, **kept: (passes.append(1), whole(self, *args, **kept))[1]
    )
    finished = [done for batch in decoder(prompts(n=8), n_slots=3, tokens=5) for done in batch]
    assert sum(done.seconds for done in finished) == pytest.approx(len(passes))
    assert all(done.seconds > 0 for done in finished)


@pytest.mark.parametrize("n_slots", [1, 2, 5])
def test_more_equal_prompts_than_slots(n_slots: int, random_model: Any) -> None:
    model = random_model("gpt2", "causal")
    rows = [row for row in prompts(n=3) for _ in range(4)]
    rows = [Decoding(row.request, row.ids, 0, frozenset()) for row in rows]
    for _ in ContinuousDecoder(model, ending(), device="cpu")(rows, n_slots=n_slots, tokens=32):
        pass
    assert [row.new for row in rows] == [greedy(model, row) for row in rows]


def asked(build: Any, ask: Any, request_of: Any, folder: Any, **settings: Any) -> tuple[list[Any], dict[str, Any]]:
    model = build("hf-causal", folder, **settings)
    reports: list[Any] = []
    unload = model.unload

    def last_words() -> None:
        reports.append(dict(model.report()))
        unload()

    model.unload = last_words
    texts = ["The capital of France is", "The capital of France", "A film that is as good as it is long; the actors"]
    answers = ask(model, [request_of("generate", text, max_tokens=n) for text in texts for n in (3, 8)])
    return answers, reports[0]["generate"]


@pytest.mark.parametrize("architecture", [*SHARING, *PLAIN])
def test_checkpoints_say_how_they_were_decoded(
    architecture: str, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    answers, report = asked(build, ask, request_of, checkpoints(architecture, "causal"))
    assert all(answer.status in ("ok", "truncated") for answer in answers)
    assert report["way"] == ("continuous" if architecture in SHARING else "plain")
    assert ("why_plain" in report) == (architecture in PLAIN)
    if architecture in SHARING:
        assert report["tokens_computed"] < report["tokens_unshared"]


def test_a_wrong_slot_is_found_out(
    checkpoints: Any, build: Any, ask: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalharness.models.huggingface import slots

    folder = checkpoints("llama", "causal")
    expected, _ = asked(build, ask, request_of, folder)
    put = slots.SlotAttention.put
    monkeypatch.setattr(
        slots.SlotAttention, "put", lambda self, slot, layer, k, v: put(self, slot, layer, k * 0, v * 3)
    )
    answers, report = asked(build, ask, request_of, folder)
    assert report["way"] == "plain"
    assert "on a trial it chose a token" in report["why_plain"]
    assert [answer.text for answer in answers] == [answer.text for answer in expected]


def test_memory_that_ends_halves_the_slots_and_loses_nothing(
    checkpoints: Any, build: Any, ask: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalharness.models.huggingface import slots

    folder = checkpoints("llama", "causal")
    expected, _ = asked(build, ask, request_of, folder)
    step = slots.SlotAttention.step
    sizes = []

    def limited(self: Any) -> Any:
        sizes.append(len(self.lengths))
        if len(self.lengths) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
        return step(self)

    monkeypatch.setattr(slots.SlotAttention, "step", limited)
    answers, report = asked(build, ask, request_of, folder)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert report["way"] == "continuous"
    assert max(sizes) > 2


def test_another_fault_is_left_to_the_plain_way(
    checkpoints: Any, build: Any, ask: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalharness.models.huggingface import continuous, generation

    folder = checkpoints("llama", "causal")
    expected, _ = asked(build, ask, request_of, folder)
    calls = []
    whole = continuous.ContinuousDecoder._pass
    trial = generation.Generator._trial

    def fragile(self: Any, *args: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("no such kernel")
        return whole(self, *args, **settings)

    def then_fragile(self: Any) -> Any:
        decoder = trial(self)
        monkeypatch.setattr(continuous.ContinuousDecoder, "_pass", fragile)
        return decoder

    monkeypatch.setattr(generation.Generator, "_trial", then_fragile)
    answers, report = asked(build, ask, request_of, folder)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert report["way"] == "continuous and plain"


def test_a_prompt_that_overflows_spoils_no_other(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = checkpoints("llama", "causal", fresh=True, tie_word_embeddings=False)
    prompts = ["The capital of France is Paris", "The capital of Germany is Berlin", "The actors are wonderful"]
    requests = [request_of("generate", p, max_tokens=5) for p in prompts]
    expected = ask(build("hf-causal", folder), requests)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [set(tokenizer(p)["input_ids"]) for p in prompts]
    said = {token for answer in expected for token in tokenizer(answer.text)["input_ids"]}
    only = min(ids[0] - ids[1] - ids[2] - said)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight[only] = float("nan")
    model.save_pretrained(folder)
    found = ask(build("hf-causal", folder), requests)
    assert [answer.text for answer in found[1:]] == [answer.text for answer in expected[1:]]

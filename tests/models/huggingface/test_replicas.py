"""Copies of a model on several devices: the same answers as from one, and one end for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import CapabilityError, ModelError, UsageError
from evalharness.core.protocols import Model
from evalharness.models.huggingface import hardware
from evalharness.models.huggingface.backend import HfCausal, HfClassifier
from evalharness.models.huggingface.replicas import Replicas, dealt

pytestmark = [pytest.mark.model, pytest.mark.slow]

TWO = ("cpu", "cpu")


def prompts(n: int) -> list[str]:
    return [f"Question {i % 7}: {'is it so ' * (i % 5)}number {i}" for i in range(n)]


# ── how requests are dealt out ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", [1, 2, 3, 31, 64, 65, 1000, 20_000])
@pytest.mark.parametrize("n_copies", [1, 2, 3, 8])
def test_runs_are_contiguous_and_become_smaller(n: int, n_copies: int) -> None:
    items: Any = list(range(n))
    runs = [list(run) for run in dealt(items, n_copies=n_copies)]
    assert [item for run in runs for item in run] == items
    lengths = [len(run) for run in runs]
    assert lengths == sorted(lengths, reverse=True)
    assert max(lengths) <= 1024
    assert len(runs) >= min(n, n_copies)
    assert all(length >= min(32, n // n_copies) for length in lengths[:-1])


def test_no_more_are_read_than_are_taken() -> None:
    read = []

    def endless() -> Iterator[Any]:
        for i in range(10**9):
            read.append(i)
            yield i

    runs = dealt(endless(), n_copies=2)
    assert len(next(runs)) == len(next(runs)) == 1024
    assert len(read) == 2048


# ── the same answers ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("backend", "architecture", "kind", "verbs"),
    [
        ("hf-causal", "llama", "causal", ("loglikelihood", "loglikelihood_rolling", "generate")),
        ("hf-seq2seq", "t5", "seq2seq", ("loglikelihood", "generate")),
        ("hf-masked", "bert", "masked", ("loglikelihood", "loglikelihood_rolling")),
        ("hf-classifier", "bert", "classifier", ("classify",)),
    ],
)
def test_answers_of_two_are_those_of_one(
    backend: str, architecture: str, kind: str, verbs: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    folder = checkpoints(architecture, kind, style="bert" if architecture == "bert" else "plain")
    for verb in verbs:
        continuations = (" yes", " a film") if verb == "loglikelihood" else ()
        asked = [request_of(verb, text, continuations=continuations, max_tokens=5) for text in prompts(20)]
        if verb == "generate":
            asked += [request_of(verb, text, max_tokens=4, temperature=1.0, seed=7) for text in prompts(6)]
        one, two = build(backend, folder), build(backend, folder, devices=TWO)
        assert isinstance(two, Replicas)
        assert isinstance(two, Model)
        assert two.identity() == one.identity()
        for found, wanted in zip(ask(two, asked), ask(one, asked), strict=True):
            assert (found.status, found.text, found.answer, found.finish_reason) == (
                wanted.status,
                wanted.text,
                wanted.answer,
                wanted.finish_reason,
            )
            assert [p.is_greedy for p in found.loglikelihoods or ()] == [
                p.is_greedy for p in wanted.loglikelihoods or ()
            ]
            assert [p.total for p in found.loglikelihoods or ()] == pytest.approx(
                [p.total for p in wanted.loglikelihoods or ()], abs=1e-4
            )
            assert found.label_probabilities == (
                wanted.label_probabilities and pytest.approx(wanted.label_probabilities, abs=1e-6)
            )


def test_both_work_and_the_report_sums_them(checkpoints: Any, build: Any, request_of: Any) -> None:
    requests = [request_of("loglikelihood", text, continuations=(" yes", " no")) for text in prompts(40)]
    model = build("hf-causal", checkpoints("llama", "causal"), devices=TWO)

    async def main() -> tuple[Any, list[Any], list[Any]]:
        try:
            # From an iterator of unknown length it is one run, of one copy.
            found = [response async for response in model.loglikelihood(requests)]
            return model.report(), [copy.report() for copy in model._copies], found
        finally:
            await model.close()

    whole, parts, found = asyncio.run(main())
    assert len({response.key for response in found}) == len(requests)
    work = [part["loglikelihood"] for part in parts]
    assert all(part["tokens_computed"] for part in work)
    for key in ("tokens_computed", "tokens_distinct", "tokens_unshared"):
        assert whole["loglikelihood"][key] == sum(part[key] for part in work)
    assert whole["loglikelihood"]["way"] == "prefix tree"
    assert whole["loglikelihood"]["replicas"] == 2
    assert "generate" not in whole
    assert whole["weights"] == parts[0]["weights"] == parts[1]["weights"]
    assert whole["weights"]["bytes"] == 4 * whole["weights"]["n_parameters"] > 0


def test_requests_from_an_iterator(checkpoints: Any, build: Any, request_of: Any) -> None:
    requests = [request_of("classify", text) for text in prompts(5)]
    model = build("hf-classifier", checkpoints("bert", "classifier", style="bert"), devices=TWO)

    async def main() -> list[Any]:
        try:
            found = [response.key async for response in model.classify(iter(requests))]
            return found + [response async for response in model.classify([])]
        finally:
            await model.close()

    assert sorted(asyncio.run(main())) == sorted(request.key for request in requests)


# ── ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Gated(HfClassifier):
    """Yields a batch for each request; the first copy waits for `gate`, or fails."""

    gate: threading.Event | None = None
    fault: Exception | None = None
    n_open = 0

    def load(self) -> None:
        self._loaded_model = None

    def unload(self) -> None:
        pass

    def answer(self, kind: Any, requests: Iterable[Any]) -> Any:
        from evalharness.core.types import Response

        self.n_open += 1
        try:
            for request in requests:
                if self.gate is not None:
                    assert self.gate.wait(timeout=30)
                if self.fault is not None:
                    raise self.fault
                yield [Response(key=request.key, text="")]
        finally:
            self.n_open -= 1


@pytest.fixture
def gated(checkpoints: Any, spec: Any) -> list[Gated]:
    folder = checkpoints("bert", "classifier", style="bert")
    return [Gated("m", spec(folder), base=Path(), device="cpu") for _ in range(2)]


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (RuntimeError("CUDA error: unspecified"), ModelError, r"the copy on cpu failed: .*CUDA error: unspecified"),
        (ModelError("the device is lost"), ModelError, r"the copy on cpu failed: the device is lost"),
        (UsageError("wrong"), UsageError, r"^wrong$"),
    ],
)
def test_one_that_fails_ends_the_stream(
    gated: list[Gated], request_of: Any, fault: Exception, kind: type[Exception], message: str
) -> None:
    gated[1].fault = fault

    async def main() -> None:
        model = Replicas(gated)
        try:
            with pytest.raises(kind, match=message):
                async for _ in model.classify([request_of("classify", text) for text in prompts(300)]):
                    pass
        finally:
            await model.close()

    asyncio.run(main())
    assert [copy.n_open for copy in gated] == [0, 0]


@pytest.mark.parametrize("how", ["cancel", "leave"])
def test_all_end_when_the_consumer_goes(gated: list[Gated], request_of: Any, how: str) -> None:
    gate = gated[0].gate = threading.Event()
    requests = [request_of("classify", text) for text in prompts(300)]

    async def main() -> int:
        model = Replicas(gated)
        n = 0

        async def consume() -> None:
            nonlocal n
            stream: Any = model.classify(requests)
            async for _ in stream:
                n += 1
                if how == "leave" and n == 3:
                    await stream.aclose()
                    return

        try:
            task = asyncio.create_task(consume())
            while n < 3:
                await asyncio.sleep(0.005)
            if how == "cancel":
                # The fast copy has done all it can; the other one still holds its first request.
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await task
        finally:
            gate.set()
            await model.close()
        return n

    n = asyncio.run(main())
    assert [copy.n_open for copy in gated] == [0, 0]
    assert 3 <= n < 300


def test_a_fast_copy_takes_more(gated: list[Gated], request_of: Any) -> None:
    gate = gated[0].gate = threading.Event()
    requests = [request_of("classify", text) for text in prompts(1000)]

    async def main() -> list[str]:
        model = Replicas(gated)
        found = []
        try:
            async for response in model.classify(requests):
                found.append(response.key)
                # The slow one has a run of 250, the first; all others are the fast one's.
                if len(found) == 750:
                    gate.set()
        finally:
            await model.close()
        return found

    found = asyncio.run(main())
    assert {*found} == {request.key for request in requests}
    assert {*found[750:]} == {request.key for request in requests[:250]}


def test_a_verb_that_it_cannot_do(gated: list[Gated], request_of: Any) -> None:
    with pytest.raises(CapabilityError, match="model 'm' cannot do 'generate'; it can do: classify"):
        Replicas(gated).generate([request_of("generate", "x")])


# ── which devices ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_without_a_gpu(checkpoints: Any, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UsageError, match=r"devices 'all': no CUDA device can be used here.*device: cpu"):
        build("hf-causal", checkpoints("llama", "causal"), devices="all")


@pytest.mark.parametrize("n", [1, 3])
def test_all(n: int, checkpoints: Any, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(hardware, "_cuda_is_possible", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n)
    model = build("hf-causal", checkpoints("llama", "causal"), devices="all")
    if n == 1:
        # One copy is a model as any other.
        assert isinstance(model, HfCausal)
        assert model.device == "cuda:0"
    else:
        assert model.devices == ("cuda:0", "cuda:1", "cuda:2")
    assert model.identity()["device"] == "cuda"


def test_one_that_is_not_there(checkpoints: Any, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    model = build("hf-causal", checkpoints("llama", "causal"), devices=("cpu", "cuda:1"))
    with pytest.raises(UsageError, match="device 'cuda:1': no CUDA device"):
        model.identity()


def test_code_of_a_checkpoint_is_asked_for_once(checkpoints: Any, build: Any) -> None:
    with pytest.raises(UsageError, match=r"trust_remote_code.*--allow-code"):
        build("hf-causal", checkpoints("llama", "causal"), devices=TWO, trust_remote_code=True)

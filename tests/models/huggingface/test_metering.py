"""What a token needs is measured, and bounds how many go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalharness.models.huggingface.hardware import _available, _left_in_container, free_bytes
from evalharness.models.huggingface.memory import BatchSize

GB = 2**30


@pytest.mark.model
def test_a_pass_holds_what_it_makes_and_lets_go(random_model: Any) -> None:
    import torch

    from evalharness.models.huggingface.metering import Meter

    class Model(torch.nn.Module):
        """Holds, when the second layer has computed: the embeddings, what the first layer made, and its own."""

        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(10, 8)
            self.layers = torch.nn.Sequential(torch.nn.Linear(8, 24, bias=False), torch.nn.Linear(24, 8, bias=False))
            self.head = torch.nn.Linear(8, 1000, bias=False)

        def get_output_embeddings(self) -> Any:
            return self.head

        def forward(self, ids: Any) -> Any:
            hidden = self.embed(ids)
            wide = self.layers[0](hidden)
            hidden = hidden + self.layers[1](wide)
            del wide
            return self.head(hidden)

    model, ids = Model(), torch.zeros((3, 5), dtype=torch.long)
    with torch.inference_mode(), Meter(model, device="cpu") as meter:
        model(ids)
    # Embeddings, the wide state, the narrow one and the sum; neither the weights nor the logits.
    assert meter.bytes_per_token == 4 * (8 + 24 + 8 + 8)
    assert meter._live is not None
    assert meter._live._held == 0


@pytest.mark.model
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2", "phi"])
def test_the_figure_does_not_hang_on_the_number_of_tokens(architecture: str, random_model: Any) -> None:
    import torch

    from evalharness.models.huggingface.metering import Meter

    model, found = random_model(architecture, "causal"), []
    for shape in ((1, 24), (4, 24)):
        with torch.inference_mode(), Meter(model, device="cpu") as meter:
            model(input_ids=torch.ones(shape, dtype=torch.long), use_cache=False)
        found.append(meter.bytes_per_token)
    assert found[0] > 4 * model.config.hidden_size
    # Position ids and the like are there once for each batch.
    assert found[1] == pytest.approx(found[0], rel=0.2)


@pytest.mark.model
def test_other_devices_are_not_measured(random_model: Any) -> None:
    import torch

    from evalharness.models.huggingface.metering import Meter

    model = random_model("llama", "causal")
    with torch.inference_mode(), Meter(model, device="meta") as meter:
        model(input_ids=torch.ones((1, 3), dtype=torch.long))
    assert meter.bytes_per_token == 0


def test_budgets_fit_into_half_of_what_is_free() -> None:
    size = BatchSize(tokens=1536)
    size.bound(1000, free=4_000_000)
    assert (size.tokens, size.bytes_per_token) == (1536, 1000), "what fits stays as it is"
    size.bound(1000, free=3_000_000)
    assert size.tokens == 1024, "a power of two"
    size.bound(1000, free=2_048_000)
    assert size.tokens == 1024
    size.bound(1000, free=2_047_000)
    assert size.tokens == 512
    size.bound(10, free=3_000_000)
    assert (size.tokens, size.bytes_per_token) == (512, 1000), "the larger need, and never more than before"
    size.bound(1000, free=0)
    assert size.tokens == 32
    size.bound(0, free=0)
    assert size.report() == {"token_budget": 32, "bytes_per_token": 1000}
    rows = BatchSize(rows=8)
    rows.bound(1000, free=0)
    assert (rows.rows, rows.tokens, rows.report()) == (8, None, {})
    unknown = BatchSize(tokens=512)
    unknown.bound(10**12, free=None)
    assert unknown.report() == {"token_budget": 512, "bytes_per_token": 10**12}


def test_what_is_free(tmp_path: Path) -> None:
    found = free_bytes("cpu")
    assert found is None or 0 < found < 2**50
    assert free_bytes("mps") is None
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  16 kB\nMemFree:   2 kB\nMemAvailable:   8 kB\n")
    assert _available(meminfo) == 8192
    meminfo.write_text("MemTotal:  16 kB\n")
    assert _available(meminfo) is None
    assert _available(tmp_path / "none") is None


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_container_leaves(version: int, tmp_path: Path) -> None:
    assert _left_in_container(tmp_path) is None
    folder = tmp_path if version == 2 else tmp_path / "memory"
    folder.mkdir(exist_ok=True)
    limit = "memory.max" if version == 2 else "memory.limit_in_bytes"
    (folder / ("memory.current" if version == 2 else "memory.usage_in_bytes")).write_text(f"{3 * GB}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {GB}\nactive_file 7\n")
    (folder / limit).write_text(f"{4 * GB}\n")
    assert _left_in_container(tmp_path) == 2 * GB
    if version == 2:
        (folder / limit).write_text("max\n")
        assert _left_in_container(tmp_path) is None


@pytest.mark.model
@pytest.mark.parametrize("kind", ["loglikelihood", "generate"])
def test_the_record_says_the_budget(
    kind: str, checkpoints: Any, build: Any, ask: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the same answers come out of little memory."""
    from evalharness.models.huggingface import generation, likelihood

    continuations = (" yes", " a film") if kind == "loglikelihood" else ()
    texts = ["The capital of France is", "A film that is as good as it is long", "x", "The capital of Germany"]
    requests = [request_of(kind, text, continuations=continuations, max_tokens=6) for text in texts]
    reports, answers = [], []
    for free in (None, 70_000):
        if free is not None:
            for module in (generation, likelihood):
                monkeypatch.setattr(module, "free_bytes", lambda device: 70_000)
        model = build("hf-causal", checkpoints("llama", "causal"))
        unload = model.unload
        model.unload = lambda model=model, unload=unload: (reports.append(dict(model.report()[kind])), unload())
        answers.append(ask(model, requests))
    roomy, tight = reports
    share = 1 if kind == "loglikelihood" else 2
    assert roomy["token_budget"] == 512 // share
    assert roomy["bytes_per_token"] == tight["bytes_per_token"] > 32 * 4
    expected = 70_000 // 2 // tight["bytes_per_token"]
    assert tight["token_budget"] == max(32, 2 ** (expected.bit_length() - 1)) // share < 512 // share
    for one, other in zip(*answers, strict=True):
        assert one.text == other.text
        assert [p.total for p in one.loglikelihoods or ()] == pytest.approx(
            [p.total for p in other.loglikelihoods or ()], abs=1e-4
        )

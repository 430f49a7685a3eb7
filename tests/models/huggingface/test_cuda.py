"""On a GPU: the same figures as on the CPU, from the same checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.model, pytest.mark.cuda]

PROMPTS = ["The capital of France is", "x", "A film that is as good as it is long; the actors", ""]


@pytest.fixture(autouse=True)
def _needs_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral", "gemma2", "bloom"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_same_likelihoods_and_text(
    architecture: str, side: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    folder = checkpoints(architecture, "causal", seed=3)
    scored = [request_of("loglikelihood", p, continuations=(" yes", " a film that is")) for p in PROMPTS]
    written = [request_of("generate", p, max_tokens=8) for p in PROMPTS]
    gpu = build("hf-causal", folder, device="auto", dtype="float32", padding_side=side)
    assert gpu.identity()["device"] == "cuda"
    cpu = build("hf-causal", folder)
    for found, wanted in zip(ask(gpu, scored), ask(cpu, scored), strict=True):
        assert [p.total for p in found.loglikelihoods] == pytest.approx(
            [p.total for p in wanted.loglikelihoods], abs=1e-3
        )
    assert [r.text for r in ask(gpu, written)] == [r.text for r in ask(cpu, written)]


def test_memory_that_ends(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    """A share of the card so small that the first batches do not fit."""
    import torch

    folder = checkpoints("llama", "causal", seed=3)
    requests = [request_of("loglikelihood_rolling", "naïve café 北京 " * 8) for _ in range(64)]
    expected = [r.loglikelihoods[0].total for r in ask(build("hf-causal", folder), requests)]
    # The libraries' workspaces, 32 MiB on an H100, are set up by the first pass and stay: they are not what is short.
    ask(build("hf-causal", folder, device="cuda", dtype="float32"), requests[:1])
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 24 * 2**20) / total)
    try:
        found = ask(build("hf-causal", folder, device="cuda", dtype="float32", batch_size=64), requests)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert not [r.error for r in found if r.error]
    assert [r.loglikelihoods[0].total for r in found] == pytest.approx(expected, abs=1e-3)


def test_auto_takes_the_format_of_the_checkpoint(checkpoints: Any, build: Any, tmp_path: Any) -> None:
    import json
    import shutil

    copy = tmp_path / "half"
    shutil.copytree(checkpoints("llama", "causal", seed=3), copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    assert build("hf-causal", copy, device="auto").identity()["dtype"] == "bfloat16"


def test_the_fused_kernels_take_our_masks() -> None:
    """Grouped heads under a mask: without a fused kernel, torch raises here."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from evalharness.models.huggingface.attention import additive_mask, attend

    torch.manual_seed(0)
    seen = torch.ones(5, 11, dtype=torch.bool).tril(6)
    query, key, value = torch.randn(1, 8, 5, 64), torch.randn(1, 2, 11, 64), torch.randn(1, 2, 11, 64)
    wanted = attend(query, key, value, mask=additive_mask(seen, query), scaling=None, softcap=None)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.05)):
        q, k, v = (part.to("cuda", dtype) for part in (query, key, value))
        with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
            found = attend(q, k, v, mask=additive_mask(seen.cuda(), q), scaling=None, softcap=None)
        assert torch.allclose(found.cpu().float(), wanted, atol=tolerance)


def test_copies_on_every_gpu(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    import torch

    if torch.cuda.device_count() < 2:
        pytest.skip("one CUDA device")
    folder = checkpoints("llama", "causal", seed=3)
    for verb in ("loglikelihood", "generate"):
        continuations = (" yes", " a film") if verb == "loglikelihood" else ()
        asked = [request_of(verb, p, continuations=continuations, max_tokens=8) for p in PROMPTS * 8]
        copies = build("hf-causal", folder, devices="all", dtype="float32")
        assert copies.devices == tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
        for found, wanted in zip(ask(copies, asked), ask(build("hf-causal", folder), asked), strict=True):
            assert found.text == wanted.text
            assert [p.total for p in found.loglikelihoods or ()] == pytest.approx(
                [p.total for p in wanted.loglikelihoods or ()], abs=1e-3
            )


@pytest.mark.parametrize(
    ("backend", "architecture", "kind", "verbs"),
    [
        ("hf-causal", "llama", "causal", ("loglikelihood", "generate")),
        ("hf-causal", "gemma2", "causal", ("loglikelihood", "generate")),
        ("hf-seq2seq", "t5", "seq2seq", ("loglikelihood", "generate")),
    ],
)
def test_weights_spread_over_the_gpus(
    backend: str, architecture: str, kind: str, verbs: Any, checkpoints: Any, build: Any, ask: Any, request_of: Any
) -> None:
    folder = checkpoints(architecture, kind, seed=3)
    for verb in verbs:
        continuations = (" yes", " a film") if verb == "loglikelihood" else ()
        asked = [request_of(verb, p, continuations=continuations, max_tokens=8) for p in PROMPTS[:3]]
        spread = build(backend, folder, device="auto", device_map="balanced", dtype="float32")
        for found, wanted in zip(ask(spread, asked), ask(build(backend, folder), asked), strict=True):
            assert (found.status, found.text) == (wanted.status, wanted.text), found.error
            assert [p.total for p in found.loglikelihoods or ()] == pytest.approx(
                [p.total for p in wanted.loglikelihoods or ()], abs=1e-3
            )


def test_a_token_is_measured_by_the_allocator(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    from evalharness.models.huggingface.hardware import free_bytes

    for kind in ("loglikelihood", "generate"):
        continuations = (" yes",) if kind == "loglikelihood" else ()
        model = build("hf-causal", checkpoints("llama", "causal", seed=3), device="cuda", dtype="float32")
        reports: list[Any] = []
        unload = model.unload
        model.unload = lambda model=model, unload=unload: (reports.append(model.report()), unload())  # noqa: B023
        ask(model, [request_of(kind, p, continuations=continuations, max_tokens=4) for p in PROMPTS[:3]])
        (report,) = (report[kind] for report in reports)
        # The tiny model needs some kilobytes; libraries' workspaces, of megabytes, are not counted.
        assert 32 * 4 < report["bytes_per_token"] < 100_000
        assert report["token_budget"] in (16384, 32768)
    assert (free_bytes("cuda") or 0) > 2**20


def test_shapes_need_no_plans(checkpoints: Any, build: Any, ask: Any, request_of: Any) -> None:
    """cuDNN's attention, which plans anew for every shape, is off while we compute, and on again afterwards."""
    import torch

    from evalharness.models.huggingface.hardware import steady_attention

    before = torch.backends.cuda.cudnn_sdp_enabled()
    with steady_attention("cuda"), steady_attention("cuda:0"):
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled() == before
    model = build("hf-causal", checkpoints("llama", "causal", seed=3), device="cuda", dtype="bfloat16")
    seen: list[bool] = []
    respond = model.respond

    def watched(kind: Any, requests: Any) -> Any:
        for batch in respond(kind, requests):
            seen.append(torch.backends.cuda.cudnn_sdp_enabled())
            yield batch

    model.respond = watched
    ask(model, [request_of("loglikelihood", p, continuations=(" yes",)) for p in PROMPTS])
    assert seen
    assert not any(seen)
    assert torch.backends.cuda.cudnn_sdp_enabled() == before

"""What loading is spared: the model that comes out is the same to the last bit, and sympy stays where it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the hf extra")

import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from evalharness.models.huggingface.shortcuts import _Pattern, without_arithmetic

CAUSAL = (
    "llama", "gpt2", "gpt_neox", "opt", "mistral", "qwen2", "qwen3", "phi", "falcon", "gemma", "gemma2", "gemma3",
    "cohere", "bloom", "mamba",
)  # fmt: skip
CLASSES = {
    **dict.fromkeys(CAUSAL, ("causal", AutoModelForCausalLM)),
    **dict.fromkeys(("t5", "bart"), ("seq2seq", AutoModelForSeq2SeqLM)),
    **dict.fromkeys(("bert", "roberta", "distilbert"), ("masked", AutoModelForMaskedLM)),
}


def state(model: Any) -> dict[str, Any]:
    """All that it computes with, buffers that are not saved included."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@pytest.mark.model
@pytest.mark.parametrize("name", CLASSES)
def test_the_model_is_the_same(name: str, checkpoints: Any) -> None:
    kind, auto_class = CLASSES[name]
    folder = checkpoints(name, kind)
    plain = state(auto_class.from_pretrained(folder, dtype=torch.float32))
    with without_arithmetic():
        found = state(auto_class.from_pretrained(folder, dtype=torch.float32))
    assert found.keys() == plain.keys()
    for key, value in plain.items():
        assert found[key].dtype == value.dtype, key
        assert torch.equal(found[key], value), key


RANGES: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((7,), {}),
    ((2, 7), {}),
    ((0, 7, 2), {}),
    ((0, 7, 2), {"dtype": torch.float32}),
    ((0, 7, 2), {"dtype": torch.int32}),
    ((7, 0, -2), {}),
    ((0.5, 3), {}),
    ((0, 1.0, 0.3), {}),
    ((0,), {}),
]


@pytest.mark.parametrize(("args", "kwargs"), RANGES)
def test_ranges_have_the_shape_that_torch_gives_them(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    wanted = torch.arange(*args, **kwargs)
    with without_arithmetic():
        found = torch.arange(*args, device="meta", **kwargs)
        full = torch.arange(*args, **kwargs)
    assert (found.shape, found.dtype, found.is_meta) == (wanted.shape, wanted.dtype, True)
    assert torch.equal(full, wanted), "tensors with content are computed"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_arithmetic_has_the_shape_that_torch_gives_it(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    def computed(x: torch.Tensor) -> list[torch.Tensor]:
        found = [x / 2, 1.0 / (x + 1), 10000.0**x, x * 3, 3 * x, x * 0.5, x * True, x.mul(x), torch.empty_like(x)]
        return [*found, torch.empty_like(x, dtype=torch.float64), torch.empty_like(x.T) if x.ndim == 2 else x]

    wanted = computed(torch.ones(shape, dtype=dtype))
    with without_arithmetic():
        found = computed(torch.empty(shape, dtype=dtype, device="meta"))
        full = computed(torch.ones(shape, dtype=dtype))
    for ours, theirs, same in zip(found, wanted, full, strict=True):
        assert (ours.shape, ours.dtype, ours.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
        assert ours.is_meta
        assert same.device.type == "cpu"
    assert torch.equal(full[0], wanted[0])


def test_errors_are_torchs_own() -> None:
    for wrong in ((7, 0), (0, 7, -1), (0, 7, 0)):
        with without_arithmetic(), pytest.raises(RuntimeError):
            torch.arange(*wrong, device="meta")


def test_weights_with_content_are_filled() -> None:
    with without_arithmetic():
        weight = torch.nn.init.normal_(torch.zeros(100))
        layer = torch.nn.Linear(4, 4)
    assert weight.std() > 0.5
    assert layer.weight.abs().sum() > 0


def test_a_pattern_is_compiled_when_it_is_used() -> None:
    import copy

    pattern = _Pattern("(?P<a>x+)|y", re.IGNORECASE)
    assert vars(pattern).keys() == {"_asked"}
    assert copy.deepcopy([pattern])[0] is pattern
    match = pattern.search("..XX")
    assert match is not None
    assert match.group("a") == "XX"
    assert pattern.groupindex == {"a": 1}
    assert "search" in vars(pattern)
    with pytest.raises(re.error):
        _Pattern("(").search("x")


LOADS = """
import hashlib, json, sys
from evalharness.models.huggingface.startup import import_leanly
import_leanly()
from evalharness.models.huggingface.shortcuts import without_arithmetic
import torch, transformers
torch.set_num_threads(1)
found = {}
for argument in sys.argv[1:]:
    name, auto_class, folder = argument.split("|")
    with without_arithmetic():
        model = getattr(transformers, auto_class).from_pretrained(folder, dtype=torch.float32)
    digest = hashlib.sha256()
    for key, value in sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items()):
        digest.update(key.encode() + str(value.dtype).encode() + value.detach().contiguous().numpy().tobytes())
    found[name] = [digest.hexdigest(), "sympy" in sys.modules, "torch._prims" in sys.modules]
print(json.dumps(found))
"""


@pytest.mark.model
@pytest.mark.slow
def test_a_process_of_our_own_loads_the_same_models_without_sympy(checkpoints: Any) -> None:
    import hashlib

    arguments, wanted = [], {}
    for name, (kind, auto_class) in CLASSES.items():
        folder = checkpoints(name, kind)
        arguments.append(f"{name}|{auto_class.__name__}|{folder}")
        digest = hashlib.sha256()
        for key, value in sorted(state(auto_class.from_pretrained(folder, dtype=torch.float32)).items()):
            digest.update(key.encode() + str(value.dtype).encode() + value.detach().contiguous().numpy().tobytes())
        wanted[name] = digest.hexdigest()
    done = subprocess.run(
        [sys.executable, "-c", LOADS, *arguments], capture_output=True, text=True, timeout=300, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: digest for name, (digest, _, _) in found.items()} == wanted
    print({n: v[1:] for n, v in found.items()})
    assert not [name for name, (_, sympy, _) in found.items() if sympy]

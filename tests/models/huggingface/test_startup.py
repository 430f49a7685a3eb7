"""Lean imports: sooner, and the models, and the compiler for who wants it, are what they were."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.model, pytest.mark.slow]

LEAN = """
import json, sys
from evalharness.models.huggingface.startup import import_leanly
import_leanly()
"""


def python(code: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", LEAN + code, *arguments], capture_output=True, text=True, timeout=300, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_no_compiler_is_loaded_for_importing() -> None:
    loaded = python("print(json.dumps(sorted(sys.modules)))")
    assert "transformers.modeling_utils" in loaded
    assert not {"torch._dynamo.utils", "torch.distributed.tensor", "scipy.optimize", "sklearn", "sympy"} & set(loaded)


SAME = """
import torch
from transformers import AutoModelForCausalLM
torch.set_num_threads(1)
for folder in sys.argv[1:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.arange(8)[None] + 9
    with torch.inference_mode():
        logits = model(ids).logits.double().sum().item()
        text = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False).tolist()
    print(json.dumps([logits, text]))
    found = globals().setdefault("found", [])
    found.append([logits, text])
print(json.dumps(found))
"""


def test_models_compute_what_they_did(checkpoints: Any, plain_model: Any) -> None:
    import torch

    folders = [checkpoints(name, "causal") for name in ("llama", "gpt2", "mistral", "gemma2", "mamba", "bloom")]
    found = python(SAME, *map(str, folders))
    ids = torch.arange(8)[None] + 9
    for folder, (logits, text) in zip(folders, found, strict=True):
        model = plain_model(folder, "causal")
        with torch.inference_mode():
            assert logits == pytest.approx(model(ids).logits.double().sum().item(), abs=1e-3)
            again = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
            assert text == again.tolist()


@pytest.mark.parametrize(
    "code",
    [
        "found = torch.compile(lambda x: x.sin() + 1, backend='eager')(torch.ones(2)).tolist()",
        "import torch._dynamo.config as config; found = config.cache_size_limit",
        "from torch._dynamo import utils; found = utils.counters is not None",
        "torch._dynamo.reset(); found = True",
    ],
)
def test_the_compiler_is_there_for_who_asks(code: str) -> None:
    after = (
        "import transformers.masking_utils as masks\n"
        "module = torch._dynamo._trace_wrapped_higher_order_op\n"
        "assert module.TransformGetItemToIndex is masks.TransformGetItemToIndex\n"
        "assert type(torch._dynamo) is type(json)\n"
        "print(json.dumps(found))"
    )
    assert python(f"import torch\n{code}\n{after}")


def test_what_is_remembered_is_what_transformers_would_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path))
    code = (
        "import transformers\n"
        "structure = transformers._import_structure if hasattr(transformers, '_import_structure') else {}\n"
        "print(json.dumps([sorted(dir(transformers)), sorted(dir(transformers.models))]))"
    )
    first = python(code)
    files = sorted((tmp_path / "transformers").iterdir())
    assert len(files) == 2
    assert python(code) == first, "read from the cache"
    for file in files:
        file.write_text("{")
    assert python(code) == first, "a damaged file is written anew"
    assert json.loads(files[0].read_text())["structure"]


def test_a_run_of_our_own_process_loads_no_compiler(checkpoints: Any, tmp_path: Path) -> None:
    """`evalharness run` as a user starts it; the same code in a shared process leaves transformers alone."""
    suite = {
        "version": 1,
        "name": "s",
        "models": {"m": {"backend": "hf-causal", "path": str(checkpoints("llama", "causal"))}},
        "datasets": {"d": {"rows": [{"q": "The capital of France is", "a": "Paris"}]}},
        "tasks": [{"id": "t", "dataset": "d", "prompt": "{{ q }}", "choices": ["Paris", "x"], "target": "{{ a }}",
                   "metrics": ["accuracy"]}],
    }  # fmt: skip
    (tmp_path / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
    code = (
        "import json, sys\nfrom evalharness.cli.main import main\n"
        "arguments = ['run', 'suite.yaml', '--reports', sys.argv[1], '--quiet']\n"
        "sys.argv[1:] = arguments if sys.argv[1] == 'own' else sys.argv[1:]\n"
        "assert main(None if arguments[3] == 'own' else arguments) == 0\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = {}
    for whose in ("own", "shared"):
        done = subprocess.run(
            [sys.executable, "-c", code, whose], capture_output=True, text=True, timeout=300, check=True, cwd=tmp_path
        )
        loaded[whose] = set(json.loads(done.stdout.splitlines()[-1]))
    assert "torch._dynamo.utils" not in loaded["own"]
    assert "torch._dynamo.utils" in loaded["shared"]

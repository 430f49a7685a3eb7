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


def test_shapes_that_torch_computes_in_python_are_there_for_who_asks() -> None:
    code = (
        "import torch\n"
        "from evalharness.models.huggingface.shortcuts import META, without_arithmetic\n"
        "import torch._meta_registrations as module\n"
        "before = type(module).__name__\n"
        "x = torch.empty(2, 3, 8, 8, device='meta')\n"
        "with without_arithmetic():\n"
        "    shape = list(torch.nn.functional.grid_sample(x, torch.empty(2, 4, 4, 2, device='meta')).shape)\n"
        "print(json.dumps([before, type(module).__name__, shape]))"
    )
    assert python(code) == ["PutOff", "module", [2, 3, 4, 4]]


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


# Writes down what is loaded when a model computes for the first time, and ends the process.
FIRST_PASS = """
import json, os, sys
from importlib.machinery import PathFinder
class Wait:
    def find_spec(self, name, path, target=None):
        if name == "transformers.modeling_utils":
            spec = PathFinder.find_spec(name, path, target)
            load = spec.loader.exec_module
            def exec_module(module):
                load(module)
                module.PreTrainedModel.__call__ = stop
            spec.loader.exec_module = exec_module
            return spec
def stop(*args, **kwargs):
    # A module that is put off is there and has not run.
    ran = [name for name, module in sys.modules.items() if type(module).__name__ != "PutOff"]
    with open("loaded.json", "w") as out:
        json.dump(ran, out)
    os._exit(0)
sys.meta_path.insert(0, Wait())
from evalharness.cli.main import main
sys.exit(main())
"""
# Each costs 50 ms and more, and none is needed to compute.
UNNEEDED = {
    "sympy", "torch._dynamo.utils", "torch._inductor", "torch._meta_registrations", "torch._prims", "scipy.optimize",
    "torch.distributed.tensor", "sklearn", "sqlalchemy", "requests", "sacrebleu", "scipy.io", "matplotlib", "evaluate",
    "torchvision", "aiohttp",
}  # fmt: skip


def test_the_first_forward_pass_waits_for_nothing_that_it_does_not_need(checkpoints: Any, tmp_path: Path) -> None:
    folder = checkpoints("llama", "causal")
    data = tmp_path / "rows.jsonl"
    data.write_text('{"q": "The capital of France is", "choices": ["Paris", "Rome"], "label": 0}\n', encoding="utf-8")
    suite = {
        "version": 1,
        "name": "s",
        "models": {"m": {"backend": "hf-causal", "path": str(folder)}},
        "datasets": {"d": {"path": str(data)}},
        "tasks": [{"id": "t", "dataset": "d", "prompt": "{{ q }}", "choices": "{{ choices }}",
                   "target": "{{ choices[label] }}", "metrics": ["accuracy"]}],
    }  # fmt: skip
    task = {
        "task": "mine", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{q}}", "doc_to_choice": "choices",
        "doc_to_target": "label", "metric_list": [{"metric": "acc"}],
    }  # fmt: skip
    (tmp_path / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(json.dumps(task), encoding="utf-8")
    commands = {
        "run": (["run", "suite.yaml", "--quiet"], set(), 1950),
        # `datasets` cannot be imported without pandas.
        "lm-eval": (
            ["lm-eval", "run", "--model", "hf", "--tasks", "mine", "--include_path", ".", "--model_args",
             f"pretrained={folder},dtype=float32", "--device", "cpu"],
            {"pandas", "datasets", "lm_eval"}, 2500,
        ),
    }  # fmt: skip
    for name, (arguments, needed, most) in commands.items():
        (tmp_path / "loaded.json").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", FIRST_PASS, *arguments],
            capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert (tmp_path / "loaded.json").is_file(), done.stderr[-2000:]
        loaded = set(json.loads((tmp_path / "loaded.json").read_text(encoding="utf-8")))
        found = loaded & (UNNEEDED | ({"pandas", "datasets", "lm_eval"} - needed))
        assert not found, name
        assert needed <= loaded
        assert len(loaded) < most, f"{name}: {len(loaded)} modules"

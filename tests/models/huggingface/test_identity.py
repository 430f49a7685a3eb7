"""Identity: every change that can change a response changes it; where and how it is run does not; torch stays out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.core import digests
from evalharness.core.canonical import digest
from evalharness.core.errors import MissingExtraError
from evalharness.models.huggingface import identity

pytestmark = pytest.mark.model


@pytest.fixture
def folder(checkpoints: Any, chat_template: str, tmp_path: Path) -> Path:
    copy = tmp_path / "checkpoint"
    shutil.copytree(checkpoints("llama", "causal", template=chat_template), copy)
    return copy


def of(build: Any, path: Path | str, backend: str = "hf-causal", **settings: Any) -> Any:
    return build(backend, path, **settings).identity()


def test_every_file_counts(build: Any, folder: Path) -> None:
    before = digest(of(build, folder))
    assert digest(of(build, folder)) == before
    seen = {before}
    for name in ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        content = path.read_bytes()
        # The last byte of the weights, a blank at the end of the JSON: as small as a change can be.
        changed = content[:-1] + bytes([content[-1] ^ 1]) if name.endswith("safetensors") else content + b" "
        path.write_bytes(changed)
        seen.add(digest(of(build, folder)))
        path.write_bytes(content)
        assert digest(of(build, folder)) == before
    assert len(seen) == 5


def test_chat_template_counts(build: Any, folder: Path) -> None:
    before = of(build, folder)
    assert before["chat_template"] is not None
    (template,) = folder.glob("chat_template.jinja")
    template.write_text(template.read_text() + "\n", encoding="utf-8")
    after = of(build, folder)
    assert after["chat_template"] != before["chat_template"]
    template.unlink()
    assert of(build, folder)["chat_template"] is None


@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "bfloat16"},
        {"dtype": "float16"},
        {"max_length": 64},
        {"quantization": {"quant_method": "torchao"}},
    ],
)
def test_settings_that_count(changed: dict[str, Any], build: Any, folder: Path) -> None:
    assert digest(of(build, folder, **changed)) != digest(of(build, folder))


def test_settings_that_do_not_count(build: Any, folder: Path, tmp_path: Path) -> None:
    before = of(build, folder)
    assert of(build, folder, batch_size=3, padding_side="left", dtype="float32") == before
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    (elsewhere / "README.md").write_text("A model card.")
    (elsewhere / "optimizer.pt").write_bytes(b"0")
    assert of(build, elsewhere) == before
    assert of(build, "elsewhere", base=tmp_path) == before
    assert before["dtype"] == "float32"
    assert before["device"] == "cpu"
    assert set(before["versions"]) == {"torch", "transformers", "tokenizers"}


def test_other_tokenizer_counts(build: Any, folder: Path, checkpoints: Any) -> None:
    other = checkpoints("llama", "causal", style="bos")
    assert digest(of(build, folder, tokenizer=str(other))) != digest(of(build, folder))


def test_threshold_and_labels_of_a_classifier_count(build: Any, checkpoints: Any) -> None:
    path = checkpoints("bert", "classifier", style="bert", num_labels=2)
    seen = [{}, {"threshold": 0.4}, {"labels": ("a", "b")}]
    assert len({digest(of(build, path, "hf-classifier", **changed)) for changed in seen}) == 3


def test_adapter_counts(build: Any, folder: Path, lora: Any) -> None:
    one, other = lora(folder, seed=1), lora(folder, seed=2)
    plain, with_one, with_other = (of(build, folder, adapter=str(a) if a else None) for a in (None, one, other))
    assert len({digest(plain), digest(with_one), digest(with_other)}) == 3
    assert with_one["weights"] == plain["weights"]
    assert "peft" in with_one["versions"]


def test_unchanged_files_are_read_once(build: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)
    read: list[str] = []
    real = digests.file_digest
    monkeypatch.setattr(digests, "file_digest", lambda path: read.append(path.name) or real(path))
    before = of(build, folder)
    assert "model.safetensors" in read
    read.clear()
    assert of(build, folder) == before
    assert read == []
    weights = folder / "model.safetensors"
    status = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    # Put the modification time back: the change time, which nobody can set, still gives it away.
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert of(build, folder) != before
    assert read == ["model.safetensors"]


def test_a_file_just_written_is_not_remembered(build: Any, folder: Path) -> None:
    of(build, folder)
    assert not list((digests.cache_dir() / "digests").glob("*"))


def test_damaged_memory_is_ignored(build: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)
    before = of(build, folder)
    for entry in (digests.cache_dir() / "digests").iterdir():
        entry.write_text("[1, 2")
    assert of(build, folder) == before
    monkeypatch.setattr(digests, "write_atomic", lambda *_: (_ for _ in ()).throw(PermissionError("read-only")))
    for entry in (digests.cache_dir() / "digests").iterdir():
        entry.unlink()
    assert of(build, folder) == before


def test_safetensors_stand_for_other_formats(build: Any, folder: Path) -> None:
    before = of(build, folder)
    (folder / "pytorch_model.bin").write_bytes(b"the same weights, not loaded")
    assert of(build, folder) == before


def hub(root: Path, name: str, commit: str, source: Path, *, ref: str = "main") -> None:
    repository = root / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / ref).write_text(commit)
    shutil.copytree(source, repository / "snapshots" / commit)


def test_names_on_the_hub(build: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setenv("HF_HUB_CACHE", str(root))
    missing = of(build, "acme/tiny")
    assert missing["weights"] == {"hub": "acme/tiny", "revision": "main", "pinned": False}
    pinned = of(build, "acme/tiny", revision=commit)
    assert pinned["weights"] == {"hub": "acme/tiny", "revision": commit, "pinned": True}
    hub(root, "acme/tiny", commit, folder)
    assert of(build, "acme/tiny", revision=commit) == pinned, "the same before and after the download"
    assert of(build, "acme/tiny") == pinned, "a branch is told by the commit that is here"
    hub(root, "acme/tiny", commit[::-1], folder, ref="v2")
    assert of(build, "acme/tiny", revision="v2")["weights"]["revision"] == commit[::-1]


def test_loads_from_the_hub_cache(
    build: Any, ask: Any, request_of: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    root, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    hub(root, "acme/tiny", commit, folder)
    monkeypatch.setenv("HF_HUB_CACHE", str(root))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    requests = [request_of("loglikelihood", "x", continuations=(" yes",))]
    (found,) = ask(build("hf-causal", "acme/tiny"), requests)
    (local,) = ask(build("hf-causal", folder), requests)
    assert found.loglikelihoods == local.loglikelihoods


def test_missing_package(build: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        raise identity.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(identity.importlib.metadata, "version", version)
    with pytest.raises(MissingExtraError, match=r"pip install 'evalharness\[hf\]'"):
        of(build, folder)


def test_torch_is_not_loaded(folder: Path) -> None:
    script = f"""
import sys, json
from pathlib import Path
from types import SimpleNamespace
from evalharness.core.registry import registry
from evalharness.suite.schema import HfModel
for backend in ("hf-causal", "hf-seq2seq", "hf-classifier", "hf-masked"):
    assert registry("models").describe(backend)
    factory = registry("models").load(backend)
spec = HfModel(backend="hf-causal", path={str(folder)!r})
model = registry("models").load("hf-causal")("m", spec, base=Path(), environ={{}}, concurrency=1, allow_code=False)
assert model.identity()["dtype"] == "float32"
print(json.dumps(sorted({{"torch", "transformers", "pandas", "peft", "huggingface_hub"}} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []

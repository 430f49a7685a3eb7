"""The model arguments of `lm_eval --model hf`, read for our engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from evalharness.core.errors import UsageError
from evalharness.core.files import cache_dir
from evalharness.core.registry import suggestion
from evalharness.core.types import Json

__all__ = ["Checkpoint", "Options", "read_options"]

Dtype = Literal["checkpoint", "float32", "float16", "bfloat16"]
Backend = Literal["hf-causal", "hf-seq2seq"]
DeviceMap = Literal["auto", "balanced", "sequential"]

_DTYPES: dict[str, Dtype] = {
    "auto": "checkpoint",
    "float32": "float32",
    "float": "float32",
    "float16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
}
_BACKENDS: dict[str, Backend | None] = {"default": None, "causal": "hf-causal", "seq2seq": "hf-seq2seq"}

_READ = (
    "pretrained",
    "revision",
    "tokenizer",
    "dtype",
    "device",
    "parallelize",
    "device_map",
    "peft",
    "max_length",
    "add_bos_token",
    "prefix_token_id",
    "trust_remote_code",
    "backend",
    "load_in_8bit",
    "load_in_4bit",
    "bnb_4bit_compute_dtype",
    "bnb_4bit_quant_type",
    "bnb_4bit_use_double_quant",
    "think_end_token",
    "enable_thinking",
    "chat_template_args",
)
# No result depends on these: batches are packed by tokens to what memory holds, logits of equal contexts are shared.
_WITHOUT_EFFECT = (
    "batch_size",
    "max_batch_size",
    "logits_cache",
    "max_memory_per_gpu",
    "max_cpu_memory",
    "offload_folder",
)
# What our engine does not do, and the values that ask for nothing.
_NOT_DONE: dict[str, tuple[Any, ...]] = {
    "tp_plan": (None,),
    "delta": (None,),
    "autogptq": (None, False),
    "gptqmodel": (None, False),
    "gguf_file": (None,),
    "subfolder": (None, ""),
    "truncation": (None, False),
    "softmax_dtype": (None,),
    "mixed_precision_dtype": (None,),
    "use_fast_tokenizer": (None, True),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A Hugging Face model as our backends want it told (their `HfSpec`)."""

    path: str
    revision: str | None = None
    tokenizer: str | None = None
    dtype: Dtype = "checkpoint"
    device: str = "auto"
    devices: Literal["all"] | tuple[str, ...] | None = None
    device_map: DeviceMap | None = None
    adapter: str | None = None
    add_bos: bool | None = None
    quantization: Mapping[str, Json] | None = None
    trust_remote_code: bool = False
    batch_size: int | Literal["auto"] = "auto"
    max_length: int | None = None
    padding_side: Literal["left", "right"] | None = None
    labels: tuple[str, ...] | None = None
    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """What the arguments say: the checkpoint and its backend, and what lm-eval's rules need to know.

    `given` are the arguments as they came, for lm-eval's own model.
    """

    checkpoint: Checkpoint
    backend: Backend
    prefix_token_id: int | None = None
    think_end_token: str | None = None
    enable_thinking: bool | None = None
    chat_template_args: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


def read_options(arguments: Mapping[str, Any]) -> Options:
    """The arguments that lm-eval's `hf` takes, checked.

    Raises:
        UsageError: an argument is unknown, is not possible here, or has a value that is not one of its own.
    """
    for name, value in arguments.items():
        _check(name, value)
    pretrained = arguments.get("pretrained")
    if not isinstance(pretrained, str) or not pretrained:
        raise UsageError(
            f"model_args: pretrained must be the folder or the hub name of a checkpoint, found "
            f"{type(pretrained).__name__}; write pretrained=PATH"
        )
    path, is_folder = _located(pretrained)
    revision = arguments.get("revision")
    device_map = _device_map(arguments)
    checkpoint = Checkpoint(
        path=path,
        # lm-eval passes it over for a folder.
        revision=None if is_folder or revision is None else str(revision),
        tokenizer=_text(arguments, "tokenizer"),
        dtype=_dtype(arguments.get("dtype")),
        # lm-eval, too, passes the device over where the model is spread.
        device=_device(None if device_map else arguments.get("device")),
        device_map=device_map,
        adapter=_text(arguments, "peft"),
        add_bos=_flag(arguments, "add_bos_token"),
        quantization=_quantization(arguments),
        trust_remote_code=bool(_flag(arguments, "trust_remote_code")),
        max_length=_number(arguments, "max_length"),
    )
    thinking, end = _flag(arguments, "enable_thinking"), arguments.get("think_end_token")
    if isinstance(end, int) or (isinstance(end, str) and end.isdigit()):
        raise UsageError(f"model_args: think_end_token={end!r} is a token's number; write the token's text")
    if thinking and not end:
        raise UsageError("model_args: enable_thinking=True needs think_end_token, the text that ends the thinking")
    template = arguments.get("chat_template_args") or {}
    if not isinstance(template, Mapping):
        raise UsageError(f"model_args: chat_template_args must be a mapping, found {template!r}")
    return Options(
        checkpoint=checkpoint,
        backend=_backend(arguments.get("backend"), checkpoint),
        prefix_token_id=_number(arguments, "prefix_token_id", least=0),
        think_end_token=_text(arguments, "think_end_token"),
        enable_thinking=thinking,
        chat_template_args={**template, **({} if thinking is None else {"enable_thinking": thinking})},
        given={**arguments, "pretrained": path},
    )


def _check(name: str, value: Any) -> None:
    if name in _NOT_DONE:
        if value not in _NOT_DONE[name]:
            raise UsageError(
                f"model_args: {name}={value!r} is not possible on evalharness' engine; leave it out, or run this "
                f"model with lm-eval itself: lm_eval run --model hf …"
            )
    elif name not in _READ and name not in _WITHOUT_EFFECT:
        known = sorted({*_READ, *_WITHOUT_EFFECT, *_NOT_DONE})
        raise UsageError(f"model_args: unknown argument {name!r}{suggestion(name, known)}; known: {', '.join(known)}")


def _located(pretrained: str) -> tuple[str, bool]:
    """What lm-eval's own model could load as well, and whether it is a folder."""
    if pretrained.startswith("catalog:"):
        folder = cache_dir() / "models" / pretrained.removeprefix("catalog:")
        return (str(folder), True) if folder.is_dir() else (pretrained, False)
    return pretrained, Path(pretrained).expanduser().is_dir()


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"model_args: {name} must be text, found {type(value).__name__} {value!r}"[:200])
    return value or None


def _flag(arguments: Mapping[str, Any], name: str) -> bool | None:
    value = arguments.get(name)
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"model_args: {name} must be True or False, found {value!r}")
    return value


def _number(arguments: Mapping[str, Any], name: str, *, least: int = 1) -> int | None:
    value = arguments.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"model_args: {name} must be a whole number of at least {least}, found {value!r}")
    return value


def _dtype(value: Any) -> Dtype:
    name = "auto" if value is None else str(value).removeprefix("torch.")
    if name not in _DTYPES:
        raise UsageError(f"model_args: dtype={name!r} is not known here; write one of {', '.join(_DTYPES)}")
    return _DTYPES[name]


def _device(value: Any) -> str:
    """lm-eval's rule: a numbered GPU that is not there means the best device that is."""
    name = "auto" if value is None else str(value)
    number = name.removeprefix("cuda:")
    if name == number:
        return "mps" if name == "mps:0" else name
    if not number.isdecimal():
        raise UsageError(f"model_args: device={name!r} is not known here; write cpu, cuda, cuda:1 or mps")
    import torch

    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return name if int(number) < n_devices else "auto"


def _device_map(arguments: Mapping[str, Any]) -> DeviceMap | None:
    """How the weights are spread over the GPUs; None where they are not: lm-eval's `device_map` needs `parallelize`."""
    name = arguments.get("device_map") or "auto"
    if name not in get_args(DeviceMap):
        raise UsageError(f"model_args: device_map={name!r} is not known here; write {', '.join(get_args(DeviceMap))}")
    return cast(DeviceMap, name) if _flag(arguments, "parallelize") else None


def _quantization(arguments: Mapping[str, Any]) -> Mapping[str, Json] | None:
    names = [name for name in _READ if name.startswith(("load_in_", "bnb_")) and arguments.get(name) is not None]
    if not any(arguments[name] for name in names if name.startswith("load_in_")):
        return None
    return {"quant_method": "bitsandbytes", **{name: cast(Json, arguments[name]) for name in names}}


def _backend(value: Any, checkpoint: Checkpoint) -> Backend:
    name = "default" if value is None else str(value)
    if name not in _BACKENDS:
        raise UsageError(f"model_args: backend={name!r} is not known here; write one of {', '.join(_BACKENDS)}")
    return _BACKENDS[name] or ("hf-seq2seq" if _settings(checkpoint).get("is_encoder_decoder") else "hf-causal")


def _settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """The checkpoint's config.json; {} where it cannot be had: loading says why."""
    path = Path(checkpoint.path).expanduser() / "config.json"
    if not path.is_file():
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            path = Path(hf_hub_download(checkpoint.path, "config.json", revision=checkpoint.revision))
        except (HfHubHTTPError, HFValidationError, OSError):
            return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

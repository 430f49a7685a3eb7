"""Loads a checkpoint, its tokenizer and its adapter, quietly, and says in plain words what is wrong where it cannot."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evalharness.core.errors import EvalHarnessError, MissingExtraError, ModelError, UsageError
from evalharness.core.location import Location

from .spec import Backend, HfSpec
from .startup import import_for, spare_loading

__all__ = ["Loaded", "load", "load_tokenizer", "quiet"]

_AUTO_CLASS: dict[Backend, str] = {
    "hf-causal": "AutoModelForCausalLM",
    "hf-seq2seq": "AutoModelForSeq2SeqLM",
    "hf-classifier": "AutoModelForSequenceClassification",
    "hf-masked": "AutoModelForMaskedLM",
}

_NOT_ON_HUB = frozenset({"RepositoryNotFoundError", "RevisionNotFoundError", "GatedRepoError", "EntryNotFoundError"})
_UNREACHABLE = frozenset(
    {
        "LocalEntryNotFoundError",
        "OfflineModeIsEnabled",
        "ConnectionError",
        "ConnectError",
        "ConnectTimeout",
        "ReadTimeout",
        "HfHubHTTPError",
    }
)
_PATIENCE_S = 20.0
# The settings of transformers' log belong to the process, and several models may compute at once.
_quiet_lock = threading.Lock()
_quiet_before: list[tuple[int, bool]] = []  # one entry for each block that is open; the first has what was there


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode on its device, and its tokenizer; `device` is where its inputs go."""

    model: Any
    tokenizer: Any
    device: str


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the notes and progress bars of transformers in the block; the last to leave puts back what they were."""
    from transformers.utils import logging

    with _quiet_lock:
        _quiet_before.append((logging.get_verbosity(), logging.is_progress_bar_enabled()))
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    try:
        yield
    finally:
        with _quiet_lock:
            # The first entry stays until the last block ends, whichever block that is.
            verbosity, bars = _quiet_before[0]
            _quiet_before.pop()
            if not _quiet_before:
                logging.set_verbosity(verbosity)
                if bars:
                    logging.enable_progress_bar()


def load(
    name: str,
    backend: Backend,
    spec: HfSpec,
    *,
    location: Location,
    tokenizer: Location | None,
    adapter: Location | None,
    device: str,
    dtype: str,
) -> Loaded:
    """The model `name`, ready to compute.

    Raises:
        MissingExtraError: torch, transformers, or what the quantisation needs, is not installed.
        UsageError: the checkpoint, the adapter or a setting is not what the backend needs.
        ModelError: the hub cannot be reached, or memory does not suffice.
    """
    try:
        import_for(spec)
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "hf", purpose=f"model {name!r}") from error
    _use_all_cores(torch)
    if device.startswith("cuda:"):
        # Of this thread, the model's own: pinned memory and kernels of other libraries go by it.
        torch.cuda.set_device(device)
    with quiet(), _explained(name, location):
        its_tokenizer = _tokenizer(transformers, spec, tokenizer or location)
        kind = dtype if dtype == "auto" else getattr(torch, dtype)
        model = _model(transformers, backend, spec, location=location, adapter=adapter, device=device, dtype=kind)
    if adapter is not None:
        with quiet(), _explained(name, adapter):
            model = _with_adapter(model, adapter)
    if spec.device_map is not None:
        device = _input_device(model)
    elif spec.quantization is None and getattr(model, "hf_quantizer", None) is None:
        with _explained(name, location):
            model = model.to(device)
    if backend == "hf-causal" and device == "cpu" and adapter is None and spec.quantization is None:
        from .onednn import gains_by_onednn, with_onednn

        if gains_by_onednn():
            with_onednn(model)
    return Loaded(model=model.eval(), tokenizer=its_tokenizer, device=device)


def _input_device(model: Any) -> str:
    """Where token ids go in a model that accelerate has spread: to the embedding."""
    weight = getattr(model.get_input_embeddings(), "weight", None)
    if weight is not None and weight.device.type != "meta":
        return str(weight.device)
    # Kept elsewhere and brought in when it is used: to the first GPU, which accelerate computes such layers on.
    places = getattr(model, "hf_device_map", {}).values()
    first = next((place for place in places if place not in ("cpu", "disk")), "cpu")
    return f"cuda:{first}" if isinstance(first, int) else str(first)


def _use_all_cores(torch: Any) -> None:
    """One thread for each core that this process may use, unless the user has set a number."""
    if os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"):
        return
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if usable < torch.get_num_threads():
        torch.set_num_threads(usable)


def _source(location: Location, *needed: str) -> tuple[str, dict[str, str]]:
    """What is loaded, and of the hub at which revision: the commit that the identity named, if it did.

    What the local hub cache has whole (a file for one of the patterns `needed`) is loaded from there: no network.
    """
    if location.folder is not None and (
        location.hub is None or any(any(location.folder.glob(pattern)) for pattern in needed)
    ):
        return str(location.folder), {}
    from huggingface_hub import HfApi

    # Asked once and up front: the libraries try each file again and again, for a minute, where there is no network;
    # and all files come from the one commit that the answer names.
    found = HfApi().model_info(location.source, revision=location.commit or location.revision, timeout=_PATIENCE_S)
    return location.source, {"revision": str(found.sha)}


def load_tokenizer(name: str, spec: HfSpec, location: Location) -> Any:
    """The tokenizer of the model `name` alone, without its weights; raises as `load` does."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "hf", purpose=f"model {name!r}") from error
    with quiet(), _explained(name, location):
        return _tokenizer(transformers, spec, location)


def _tokenizer(transformers: Any, spec: HfSpec, location: Location) -> Any:
    source, revision = _source(location, "tokenizer.json", "tokenizer_config.json")
    bos = {} if spec.add_bos is None else {"add_bos_token": spec.add_bos}
    found = transformers.AutoTokenizer.from_pretrained(
        source, trust_remote_code=spec.trust_remote_code, **bos, **revision
    )
    if found is None or not callable(found):
        raise UsageError(f"{location.source}: no tokenizer in it; give one with `tokenizer:`")
    return found


def _model(
    transformers: Any,
    backend: Backend,
    spec: HfSpec,
    *,
    location: Location,
    adapter: Location | None,
    device: str,
    dtype: Any,
) -> Any:
    source, revision = _source(location, "*.safetensors", "*.bin")
    arguments: dict[str, Any] = {"dtype": dtype, "trust_remote_code": spec.trust_remote_code, **revision}
    if spec.quantization is not None:
        arguments["quantization_config"] = _quantization(spec)
        arguments["device_map"] = {"": device}
    if spec.device_map is not None:
        arguments["device_map"] = spec.device_map
    if backend == "hf-classifier" and adapter is not None and spec.labels is not None:
        # The head comes with the adapter; the base model has none that would say how many labels there are.
        arguments["num_labels"] = len(spec.labels)
    auto_class = getattr(transformers, _AUTO_CLASS[backend])
    with spare_loading(spec), _hushed("torchao", "torch.utils._pytree"):
        model, info = auto_class.from_pretrained(source, **arguments, output_loading_info=True)
    missing = sorted(str(key) for key in info["missing_keys"])
    if missing and adapter is None:
        raise UsageError(
            f"{location.source} has no weights for {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}: "
            f"{backend} would run with random ones; choose the backend that the checkpoint was trained for"
        )
    if mismatched := info.get("mismatched_keys"):
        raise UsageError(
            f"{location.source}: weights and config.json disagree in shape: {sorted(map(str, mismatched))[0]}"
        )
    return model


@contextlib.contextmanager
def _hushed(*names: str) -> Iterator[None]:
    """Without the warnings of these loggers, which nobody here can act on: kernels of other cards, other versions."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _quantization(spec: HfSpec) -> Any:
    from transformers.quantizers.auto import AutoQuantizationConfig

    try:
        return AutoQuantizationConfig.from_dict(dict(spec.quantization or {}))
    except (ValueError, TypeError) as error:
        raise UsageError(f"quantization: {error}") from error


def _with_adapter(model: Any, adapter: Location) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingExtraError("peft", "hf", purpose="an adapter") from error
    source, revision = _source(adapter, "adapter_model.*")
    with warnings.catch_warnings():
        # peft calls what transformers deprecates; nobody here can act on that.
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(model, source, is_trainable=False, **revision)


@contextlib.contextmanager
def _explained(name: str, location: Location) -> Iterator[None]:
    """Turn the many errors of the libraries into ours: what is wrong with the input, and what with the world."""
    try:
        yield
    except EvalHarnessError:
        raise
    except ImportError as error:
        raise UsageError(f"model {name!r} needs a package that is not installed: {_first_line(error)}") from error
    except Exception as error:
        # safetensors, pickle, httpx and code from checkpoints raise types of their own: all are told apart by name.
        raise _explanation(name, location, error) from error


def _explanation(name: str, location: Location, error: Exception) -> EvalHarnessError:
    from .memory import is_out_of_memory

    where = f"model {name!r} ({location.source})"
    kinds = {type(link).__name__ for link in _chain(error)}
    if is_out_of_memory(error):
        return ModelError(
            f"{where} does not fit into memory: {_first_line(error)}; use a smaller dtype or quantization"
        )
    if location.hub is not None:
        if kinds & _NOT_ON_HUB:
            return UsageError(
                f"{where}: the hub has no such model or revision, or wants you to log in: {_first_line(error)}"
            )
        if kinds & _UNREACHABLE:
            return ModelError(
                f"{where}: the hub cannot be reached and the model is not in the local cache; "
                f"download it first, or give the path of a local folder"
            )
    if "trust_remote_code" in str(error):
        return UsageError(
            f"{where} brings Python code of its own; to run it, set trust_remote_code: true and pass --allow-code"
        )
    return UsageError(f"{where} cannot be loaded: {type(error).__name__}: {_first_line(error)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

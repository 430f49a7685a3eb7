"""Loads the checkpoints of metrics, and runs texts through them in batches of like length.

The weights are loaded once a process; the last two checkpoints stay, since metrics of a task often share one.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evalharness.core.errors import MissingExtraError, UsageError

__all__ = ["Encoded", "Network", "batches", "encode", "load_network"]

Kind = Literal["encoder", "classifier"]

_KEPT = 2
_TOKENS = {"cpu": 8_192, "cuda": 131_072}
_DEFAULT_TOKENS = 16_384
# Tokenizers without a limit of their own say one that no text reaches.
_NO_LIMIT = 1_000_000
_loaded: OrderedDict[tuple[str, ...], Network] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Network:
    """A model in evaluation mode on its device, its tokenizer, and how many tokens it reads at most."""

    model: Any
    tokenizer: Any
    device: str
    max_tokens: int
    shown: str

    @property
    def config(self) -> Any:
        """The settings of the model."""
        return self.model.config


class Encoded(NamedTuple):
    """The tokens of a text, or of a window of it: `text` is the place of the text in the list that was given."""

    text: int
    ids: list[int]
    types: list[int] | None


def load_network(folder: Path, digest: str, kind: Kind, device: str, dtype: str, *, shown: str) -> Network:
    """The checkpoint in `folder`, ready to compute, from memory where it was loaded before.

    Raises:
        UsageError: the checkpoint is not of this kind, cannot be loaded, or the device is not there.
        MissingExtraError: torch or transformers is not installed.
    """
    key = (str(folder), digest, kind, device, dtype)
    with _lock:
        if key not in _loaded:
            _loaded[key] = _load(folder, kind, device, dtype, shown)
            while len(_loaded) > _KEPT:
                _loaded.popitem(last=False)
        _loaded.move_to_end(key)
        return _loaded[key]


def _load(folder: Path, kind: Kind, device: str, dtype: str, shown: str) -> Network:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "hf", purpose=f"the checkpoint {shown!r}") from error
    name = "AutoModel" if kind == "encoder" else "AutoModelForSequenceClassification"
    place = _device(torch, device)
    try:
        with _quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
            model, info = getattr(transformers, name).from_pretrained(
                str(folder), dtype=getattr(torch, dtype), output_loading_info=True
            )
            model = model.to(place).eval()
    except Exception as error:  # safetensors, tokenizers and configs raise types of their own
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise UsageError(f"checkpoint {shown!r} cannot be loaded: {type(error).__name__}: {line}") from error
    # A pooler is not used here, and checkpoints of masked models have none.
    missing = sorted(key for key in map(str, info["missing_keys"]) if "pooler" not in key or kind == "classifier")
    if missing:
        trained = "an encoder" if kind == "encoder" else "a sequence classifier"
        raise UsageError(
            f"checkpoint {shown!r} has no weights for {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}: it "
            f"was not trained as {trained}"
        )
    if kind == "encoder" and getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    return Network(model, tokenizer, place, _max_tokens(tokenizer, model.config), shown)


def _device(torch: Any, device: str) -> str:
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    n_devices = torch.cuda.device_count() if device.startswith("cuda") and torch.cuda.is_available() else 0
    if device.startswith("cuda") and int(device.partition(":")[2] or 0) >= n_devices:
        raise UsageError(f"device {device!r}: this machine has {n_devices} CUDA devices; write device: auto")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device 'mps': this machine has no Apple GPU; write device: auto")
    return device


def _max_tokens(tokenizer: Any, config: Any) -> int:
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and ("roberta" in config.model_type or config.model_type in ("camembert", "mpnet")):
        positions -= 2  # their positions begin behind the padding's
    limits = [n for n in (positions, tokenizer.model_max_length) if isinstance(n, int) and 0 < n < _NO_LIMIT]
    return min(limits, default=512)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No notes and progress bars of transformers in the block."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def encode(
    network: Network,
    texts: Sequence[str],
    seconds: Sequence[str] | None = None,
    *,
    max_tokens: int | None = None,
    windows: bool = False,
) -> list[Encoded]:
    """The tokens of `texts`, or of pairs with `seconds`, with the special tokens of the model.

    What is too long loses its end; with `windows` it becomes several windows that overlap by a quarter, of a pair's
    first text alone.
    """
    if not texts:
        return []
    most = min(network.max_tokens, max_tokens or network.max_tokens)
    options: dict[str, Any] = {"truncation": True if seconds is None else "only_first", "max_length": most}
    first = list(map(_clean, texts))
    pairs = () if seconds is None else (_cut(network, seconds, most // 2),)
    if windows and network.tokenizer.is_fast:
        options |= {"return_overflowing_tokens": True, "stride": most // 8 if pairs else most // 4}
    found = network.tokenizer(first, *pairs, **options)
    types = found.get("token_type_ids")
    owners = found.get("overflow_to_sample_mapping", range(len(first)))
    return [
        Encoded(int(owner), list(ids), None if types is None else list(types[place]))
        for place, (owner, ids) in enumerate(zip(owners, found["input_ids"], strict=True))
    ]


def _cut(network: Network, texts: Sequence[str], most: int) -> list[str]:
    """The texts without what is beyond `most` tokens: a pair's second text must leave room for the first."""
    found = []
    for text in map(_clean, texts):
        ids = network.tokenizer(text, add_special_tokens=False)["input_ids"]
        found.append(text if len(ids) <= most else network.tokenizer.decode(ids[:most]))
    return found


def _clean(text: str) -> str:
    """`text` without lone surrogates, which tokenizers refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")


def batches(
    network: Network, encoded: Sequence[Encoded], run: Callable[[dict[str, Any]], Any]
) -> Iterator[tuple[Encoded, Any]]:
    """(tokens, what `run` gives for them), the longest first; `run` gets the tensors of a batch, and gives one a row.

    A batch that does not fit into the memory of a GPU is tried again in halves.
    """
    order = sorted((item for item in encoded if item.ids), key=lambda item: -len(item.ids))
    budget = _TOKENS.get(network.device.partition(":")[0], _DEFAULT_TOKENS)
    at = 0
    while at < len(order):
        size = max(1, budget // len(order[at].ids))
        group = order[at : at + size]
        for part, rows in _run(network, group, run):
            yield from zip(part, rows, strict=True)
        at += len(group)


def _run(
    network: Network, group: list[Encoded], run: Callable[[dict[str, Any]], Any]
) -> Iterator[tuple[list[Encoded], Any]]:
    import torch

    try:
        with torch.inference_mode():
            found = run(_tensors(network, group))
    except torch.OutOfMemoryError:
        if len(group) == 1:
            raise UsageError(
                f"checkpoint {network.shown!r}: a text of {len(group[0].ids)} tokens does not fit into the memory of "
                f"{network.device}; use a smaller dtype, or device: cpu"
            ) from None
        half = len(group) // 2
        yield from _run(network, group[:half], run)
        yield from _run(network, group[half:], run)
        return
    if bool(torch.isnan(found).any()):
        raise UsageError(f"checkpoint {network.shown!r} computes NaN; use dtype: float32")
    yield group, found


def _tensors(network: Network, group: list[Encoded]) -> dict[str, Any]:
    import torch

    width = len(group[0].ids)
    pad = network.tokenizer.pad_token_id or 0

    def filled(rows: list[list[int]], value: int) -> Any:
        return torch.tensor([row + [value] * (width - len(row)) for row in rows], device=network.device)

    tensors = {
        "input_ids": filled([item.ids for item in group], pad),
        "attention_mask": filled([[1] * len(item.ids) for item in group], 0),
    }
    if all(item.types is not None for item in group):
        tensors["token_type_ids"] = filled([item.types or [] for item in group], 0)
    return tensors

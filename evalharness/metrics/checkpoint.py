"""What metrics that need a network of their own share: a checkpoint on this machine, and its digest in the signature.

Nothing is downloaded and nothing is loaded until there are texts to be scored: `for_run` finds the checkpoint and
digests it, so that `validate` and the start of a run tell what is missing.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from evalharness.core.digests import checkpoint_files, files_digest
from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.location import locate

from .base import MeanMetric, require

if TYPE_CHECKING:
    from .network import Network

__all__ = ["Bound", "CheckpointMetric", "Dtype", "find_checkpoint", "label_index", "settings_of", "unique"]

Dtype = Literal["float32", "float16", "bfloat16", "float64"]
_WEIGHTS = (".safetensors", ".bin")
_DIGITS = 16
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
M = TypeVar("M", bound="CheckpointMetric")


def find_checkpoint(text: str, *, base: Path) -> Path:
    """The folder of the checkpoint that `text` names: a folder, `catalog:NAME`, or a name in the hub's local cache.

    Raises:
        UsageError: it is not on this machine, or is no checkpoint.
    """
    location = locate(text, base=base, what="checkpoint")
    folder = location.folder
    if folder is None:
        raise UsageError(
            f"checkpoint {text!r} is not on this machine, and metrics download nothing; fetch it: hf download {text}, "
            "or give the path of a folder"
        )
    if not (folder / "config.json").is_file():
        raise UsageError(f"checkpoint {text!r} is none: the folder {folder} has no config.json")
    if not any(path.suffix in _WEIGHTS for path in checkpoint_files(folder)):
        raise UsageError(f"checkpoint {text!r} has no weights (*.safetensors) in {folder}")
    return folder


def settings_of(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The settings in a JSON file of the checkpoint; none where there is no such file.

    Raises:
        UsageError: the file is no JSON object.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no JSON object")
    return found


def label_index(config: Mapping[str, Any], label: str, *, shown: str) -> int:
    """Which of a classifier's outputs `label` is, whatever its case.

    Raises:
        UsageError: the checkpoint has no such label; the message names those that it has.
    """
    names = config.get("id2label")
    own = {int(index): str(name) for index, name in names.items()} if isinstance(names, Mapping) else {}
    for index, name in own.items():
        if name.casefold() == label.casefold():
            return index
    if len(own) == 1 and own.get(0) == "LABEL_0":
        return 0  # one output that nobody has named
    has = ", ".join(own[index] for index in sorted(own)) or "none that its config.json names"
    raise UsageError(f"checkpoint {shown!r} has no label {label!r}; it has: {has}; name the right one under `label`")


@dataclass(frozen=True, slots=True)
class Bound:
    """What is no option: the checkpoint that was found, and what stands for it in the signature."""

    folder: Path | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()


class CheckpointMetric(MeanMetric):
    """A mean over samples of what a checkpoint computes of their texts.

    The options `checkpoint`, `device` and `dtype`, and the `label` of classifiers, are the subclass's own fields.
    `device` is no part of the signature, nor is where the checkpoint lies: its digest is.
    """

    hidden: tuple[str, ...] = ("checkpoint", "device")
    network_kind: Literal["encoder", "classifier"] = "encoder"
    checkpoint: str
    device: str
    dtype: Dtype
    label: str

    def __post_init__(self) -> None:
        require(bool(self.checkpoint.strip()), "checkpoint: name the folder of a checkpoint")
        if self.network_kind == "classifier":
            require(bool(self.label.strip()), "label: name a label of the checkpoint")
        known = _DEVICE.fullmatch(self.device) is not None
        require(known, f"device: auto, cpu, mps, cuda or cuda:N, not {self.device!r}")
        object.__setattr__(self, "_bound", Bound())

    @property
    def bound(self) -> Bound:
        """What `for_run` has found."""
        found: Bound = self._bound  # type: ignore[attr-defined]
        return found

    def options(self) -> dict[str, Any]:
        """The options that define the figure; in the place of the checkpoint's path stands its digest."""
        own = {key: value for key, value in super().options().items() if key not in self.hidden}
        return own | {"checkpoint": "not-loaded"} | dict(self.bound.identity)

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """(option, message) of what is wrong with files that the options name; nothing is loaded."""
        option = "checkpoint"
        try:
            folder = find_checkpoint(self.checkpoint, base=base)
            if self.network_kind == "classifier":
                option = "label"
                label_index(settings_of(folder), self.label, shown=self.checkpoint)
        except UsageError as error:
            yield option, str(error)

    def for_run(self: M, *, base: Path, allow_code: bool = False) -> M:
        """With the checkpoint found from `base` and digested; its weights are loaded with the first texts.

        Raises:
            UsageError: there is no such checkpoint, or it lacks what the metric needs.
            MissingExtraError: torch or transformers is not installed.
        """
        if self.bound.folder is not None:
            return self
        folder = find_checkpoint(self.checkpoint, base=base)
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "hf", purpose=f"the metric {self.name}")
        digest = files_digest(checkpoint_files(folder), root=folder)
        identity, extra = self.identify(folder, base)
        return self._with(Bound(folder, {"checkpoint": digest[:_DIGITS], **identity}, extra))

    def identify(self, folder: Path, base: Path) -> tuple[dict[str, str], tuple[str, ...]]:
        """What else the files decide: (parts of the signature, texts that were read)."""
        if self.network_kind == "encoder":
            return {}, ()
        return {"output": str(label_index(settings_of(folder), self.label, shown=self.checkpoint))}, ()

    def as_recorded(self: M, signature: str) -> M:
        """As the metric of a record with this signature, not loaded: its rows are read without the checkpoint."""
        parts = dict(part.partition(":")[::2] for part in signature.split("|")[1:])
        hidden = {"checkpoint", *self.from_files}
        return self._with(Bound(None, {key: parts[key] for key in parts if key in hidden}))

    from_files: tuple[str, ...] = ()
    """Parts of the signature, beside the digest, that files decide."""

    def _with(self: M, bound: Bound) -> M:
        found = dataclasses.replace(self)  # type: ignore[type-var]
        object.__setattr__(found, "_bound", bound)
        return found

    @property
    def output(self) -> int:
        """Which of a classifier's outputs the label is."""
        return int(self.bound.identity["output"])

    def network(self) -> Network:
        """The checkpoint, loaded.

        Raises:
            UsageError: `for_run` was not called, or the checkpoint cannot be loaded.
        """
        from .network import load_network

        if self.bound.folder is None:
            raise UsageError(f"the metric {self.name} has no checkpoint yet; call for_run(base=…)")
        return load_network(
            self.bound.folder,
            self.bound.identity["checkpoint"],
            self.network_kind,
            self.device,
            self.dtype,
            shown=self.checkpoint,
        )


def unique(texts: Sequence[str]) -> dict[str, int]:
    """The distinct texts with their places."""
    return {text: place for place, text in enumerate(dict.fromkeys(texts))}

"""Hugging Face `datasets`: a name on the hub, or a local folder."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.types import Row

from .parquet import arrow_rows

__all__ = ["read_hf"]

_BATCH = 1000
_PATIENCE_S = 20.0


def read_hf(
    path: str, *, config: str | None = None, split: str | None = None, revision: str | None = None
) -> Iterator[Row]:
    """Rows of a Hugging Face dataset: a hub name, a folder written by `save_to_disk`, or a folder of data files.

    Without `split` the split named test is taken, else the only one. Values are those that are stored: a class label
    is its number, an image or a sound its bytes and path.

    Raises:
        UsageError: if the dataset or the split is not there, or the hub cannot be reached.
    """
    if importlib.util.find_spec("datasets") is None:
        raise MissingExtraError("datasets", "hf", purpose=f"the dataset hf: {path}")
    found = _load(path, config, revision)
    dataset = _pick_split(found, split, path) if isinstance(found, Mapping) else _only_split(found, split, path)
    label = f"hf:{path}" + (f"/{config}" if config else "") + (f"[{dataset.split}]" if dataset.split else "")
    # In Arrow format nothing is decoded, so images and sounds need no further packages.
    yield from arrow_rows(dataset.with_format("arrow").iter(batch_size=_BATCH), label)


def _load(path: str, config: str | None, revision: str | None) -> Any:
    """A `Dataset` or `DatasetDict`."""
    import datasets

    folder = Path(path)
    if folder.is_dir():
        if revision is not None:
            raise UsageError(f"hf: {path} is a local folder, which has no revisions; remove `revision`")
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            if config is not None:
                raise UsageError(
                    f"hf: {path} was written by save_to_disk, which knows no configurations; remove `config`"
                )
            return datasets.load_from_disk(path)
    try:
        with _offline_if_unreachable(path, revision, is_local=folder.is_dir()):
            return datasets.load_dataset(path, config, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise UsageError(_cannot_load(path, config, revision, error)) from error


@contextlib.contextmanager
def _offline_if_unreachable(path: str, revision: str | None, *, is_local: bool) -> Iterator[None]:
    """Asks the hub once; where it cannot be reached, only what it gave before (the cache) is looked at.

    Without this, `datasets` tries each of several files again and again, for half a minute, before it does the same.
    """
    import datasets
    import huggingface_hub

    before = (datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE)
    if is_local or any(before) or _answers(path, revision):
        yield
        return
    datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = before


def _answers(path: str, revision: str | None) -> bool:
    """Whether the hub answers at all; that it does not know the dataset is an answer."""
    import huggingface_hub

    try:
        huggingface_hub.HfApi().dataset_info(path, revision=revision, timeout=_PATIENCE_S)
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.HFValidationError):
        return True
    except Exception:  # noqa: BLE001 - the HTTP client's own types (httpx or requests, by version) have no common root
        return False
    return True


def _cannot_load(path: str, config: str | None, revision: str | None, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    asked = f"hf: {path}" + (f", config: {config}" if config else "") + (f", revision: {revision}" if revision else "")
    if Path(path).is_dir():
        return f"cannot read the local dataset ({asked}): {reason}"
    if isinstance(error, ConnectionError) or "offline" in reason.lower():
        return (
            f"cannot reach the Hugging Face hub for the dataset ({asked}): {reason}; check the network, or fetch it "
            f"where there is one (`datasets.load_dataset({path!r}).save_to_disk(folder)`) and give that folder as `hf:`"
        )
    return f"cannot load the dataset ({asked}): {reason}; a local folder is looked for beside the suite file"


def _pick_split(splits: Mapping[str, Any], split: str | None, path: str) -> Any:
    names = list(splits)
    if split is not None:
        if split not in splits:
            raise UsageError(
                f"hf: {path} has no split {split!r}{suggestion(split, names)}; its splits: {', '.join(names)}"
            )
        return splits[split]
    if "test" in splits:
        return splits["test"]
    if len(names) == 1:
        return splits[names[0]]
    raise UsageError(f"hf: {path} has no split named test; choose one with `split:` from: {', '.join(names)}")


def _only_split(dataset: Any, split: str | None, path: str) -> Any:
    found = str(dataset.split) if dataset.split else None
    if split is not None and found is not None and split != found:
        raise UsageError(f"hf: {path} holds the one split {found!r}, not {split!r}; remove `split`")
    return dataset

"""Who a Hugging Face model is: all that can change its responses, told without loading it.

Left out, because results do not depend on them: where the checkpoint lies, the batch size, the side of padding, the
number of threads and which of several equal GPUs is used.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalharness.core.canonical import digest
from evalharness.core.digests import adapter_files, checkpoint_files, files_digest, tokenizer_files
from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.location import Location
from evalharness.core.types import Json

from .spec import Backend, HfSpec

__all__ = ["chat_template_digest", "describe", "package_versions", "read_config"]

# Raised whenever this room's code changes what comes out for the same checkpoint and request.
IMPLEMENTATION = 2


def package_versions(name: str, *, adapter: bool) -> dict[str, Json]:
    """The versions of the packages that compute.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    wanted = ["torch", "transformers", "tokenizers", *(["peft"] if adapter else [])]
    versions: dict[str, Json] = {}
    for package in wanted:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise MissingExtraError(package, "hf", purpose=f"model {name!r}, a Hugging Face checkpoint,") from None
    return versions


def read_config(folder: Path | None, *, file: str = "config.json") -> dict[str, Any]:
    """The settings file of a checkpoint as a mapping; {} where the folder, or the file, is not here.

    Raises:
        UsageError: the file is not a JSON object.
    """
    path = None if folder is None else folder / file
    if path is None or not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path}: expected a JSON object, found {type(config).__name__}")
    return config


def chat_template_digest(folder: Path | None) -> str | None:
    """The sha256 of the chat template (or templates), None where there is none."""
    if folder is None:
        return None
    files = [path for path in (folder / "chat_template.jinja", folder / "chat_template.json") if path.is_file()]
    files += sorted(folder.glob("additional_chat_templates/*.jinja"))
    inside = read_config(folder, file="tokenizer_config.json").get("chat_template")
    if not files and inside is None:
        return None
    return digest([inside, [[path.name, path.read_text(encoding="utf-8")] for path in files]])


def _weights(location: Location) -> dict[str, Json]:
    """What is loaded: a digest of the files in a folder; name and commit for the hub, where a commit is a digest."""
    if location.hub is None:
        assert location.folder is not None
        return {"digest": files_digest(checkpoint_files(location.folder), root=location.folder), "pinned": True}
    return {"hub": location.hub, "revision": location.commit or location.revision or "main", "pinned": location.pinned}


def _part(location: Location | None, files: list[Path]) -> Json:
    if location is None:
        return None
    if location.hub is None:
        assert location.folder is not None
        return {"digest": files_digest(files, root=location.folder), "pinned": True}
    return _weights(location)


def describe(
    backend: Backend,
    spec: HfSpec,
    *,
    versions: Mapping[str, Json],
    location: Location,
    tokenizer: Location | None,
    adapter: Location | None,
    device: str,
    dtype: str,
) -> dict[str, Json]:
    """The identity; `pinned` is False in each part that may be another one tomorrow (a branch of the hub)."""
    # A commit of the hub fixes its template too, and must be told the same way before and after the download.
    template_from = tokenizer or location
    template_folder = template_from.folder if template_from.hub is None else None
    identity: dict[str, Json] = {
        "backend": backend,
        "implementation": IMPLEMENTATION,
        "weights": _weights(location),
        "tokenizer": _part(tokenizer, tokenizer_files(tokenizer.folder) if tokenizer and tokenizer.folder else []),
        "adapter": _part(adapter, adapter_files(adapter.folder) if adapter and adapter.folder else []),
        "chat_template": chat_template_digest(template_folder),
        "dtype": dtype,
        "device": device.partition(":")[0],
        "quantization": None if spec.quantization is None else dict(spec.quantization),
        "max_length": spec.max_length,
        "trust_remote_code": spec.trust_remote_code,
        "versions": dict(versions),
    }
    if spec.add_bos is not None:
        identity["add_bos"] = spec.add_bos
    if backend == "hf-classifier":
        identity["labels"] = None if spec.labels is None else list(spec.labels)
        identity["threshold"] = spec.threshold
    return identity

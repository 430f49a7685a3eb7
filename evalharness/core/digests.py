"""Digests of checkpoint files; a file that has not changed is not read twice.

What was read is remembered in `cache_dir()/digests`, one small file for each path, and believed only while size,
modification time, change time and inode are the same. The change time is set by the kernel and cannot be put back,
so a file whose modification time was forged is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from .canonical import digest, file_digest
from .files import cache_dir, write_atomic

__all__ = ["adapter_files", "cached_file_digest", "checkpoint_files", "files_digest", "tokenizer_files"]

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_NOT_WEIGHTS = frozenset({"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt"})
_NOT_SETTINGS = frozenset({"trainer_state.json", "all_results.json", "train_results.json", "eval_results.json"})
_TOKENIZER = (
    "tokenizer",
    "vocab",
    "merges",
    "special_tokens",
    "added_tokens",
    "chat_template",
    "spiece",
    "sentencepiece",
)
# A file written this recently could change again within one tick of the file system's clock: it is not remembered.
_SETTLED_S = 2.0


def checkpoint_files(folder: Path) -> list[Path]:
    """The files of a checkpoint that can change what it computes: weights, settings, tokenizer, template, code.

    Where there are safetensors, other formats of the same weights are not loaded and left out.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder))]
    weights = [
        path for path in files if path.suffix in _WEIGHTS and path.name not in _NOT_WEIGHTS and path.parent == folder
    ]
    safe = [path for path in weights if path.suffix == ".safetensors"]
    settings = [
        path
        for path in files
        if (path.suffix in (".json", ".model", ".txt", ".jinja", ".tiktoken", ".py") and path.name not in _NOT_SETTINGS)
        and (path.parent == folder or path.suffix in (".py", ".jinja"))
    ]
    return sorted({*(safe or weights), *settings})


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a tokenizer: vocabulary, merges, special tokens, chat template and `config.json`."""
    return [
        path
        for path in checkpoint_files(folder)
        if path.suffix not in _WEIGHTS and (path.name.startswith(_TOKENIZER) or path.name == "config.json")
    ]


def adapter_files(folder: Path) -> list[Path]:
    """The files of a PEFT adapter: its settings and weights."""
    return [path for path in checkpoint_files(folder) if path.name.startswith("adapter_")]


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") or part.startswith("checkpoint-") for part in relative.parts)


def files_digest(files: Iterable[Path], *, root: Path) -> str:
    """One digest of `files`: of their names below `root` and their bytes."""
    return digest([[path.relative_to(root).as_posix(), cached_file_digest(path)] for path in files])


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]


def cached_file_digest(path: Path) -> str:
    """The sha256 of the bytes of `path`, from memory where the file is the same as when it was read."""
    real = path.resolve()
    name = hashlib.sha256(os.fsencode(real)).hexdigest()
    remembered = cache_dir() / "digests" / f"{name}.json"
    before = _stamp(real)
    with contextlib.suppress(OSError, ValueError):
        entry = json.loads(remembered.read_text(encoding="utf-8"))
        if isinstance(entry, dict) and entry.get("stamp") == before and isinstance(entry.get("sha256"), str):
            return str(entry["sha256"])
    found = file_digest(real)
    settled = time.time() - max(before[1], before[2]) / 1e9 > _SETTLED_S
    if settled and _stamp(real) == before:
        # A cache folder that cannot be written costs time, not the run.
        with contextlib.suppress(OSError):
            write_atomic(remembered, json.dumps({"path": str(real), "stamp": before, "sha256": found}))
    return found

"""Atomic files and folders: a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .alive import hold, is_abandoned, owned_name, release

__all__ = ["atomic_folder", "cache_dir", "remove_abandoned", "write_atomic"]


def cache_dir() -> Path:
    """Where fetched models and datasets live: `$EVALHARNESS_CACHE`, else the user's cache folder."""
    override = os.environ.get("EVALHARNESS_CACHE")
    if override:
        return Path(override)
    from platformdirs import user_cache_path

    return user_cache_path("evalharness")


def _temporary_beside(path: Path) -> Path:
    return path.with_name(owned_name(path.name, "tmp"))


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Write `content`, or its pieces, to `path`; text is UTF-8 with line ends as given. Missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    try:
        with temporary.open("wb") as handle:
            for piece in [content] if isinstance(content, str | bytes) else content:
                handle.write(piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and is removed when it does not.

    Raises:
        FileExistsError: if `path` exists already (a sealed folder is never overwritten).
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    temporary.mkdir()
    held = hold(temporary)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        temporary.rename(path)
        _sync_folder(path.parent)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)
        release(held)


def remove_abandoned(folder: Path) -> int:
    """Remove the temporary folders in `folder` that killed processes left behind; returns how many."""
    left = [path for path in folder.glob(".*.tmp") if path.is_dir() and is_abandoned(path)]
    for path in left:
        # Another process may be removing it, too.
        shutil.rmtree(path, ignore_errors=True)
    return len(left)

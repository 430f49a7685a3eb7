"""Where a checkpoint, a tokenizer or an adapter is: a folder here, a name of the catalog, or a name on the hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError
from .files import cache_dir
from .registry import suggestion

__all__ = ["CATALOG", "Location", "locate"]

CATALOG = "catalog:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Location:
    """A `folder` on this machine, or else a `hub` name at a `revision`.

    `folder` of a hub name is its snapshot in the local hub cache, None where it has not been downloaded; `commit` is
    what the revision stands for, None where that is not known here.
    """

    folder: Path | None
    hub: str | None = None
    revision: str | None = None
    commit: str | None = None

    @property
    def source(self) -> str:
        """What `from_pretrained` is given."""
        return self.hub if self.hub is not None else str(self.folder)

    @property
    def pinned(self) -> bool:
        """Whether the same content is loaded whenever it is asked for: a folder (its digest is kept) or a commit."""
        return self.hub is None or self.commit is not None


def locate(text: str, *, base: Path, revision: str | None = None, what: str = "model") -> Location:
    """The place that `text` names; relative paths are looked up from `base`.

    Text that cannot be a hub name (`./x`, `/x`, `~/x`, three parts or more), or that names a folder here, is a path.

    Raises:
        UsageError: there is no such folder (with the nearest name there is), the catalog has not fetched it, or a
            revision was given for something that is not on the hub.
    """
    if text.startswith(CATALOG):
        location = _from_catalog(text.removeprefix(CATALOG), what)
    else:
        path = base / Path(text).expanduser()
        if path.is_dir():
            location = Location(folder=path.resolve())
        elif path.is_file():
            raise UsageError(f"{what} {text!r} is a file; give the folder of the checkpoint that it belongs to")
        elif _looks_like_path(text, path):
            raise UsageError(f"{what} folder {text!r} does not exist (looked in {path.parent}){_nearest(path)}")
        else:
            return _on_hub(text, revision)
    if revision is not None:
        raise UsageError(
            f"{what} {text!r} is a folder on this machine and has no revision {revision!r}; remove the key"
        )
    return location


def _from_catalog(name: str, what: str) -> Location:
    folder = cache_dir() / "models" / name
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise UsageError(f"{what} {CATALOG + name!r}: {name!r} is no name of the catalog")
    if not folder.is_dir():
        raise UsageError(f"{what} {CATALOG + name!r} is not in {folder.parent}; run: evalharness fetch-model {name}")
    return Location(folder=folder.resolve())


def _looks_like_path(text: str, path: Path) -> bool:
    if not _HUB_NAME.fullmatch(text):
        return True
    # "checkpoints/ft-8" is a path where there is a folder "checkpoints", a hub name where there is none.
    return "/" in text and path.parent.is_dir()


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return suggestion(path.name, sorted(entry.name for entry in path.parent.iterdir() if entry.is_dir()))


def _hub_cache() -> Path:
    """The folder of the hub cache, by the hub's own variables."""
    if explicit := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(explicit).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def _on_hub(name: str, revision: str | None) -> Location:
    repository = _hub_cache() / f"models--{name.replace('/', '--')}"
    wanted = revision or "main"
    commit = wanted if _COMMIT.fullmatch(wanted) else None
    reference = repository / "refs" / wanted
    if commit is None and reference.is_file():
        commit = reference.read_text(encoding="utf-8").strip() or None
    snapshot = repository / "snapshots" / commit if commit is not None else None
    folder = snapshot if snapshot is not None and snapshot.is_dir() else None
    return Location(folder=folder, hub=name, revision=revision, commit=commit)

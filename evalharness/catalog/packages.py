"""Files out of pinned packages, without installing or running any of them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from evalharness.core.canonical import file_digest
from evalharness.core.errors import RunError

from .entries import Package

__all__ = ["Archive", "Runner", "download", "run_pip"]

Runner = Callable[[Sequence[str]], tuple[int, str]]
"""Carries out `pip` with these arguments; returns its exit code and what it said."""


def run_pip(arguments: Sequence[str]) -> tuple[int, str]:
    """Run this Python's own pip, so that the user's configuration of it (index, proxy, certificates) holds."""
    command = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stdout + done.stderr


def download(package: Package, folder: Path, *, pip: Runner = run_pip) -> Path:
    """The file of `package`, fetched by pip into `folder` and checked against its digest.

    Raises:
        RunError: if pip cannot fetch it, or it is not the file that is pinned.
    """
    wanted = "--only-binary" if package.kind == "wheel" else "--no-binary"
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", wanted, package.name]
    code, said = pip(["download", *options, "--dest", str(folder), f"{package.name}=={package.version}"])
    files = [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
    if code != 0 or len(files) != 1:
        raise RunError(_failure(package, code, said))
    found = file_digest(files[0])
    if found != package.sha256:
        raise RunError(
            f"the {package.kind} of {package} is not the pinned file: expected sha256 {package.sha256}, found {found}; "
            f"nothing was kept. Check where pip takes packages from: python -m pip config list"
        )
    return files[0]


def _failure(package: Package, code: int, said: str) -> str:
    if "No module named pip" in said:
        return f"cannot fetch {package}: pip is not installed beside {sys.executable}; run: python -m ensurepip"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:] or [f"pip ended with code {code}"]
    return (
        f"cannot fetch {package} with pip: {'; '.join(errors[-3:])}. "
        "Check the network and where pip takes packages from: python -m pip config list"
    )


class Archive:
    """The members of a wheel (zip) or a source package (tar), by name; open it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: zipfile.ZipFile | tarfile.TarFile | None = None

    def __enter__(self) -> Archive:
        try:
            is_tar = self.path.name.endswith((".tar.gz", ".tgz"))
            self._file = tarfile.open(self.path) if is_tar else zipfile.ZipFile(self.path)
        except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
            raise RunError(f"{self.path.name} is not an archive that can be read: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def names(self) -> tuple[str, ...]:
        """The names of all files."""
        if isinstance(self._file, tarfile.TarFile):
            return tuple(member.name for member in self._file.getmembers() if member.isfile())
        return tuple(info.filename for info in self._zip().infolist() if not info.is_dir())

    def read(self, name: str) -> bytes:
        """The content of the file `name`.

        Raises:
            RunError: if there is no such file.
        """
        with self._open(name) as handle:
            return handle.read()

    def extract(self, prefix: str, folder: Path) -> list[Path]:
        """Write every file whose name begins with `prefix` into `folder`, its name without the prefix.

        Raises:
            RunError: if there is none, or a name would lead out of `folder`.
        """
        written = []
        for name in self.names():
            if not name.startswith(prefix):
                continue
            target = folder / _inside(name.removeprefix(prefix) or PurePosixPath(name).name, self.path.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._open(name) as source, target.open("wb") as out:
                while block := source.read(1 << 20):
                    out.write(block)
            written.append(target)
        if not written:
            raise RunError(f"{self.path.name} holds no file {prefix!r}")
        return written

    def _zip(self) -> zipfile.ZipFile:
        if not isinstance(self._file, zipfile.ZipFile):
            raise TypeError("the archive is not open")
        return self._file

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        try:
            handle = self._file.extractfile(name) if isinstance(self._file, tarfile.TarFile) else self._zip().open(name)
        except KeyError:
            handle = None
        if handle is None:
            raise RunError(f"{self.path.name} holds no file {name!r}")
        with handle:
            yield handle


def _inside(name: str, archive: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise RunError(f"{archive} holds the name {name!r}, which leads out of the folder; it is not unpacked")
    return Path(*path.parts)

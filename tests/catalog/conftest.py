from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from evalharness.catalog.entries import Entry, Package
from evalharness.catalog.fetch import Kit
from evalharness.catalog.progress import SilentProgress


class FakeIndex:
    """A package index in memory: stands in for pip, and keeps what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.asked: list[list[str]] = []

    def wheel(self, name: str, members: Mapping[str, str | bytes]) -> Package:
        """Put a wheel on the index."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return self._add(name, "wheel", f"{name}-1.0-py3-none-any.whl", content.getvalue())

    def sdist(self, name: str, members: Mapping[str, str | bytes]) -> Package:
        """Put a source package on the index."""
        return self._add(name, "sdist", f"{name}-1.0.tar.gz", tar_gz(members))

    def _add(self, name: str, kind: str, file: str, content: bytes) -> Package:
        self.files[name] = (file, content)
        return Package(name, "1.0", kind, hashlib.sha256(content).hexdigest(), 0.1)  # type: ignore[arg-type]

    def __call__(self, arguments: Sequence[str]) -> tuple[int, str]:
        self.asked.append(list(arguments))
        name = arguments[-1].partition("==")[0]
        if name not in self.files:
            return 1, f"WARNING: noise\nERROR: No matching distribution found for {arguments[-1]}\n"
        file, content = self.files[name]
        (Path(arguments[arguments.index("--dest") + 1]) / file).write_bytes(content)
        return 0, ""


def tar_gz(members: Mapping[str, str | bytes]) -> bytes:
    """A compressed tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for member, data in members.items():
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture(name="tar_gz")
def _tar_gz() -> Callable[[Mapping[str, str | bytes]], bytes]:
    return tar_gz


@pytest.fixture
def index() -> FakeIndex:
    return FakeIndex()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def kit(index: FakeIndex, tmp_path: Path, cache: Path) -> Iterator[Kit]:
    return Kit(SilentProgress(), tmp_path / "downloads", pip=index)


@pytest.fixture
def entry_of() -> Callable[..., Entry]:
    """An entry with one package and a maker."""

    def make(package: Package, maker: str, **changes: object) -> Entry:
        keys: dict[str, object] = {
            "name": "thing",
            "room": "data",
            "description": "A thing.",
            "licence": "MIT",
            "packages": (package,),
            "maker": maker,
            "takes": "no time",
            "size_mb": 0,
        }
        return Entry(**{**keys, **changes})  # type: ignore[arg-type]

    return make

"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evalharness.core.files import atomic_folder, cache_dir, write_atomic


def test_text_and_bytes_are_written_as_they_stand(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "deep" / "t.txt", "é\r\n\ud800")
    assert (tmp_path / "new" / "deep" / "t.txt").read_bytes() == b"\xc3\xa9\r\n\xed\xa0\x80"
    write_atomic(tmp_path / "b", b"\0\1")
    assert (tmp_path / "b").read_bytes() == b"\0\1"


def test_the_old_content_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    write_atomic(path, "old")

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "r1"
    with atomic_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("x")
        assert not target.exists()
    assert (target / "sub" / "a").read_text() == "x"
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_whose_making_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "r1"

    def make() -> None:
        with atomic_folder(target) as folder:
            (folder / "a").write_text("x")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        make()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r1").mkdir()
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "r1"):
        pass


def test_the_cache_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("EVALHARNESS_CACHE")
    assert cache_dir().name == "evalharness"

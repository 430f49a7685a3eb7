from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog.entries import DATASETS, MODELS, Package
from evalharness.catalog.packages import Archive, download, run_pip
from evalharness.core.errors import RunError


def test_a_wheel_is_asked_for_exactly(index: Any, tmp_path: Path) -> None:
    package = index.wheel("tiny", {"tiny/a.txt": "hello"})
    file = download(package, tmp_path, pip=index)
    assert file.name == "tiny-1.0-py3-none-any.whl"
    (asked,) = index.asked
    assert asked[0] == "download"
    assert {"--no-deps", "--only-binary"} <= set(asked)
    assert asked[-1] == "tiny==1.0"


def test_a_source_package_is_not_taken_as_a_wheel(index: Any, tmp_path: Path) -> None:
    download(index.sdist("tiny", {"tiny-1.0/a.txt": "hello"}), tmp_path, pip=index)
    (asked,) = index.asked
    assert asked[asked.index("--no-binary") + 1] == "tiny"


def test_another_file_than_the_pinned_one_is_refused(index: Any, tmp_path: Path) -> None:
    package = index.wheel("tiny", {"tiny/a.txt": "hello"})
    found = package.sha256
    with pytest.raises(RunError, match=f"expected sha256 {'0' * 64}, found {found}"):
        download(dataclasses.replace(package, sha256="0" * 64), tmp_path, pip=index)


def test_an_index_without_it_is_an_error_that_shows_what_pip_said(index: Any, tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        download(Package("nothing", "2.0", "wheel", "0" * 64, 1), tmp_path, pip=index)
    assert "cannot fetch nothing 2.0 with pip: ERROR: No matching distribution found for nothing==2.0." in str(
        caught.value
    )
    assert "noise" not in str(caught.value)


def test_a_python_without_pip_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"pip is not installed .* python -m ensurepip"):
        download(Package("x", "1", "wheel", "0", 1), tmp_path, pip=lambda _: (1, "/bin/python: No module named pip"))


def test_a_pip_that_fetches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot fetch x 1 with pip: pip ended with code 0"):
        download(Package("x", "1", "wheel", "0", 1), tmp_path, pip=lambda _: (0, ""))


@pytest.mark.slow
def test_the_real_pip_reports_a_failure_as_errors(tmp_path: Path) -> None:
    code, said = run_pip(["download", "--no-index", "--no-deps", "--dest", str(tmp_path), "evalharness-nothing==1"])
    assert code != 0
    assert "ERROR: No matching distribution" in said


@pytest.fixture(params=["wheel", "sdist"])
def archive(request: pytest.FixtureRequest, index: Any, tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    def make(members: dict[str, str]) -> Path:
        (tmp_path / "in").mkdir()
        return download(getattr(index, request.param)("tiny", members), tmp_path / "in", pip=index)

    return make


def test_members(archive: Callable[[dict[str, str]], Path], tmp_path: Path) -> None:
    with Archive(archive({"t/a.txt": "é", "t/sub/b.txt": "b", "u/c.txt": "c"})) as opened:
        assert set(opened.names()) == {"t/a.txt", "t/sub/b.txt", "u/c.txt"}
        assert opened.read("t/a.txt").decode() == "é"
        written = opened.extract("t/", tmp_path / "out")
        (only,) = opened.extract("t/sub/b.txt", tmp_path / "one")
    assert {f.relative_to(tmp_path / "out").as_posix() for f in written} == {"a.txt", "sub/b.txt"}
    assert (tmp_path / "out" / "sub" / "b.txt").read_text() == "b"
    assert only == tmp_path / "one" / "b.txt"


def test_missing_members(archive: Callable[[dict[str, str]], Path], tmp_path: Path) -> None:
    with Archive(archive({"t/a.txt": "a"})) as opened:
        with pytest.raises(RunError, match=r"holds no file 't/b\.txt'"):
            opened.read("t/b.txt")
        with pytest.raises(RunError, match="holds no file 'v/'"):
            opened.extract("v/", tmp_path)


@pytest.mark.parametrize("name", ["../evil.txt", "sub/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_names_that_lead_out_are_refused(archive: Callable[[dict[str, str]], Path], tmp_path: Path, name: str) -> None:
    out = tmp_path / "deep" / "out"
    with Archive(archive({f"t/{name}": "evil"})) as opened, pytest.raises(RunError, match="leads out of the folder"):
        opened.extract("t/", out)
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize("name", ["x.whl", "x.tar.gz"])
def test_a_file_that_is_no_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not an archive")
    with pytest.raises(RunError, match="is not an archive that can be read"), Archive(tmp_path / name):
        pass


def test_a_damaged_member_is_an_error(index: Any, tmp_path: Path) -> None:
    file = download(index.wheel("tiny", {"t/a.txt": "a" * 100}), tmp_path, pip=index)
    data = file.read_bytes()
    file.write_bytes(data.replace(b"a" * 100, b"b" * 100))
    with Archive(file) as opened, pytest.raises((RunError, zipfile.BadZipFile)):
        opened.read("t/a.txt")


def test_every_entry_is_pinned_and_described() -> None:
    for name, entry in {**MODELS, **DATASETS}.items():
        assert name == entry.name
        assert entry.licence
        assert entry.description.endswith(".")
        for package in entry.packages:
            assert len(package.sha256) == 64
            assert package.version

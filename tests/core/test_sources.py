from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.core.sources import find_source, sources, sources_digest

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts a file into the test's folder."""

    def put(name: str, content: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return put


def test_imports_are_followed_within_the_folder_only(write: Write, tmp_path: Path) -> None:
    write("top.py", "import json, numpy\nfrom near import x\nif x:\n    import pkg.deep as d\n")
    write("near.py", "def lazy():\n    from pkg import side\n")
    write("pkg/__init__.py", "")
    write("pkg/deep.py", "from . import side\nfrom .sub.leaf import y\nimport top\n")
    write("pkg/side.py", "")
    write("pkg/sub/__init__.py", "from .. import side\n")
    write("pkg/sub/leaf.py", "this is not Python")
    write("unrelated.py", "")
    assert list(sources("top", tmp_path)) == ["near", "pkg", "pkg.deep", "pkg.side", "pkg.sub", "pkg.sub.leaf", "top"]


def test_the_digest_follows_content_and_name(write: Write, tmp_path: Path) -> None:
    write("a.py", "import b")
    write("b.py", "x = 1")
    before = sources_digest(sources("a", tmp_path))
    write("c.py", "not imported")
    assert sources_digest(sources("a", tmp_path)) == before
    write("b.py", "x = 2")
    assert sources_digest(sources("a", tmp_path)) != before


def test_what_has_no_source_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "space").mkdir()
    assert find_source("space", tmp_path) is None
    assert find_source("nowhere.at.all", tmp_path) is None
    assert find_source("_json", tmp_path) is None
    assert sources("nowhere", tmp_path) == {}


def test_our_own_modules_are_not_those_of_a_user(write: Write, tmp_path: Path) -> None:
    """In a checkout of evalharness they lie under the suite's folder, and importing them anew would double them."""
    write("evalharness/__init__.py", "")
    write("evalharness/base.py", "")
    write("mine.py", "import evalharness.base\nimport other\n")
    write("other.py", "")
    assert list(sources("mine", tmp_path)) == ["mine", "other"]

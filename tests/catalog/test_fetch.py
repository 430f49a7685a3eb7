from __future__ import annotations

import dataclasses
import json
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evalharness.catalog.entries import Entry
from evalharness.catalog.fetch import SOURCE, Kit, fetch, is_present, source_of
from evalharness.core.errors import RunError

EntryOf = Callable[..., Entry]
_made: list[str] = []


def make(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Any]:
    with kit.open(entry.packages[0]) as archive:
        (folder / "test.jsonl").write_bytes(archive.read("tiny/data.jsonl"))
    (folder / "test.jsonl").chmod(0o600)
    _made.append(entry.name)
    return {"n_test": 1}


def make_and_fail(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Any]:
    (folder / "test.jsonl").write_text("half")
    raise RunError("the check failed")


@pytest.fixture
def thing(index: Any, entry_of: EntryOf, monkeypatch: pytest.MonkeyPatch) -> Entry:
    _made.clear()
    monkeypatch.setitem(sys.modules, "fetch_test_makers", sys.modules[__name__])
    return entry_of(index.wheel("tiny", {"tiny/data.jsonl": '{"a": 1}\n'}), "fetch_test_makers:make")


def test_it_is_made_once_and_its_source_recorded(thing: Entry, kit: Kit, cache: Path) -> None:
    assert not is_present(thing)
    folder = fetch(thing, kit=kit)
    assert folder == cache / "data" / "thing" == fetch(thing, kit=kit)
    assert _made == ["thing"]
    assert is_present(thing)
    source = json.loads((folder / SOURCE).read_text())
    assert source["licence"] == "MIT"
    assert source["packages"] == [
        {"name": "tiny", "version": "1.0", "kind": "wheel", "sha256": thing.packages[0].sha256}
    ]
    assert source["facts"] == {"n_test": 1}
    # sha256 of the 9 bytes {"a": 1} and LF, by `sha256sum` of coreutils
    digest = "e8c628edc9968ef0c668f54e0ba2636b35503357eb1aca0ddc828aeace432f67"
    assert source["files"] == {"test.jsonl": {"sha256": digest, "bytes": 9}}


def test_a_shared_cache_can_be_read_by_others(thing: Entry, kit: Kit) -> None:
    folder = fetch(thing, kit=kit)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes["test.jsonl"] == modes[SOURCE]


def test_a_package_is_fetched_once_for_several_entries(thing: Entry, kit: Kit, index: Any) -> None:
    fetch(thing, kit=kit)
    fetch(dataclasses.replace(thing, name="other"), kit=kit)
    assert _made == ["thing", "other"]
    assert len(index.asked) == 1


@pytest.mark.parametrize(
    "damage", ["file gone", "file cut", "source gone", "source broken", "older recipe", "source a list"]
)
def test_what_is_damaged_or_old_is_made_anew(thing: Entry, kit: Kit, damage: str) -> None:
    folder = fetch(thing, kit=kit)
    match damage:
        case "file gone":
            (folder / "test.jsonl").unlink()
        case "file cut":
            (folder / "test.jsonl").write_text("{}")
        case "source gone":
            (folder / SOURCE).unlink()
        case "source broken":
            (folder / SOURCE).write_text("{")
        case "source a list":
            (folder / SOURCE).write_text("[]")
        case _:
            thing = dataclasses.replace(thing, recipe=thing.recipe + 1)
    (folder / "left-over").write_text("old")
    assert not is_present(thing)
    fetch(thing, kit=kit)
    assert is_present(thing)
    assert {file.name for file in folder.iterdir()} == {"test.jsonl", SOURCE}
    assert [entry.name for entry in folder.parent.iterdir()] == ["thing"]


def test_of_two_processes_one_makes_it_and_the_other_waits(thing: Entry, kit: Kit, monkeypatch: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Any]:
        begun.set()
        assert go_on.wait(10)
        return make(entry, folder, kit)

    monkeypatch.setattr(sys.modules[__name__], "slowly", slowly, raising=False)
    slow = dataclasses.replace(thing, maker="fetch_test_makers:slowly")
    with ThreadPoolExecutor(2) as pool:  # locks are of open files: two threads are as good as two processes
        first = pool.submit(fetch, slow, kit=kit)
        assert begun.wait(10)
        second = pool.submit(fetch, thing, kit=kit)
        time.sleep(0.1)
        assert not second.done()
        go_on.set()
        assert first.result(10) == second.result(10)
    assert _made == ["thing"]


def test_force_makes_it_anew(thing: Entry, kit: Kit) -> None:
    fetch(thing, kit=kit)
    fetch(thing, kit=kit, force=True)
    assert _made == ["thing", "thing"]


def test_a_failure_leaves_nothing_behind(thing: Entry, kit: Kit, cache: Path) -> None:
    with pytest.raises(RunError, match="the check failed"):
        fetch(dataclasses.replace(thing, maker="fetch_test_makers:make_and_fail"), kit=kit)
    assert not list((cache / "data").iterdir())


def test_a_failure_leaves_what_was_there(thing: Entry, kit: Kit) -> None:
    folder = fetch(thing, kit=kit)
    with pytest.raises(RunError):
        fetch(dataclasses.replace(thing, maker="fetch_test_makers:make_and_fail"), kit=kit, force=True)
    assert is_present(thing)
    assert [entry.name for entry in folder.parent.iterdir()] == ["thing"]


def test_a_wrong_digest_makes_nothing(thing: Entry, kit: Kit, cache: Path) -> None:
    wrong = dataclasses.replace(thing, packages=(dataclasses.replace(thing.packages[0], sha256="0" * 64),))
    for _ in range(2):
        with pytest.raises(RunError, match="is not the pinned file"):
            fetch(wrong, kit=kit)
    assert not list((cache / "data").iterdir())


def test_a_cache_that_cannot_be_written(thing: Entry, kit: Kit, cache: Path) -> None:
    cache.mkdir()
    (cache / "data").write_text("a file, where a folder should be")
    with pytest.raises(RunError, match=r"cannot write to the cache .* set EVALHARNESS_CACHE"):
        fetch(thing, kit=kit)


def test_the_source_of_what_is_not_there_is_empty(thing: Entry, cache: Path) -> None:
    assert source_of(thing) == {}

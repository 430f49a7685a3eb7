"""How many requests a resumed run sends again: counted from what unfinished runs had written down."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from evalharness.core.errors import StoreError
from evalharness.core.types import Json, Request, Response
from evalharness.models.concurrent import ConcurrentModel
from evalharness.runner.book import ResponseBook
from evalharness.runner.sent import SentJournal


def key_of(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


class Echo(ConcurrentModel):
    capabilities = frozenset({"generate"})

    def identity(self) -> Mapping[str, Json]:
        return {}

    async def answer(self, request: Request) -> Response:
        return Response(key=request.key)


def ask(journal: SentJournal, numbers: Iterable[int]) -> None:
    requests = [Request(key=key_of(i), model="m", kind="generate", sample_id=str(i), prompt="") for i in numbers]

    async def drain() -> None:
        model = journal.watching({"m": Echo("m", concurrency=2)})["m"]
        await model.open()
        assert [response.key async for response in model.generate(requests)]
        await model.close()

    asyncio.run(drain())


def book(asked: Iterable[int], stored: Iterable[int] = ()) -> ResponseBook:
    asked, stored = list(asked), list(stored)
    found = ResponseBook(map(key_of, asked + stored))
    found.add((Response(key=key_of(i)) for i in stored), from_store=True)
    found.add(Response(key=key_of(i)) for i in asked)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "responses.sqlite3"


def test_a_run_that_finishes_leaves_nothing(store: Path) -> None:
    with SentJournal(store) as journal:
        ask(journal, range(5))
        assert len(list(store.parent.iterdir())) == 1
        assert journal.n_sent_again(book(range(5))) == 0
        journal.forget(book(range(5)))
    assert list(store.parent.iterdir()) == []


def test_what_unfinished_runs_sent_is_counted(store: Path) -> None:
    for sent in (range(5), range(3, 8)):
        with SentJournal(store) as journal:  # which is not told that the run has come to its end
            ask(journal, sent)
    with SentJournal(store) as journal:
        # 0, 1, 2 were sent once and kept; 3 and 4 twice and kept; 5 and 6 once and are asked again; 9 is new.
        assert journal.n_sent_again(book([5, 6, 9], stored=[0, 1, 2, 3, 4, 7])) == 4
        # 4 and 3 are asked a third time.
        assert journal.n_sent_again(book([3, 4, 5], stored=[0])) == 5
        # The lists hold what this run did not ask: another suite may.
        journal.forget(book([3, 4, 5], stored=[0]))
        assert len(list(store.parent.iterdir())) == 2
        journal.forget(book(range(8)))
    assert list(store.parent.iterdir()) == []


def test_a_list_that_was_cut_off_and_one_of_a_living_run(store: Path) -> None:
    with SentJournal(store) as alive:
        ask(alive, range(4))
        (store.parent / f".{store.name}-sent.00000000-1-000000000000.ended").write_bytes(
            bytes.fromhex(key_of(1)) + b"half"
        )
        with SentJournal(store) as journal:
            assert journal.n_sent_again(book(range(4))) == 1
            journal.forget(book(range(4)))
        assert len(list(store.parent.iterdir())) == 1
        alive.forget(book(range(4)))


def test_old_lists_are_forgotten(store: Path) -> None:
    path = store.parent / f".{store.name}-sent.00000000-1-000000000000.ended"
    path.write_bytes(bytes.fromhex(key_of(1)))
    with SentJournal(store) as journal:
        journal.forget(book([7]))
        assert path.exists()
        os.utime(path, (time.time() - 31 * 86_400,) * 2)
        journal.forget(book([7]))
        assert not path.exists()


def test_models_that_take_all_requests_at_once_are_left_alone(store: Path) -> None:
    model = object()
    assert SentJournal(store).watching({"hf": model})["hf"] is model  # type: ignore[dict-item]


def test_a_watched_model_is_the_model_in_all_else(store: Path) -> None:
    model = Echo("name", concurrency=3)
    watched = SentJournal(store).watching({"m": model})["m"]
    assert (watched.name, watched.capabilities, watched.identity()) == ("name", {"generate"}, {})
    assert getattr(watched, "report", dict) is dict


def test_a_list_that_cannot_be_written_stops_the_run_with_a_remedy(tmp_path: Path) -> None:
    journal = SentJournal(tmp_path / "missing" / "responses.sqlite3")
    with pytest.raises(StoreError, match=r"-sent.*cannot be written: No such file.*--reports"):
        journal.write(key_of(1))


def test_the_list_grows_beyond_a_piece_of_its_file(store: Path) -> None:
    n = 64 * 1024 // 32 * 2 + 3
    with SentJournal(store) as journal:
        for i in range(n):
            journal.write(key_of(i))
    with SentJournal(store) as journal:
        assert journal.n_sent_again(book(range(n + 5))) == n


def test_a_full_disk_is_told_before_anything_is_sent(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with SentJournal(store) as journal, pytest.raises(StoreError, match="No space left on device; answers so far"):
        journal.write(key_of(1))

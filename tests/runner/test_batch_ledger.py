"""The ledger of batches: durable lines beside the response store."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import evalharness
from evalharness.core.errors import StoreError
from evalharness.core.types import Response
from evalharness.runner.batch_ledger import KEPT_S, BatchLedger
from evalharness.runner.book import ResponseBook
from evalharness.runner.store import ResponseStore


def intend(ledger: BatchLedger, keys: list[str], identity: str = "i") -> int:
    return ledger.intend(keys, identity=identity, model="m", address="http://h").number


def test_lines_outlive_the_process_and_the_store_stays_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite3"
    with ResponseStore.open(path) as store:
        store.put([Response(key="k", text="x")])
    with BatchLedger.open(path) as ledger:
        first = intend(ledger, ["a", "b"])
        second = intend(ledger, ["b", "c"], "j")
        ledger.sent(first, "file-1")
        ledger.submitted(first, "batch-1")
        ledger.submitted(second, "batch-2", sure=False)
    with BatchLedger.open(path) as ledger, ResponseStore.open(path) as store:
        one, two = ledger.batches()
        assert (one.file_id, one.batch_id, one.sure, one.n_requests) == ("file-1", "batch-1", True, 2)
        assert (two.batch_id, two.sure) == ("batch-2", False)
        assert one.tag != two.tag
        assert [batch.number for batch in ledger.batches("j")] == [second]
        assert list(ledger.keys(first)) == [["a", "b"]]
        assert (ledger.holds(second, "b"), ledger.holds(second, "a")) == (True, False)
        ledger.not_ours(second, "batch-2")
        ledger.not_ours(second, "batch-3")
        [two] = ledger.batches("j")
        assert (two.refused, two.batch_id) == (("batch-2", "batch-3"), None)
        assert store.get_many(["k"])["k"].text == "x"
        assert store.stats().n_entries == 1
        store.prune(older_than_days=0.0)
        assert len(ledger.batches()) == 2


def test_a_sealed_record_closes_the_batches_that_it_has_whole(tmp_path: Path) -> None:
    now = [1e9]
    with BatchLedger.open(tmp_path / "r.sqlite3", clock=lambda: now[0]) as ledger:
        whole, part, unsure = intend(ledger, ["a", "b"]), intend(ledger, ["b", "z"]), intend(ledger, ["a"])
        ledger.submitted(whole, "1")
        ledger.submitted(part, "2")
        ledger.forget(ResponseBook(["a", "b", "c"]))
        # Of the last one nobody knows whether it was handed in: that is found out before it is forgotten.
        assert [batch.number for batch in ledger.batches()] == [part, unsure]
        assert not ledger.holds(whole, "a")
        now[0] += KEPT_S + 1
        ledger.forget(ResponseBook(["c"]))
        assert ledger.batches() == []


def test_a_large_batch_is_read_in_pieces(tmp_path: Path) -> None:
    keys = [f"{i:06}" for i in range(12_345)]
    with BatchLedger.open(tmp_path / "r.sqlite3") as ledger:
        number = intend(ledger, keys)
        pieces = list(ledger.keys(number))
        assert len(pieces) == 3
        assert [key for piece in pieces for key in piece] == keys


@pytest.mark.skipif(os.name != "posix", reason="the lock is that of POSIX")
def test_processes_take_turns_and_a_dead_one_gives_its_turn_up(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    child = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from evalharness.runner.batch_ledger import BatchLedger\n"
        "async def hold():\n"
        "    with BatchLedger.open(Path(sys.argv[1])) as ledger:\n"
        "        async with ledger.turn(asyncio.sleep):\n"
        "            print('mine', flush=True); sys.stdin.readline(); os._exit(9)\n"
        "asyncio.run(hold())\n"
    )
    root = str(Path(evalharness.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", child, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "mine\n"
        slept = []

        async def wait() -> None:
            async def sleep(seconds: float) -> None:
                slept.append(seconds)
                if len(slept) == 2:
                    other.stdin.write("\n")  # type: ignore[union-attr]
                    other.stdin.flush()  # type: ignore[union-attr]
                    await asyncio.to_thread(other.wait)
                await asyncio.sleep(0)

            with BatchLedger.open(path) as ledger:
                async with ledger.turn(sleep):
                    assert other.returncode == 9

        asyncio.run(wait())
        assert len(slept) >= 2


def test_what_is_no_store_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(StoreError, match="is an SQLite database, but no response store"):
        BatchLedger.open(path)

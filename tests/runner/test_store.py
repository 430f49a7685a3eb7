from __future__ import annotations

import hashlib
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.core.errors import StoreError
from evalharness.core.types import STATUSES, LogLikelihood, Response
from evalharness.record.codec import response_from_json, response_to_json
from evalharness.runner.store import STORED_STATES, ResponseStore


def key_of(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def answer(i: int, **values: Any) -> Response:
    return Response(key=key_of(i), **{"text": f"answer {i}", **values})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "responses.sqlite3"


# ── what is put is got ────────────────────────────────────────────────────────────────────────────────────────────

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL included
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text | st.just("$float"), inner, max_size=3),
    max_leaves=8,
)
responses = st.builds(
    Response,
    key=st.text("0123456789abcdef", min_size=64, max_size=64),
    status=st.sampled_from(sorted(STORED_STATES)),
    text=st.none() | any_text,
    answer=st.none() | any_text,
    loglikelihoods=st.lists(
        st.builds(LogLikelihood, total=st.floats(), n_tokens=st.integers(0, 10**6), is_greedy=st.booleans()), max_size=4
    ).map(tuple),
    label_probabilities=st.dictionaries(any_text, st.floats(), max_size=4),
    error=st.none() | any_text,
    finish_reason=st.none() | any_text,
    input_tokens=st.none() | st.integers(0, 10**9),
    output_tokens=st.none() | st.integers(0, 10**9),
    latency_s=st.none() | st.floats(),
    n_retries=st.integers(0, 100),
    created_utc=any_text,
    meta=st.dictionaries(any_text | st.sampled_from(["$float", "$$float"]), any_json, max_size=3),
)


@settings(deadline=None)
@given(responses)
def test_a_response_survives_json(response: Response) -> None:
    text = response_to_json(response)
    text.encode()  # strict UTF-8
    back = response_from_json(text)
    assert repr(back) == repr(response)  # repr: NaN equals itself, -0.0 differs from 0.0
    assert list(back.label_probabilities) == list(response.label_probabilities)  # order decides ties


@settings(max_examples=25, deadline=None)
@given(st.lists(responses, max_size=5, unique_by=lambda r: r.key))
def test_a_response_survives_the_store(found: list[Response]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.sqlite3"
        with ResponseStore.open(path) as store:
            store.put(found)
        with ResponseStore.open(path) as store:
            assert repr(store.get_many(r.key for r in found)) == repr({r.key: r for r in found})
            assert sorted(map(repr, store)) == sorted(map(repr, found))


def test_misses_hits_and_replacement(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(1), answer(2)])
        store.put([answer(2, text="newer")])
        store.put([])
        assert store.get_many([]) == {}
        assert store.get_many([key_of(2), key_of(3), key_of(2)]) == {key_of(2): answer(2, text="newer")}
        stats = store.stats()
    assert (stats.n_entries, stats.hits, stats.misses, stats.stored, stats.n_damaged) == (2, 1, 1, 3, 0)
    assert stats.by_status == {"ok": 2}
    assert stats.size_bytes > 0


def test_only_answers_are_stored(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(i, status=status) for i, status in enumerate(STATUSES)])
        got = store.get_many(map(key_of, range(len(STATUSES))))
    assert {r.status for r in got.values()} == {"ok", "truncated", "refusal", "unparsed"} == STORED_STATES


def test_numpy_numbers_are_taken(path: Path) -> None:
    import numpy as np

    odd = answer(
        1, loglikelihoods=(LogLikelihood(np.float64("nan"), np.int64(3), np.bool_(True)),), meta={"a": np.float32(0.5)}
    )  # type: ignore[arg-type]
    with ResponseStore.open(path) as store:
        store.put([odd])
        back = store.get_many([key_of(1)])[key_of(1)]
    assert math.isnan(back.loglikelihoods[0].total)
    assert back.meta == {"a": 0.5}


def test_a_batch_is_stored_whole_or_not_at_all(path: Path) -> None:
    with ResponseStore.open(path) as store:
        with pytest.raises(TypeError):
            store.put([answer(1), answer(2, meta={"x": object()})])
        assert store.get_many([key_of(1)]) == {}
        store.put([answer(1)])
        assert len(store.get_many([key_of(1)])) == 1


def test_a_put_is_synced(path: Path) -> None:
    with ResponseStore.open(path) as store:
        one = store._connection.execute
        assert one("PRAGMA synchronous").fetchone() == (2,)  # FULL: survives a power cut
        assert one("PRAGMA journal_mode").fetchone() == ("wal",)


# ── damage ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _damage(path: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE responses SET payload = x'7b7d' WHERE key = ?",
        "UPDATE responses SET payload = NULLIF('text', key) WHERE key = ?",
        "UPDATE responses SET checksum = x'00' WHERE key = ?",
        "UPDATE responses SET payload = substr(payload, 1, length(payload) - 1) WHERE key = ?",
        "UPDATE responses SET (payload, checksum) = (SELECT payload, checksum FROM responses r WHERE r.key != ?1) "
        "WHERE key = ?1",
    ],
)
def test_a_damaged_entry_is_a_miss_and_set_aside(path: Path, sql: str) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(1, text="long " * 1000), answer(2)])
    _damage(path, sql, key_of(1))
    with ResponseStore.open(path) as store:
        assert [r.key for r in store] == [key_of(2)]
        assert store.get_many([key_of(1), key_of(2)]) == {key_of(2): answer(2)}
        stats = store.stats()
        assert (stats.n_entries, stats.n_damaged, stats.hits, stats.misses) == (1, 1, 1, 1)
        assert stats.n_set_aside == store.n_set_aside == 1
        store.put([answer(1)])
        assert len(store.get_many([key_of(1), key_of(2)])) == 2


def test_every_flipped_byte_of_an_answer_is_noticed(path: Path) -> None:
    """No single flipped byte anywhere in the file may give a wrong answer: a miss or a clear error, nothing else."""
    text = "MARK" + "x" * 40
    with ResponseStore.open(path) as store:
        store.put([answer(1, text=text), answer(2)])
    data = path.read_bytes()
    assert data.count(b"MARK") == 1
    positions = range(data.index(b"MARK") - 250, data.index(b"MARK") + 50)
    outcomes = set()
    for position in positions:
        changed = bytearray(data)
        changed[position] ^= 0x04
        path.write_bytes(changed)
        try:
            with ResponseStore.open(path) as store:
                got = store.get_many([key_of(1), key_of(2)])
        except StoreError:
            outcomes.add("error")
        else:
            assert got.get(key_of(1), answer(1, text=text)) == answer(1, text=text)
            assert got.get(key_of(2), answer(2)) == answer(2)
            outcomes.add(f"{len(got)} found")
        for extra in ("-wal", "-shm"):
            path.with_name(path.name + extra).unlink(missing_ok=True)
    assert "1 found" in outcomes


def test_a_file_that_is_not_sqlite(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{}" * 1000)
    with pytest.raises(StoreError, match=r"responses\.sqlite3.*not an SQLite file; move it away"):
        ResponseStore.open(path)
    assert path.read_text() == "{}" * 1000


def test_another_sqlite_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    _damage(path, "CREATE TABLE mine (x)")
    with pytest.raises(StoreError, match="no response store"):
        ResponseStore.open(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    connection.close()


def test_a_newer_version_is_refused(path: Path) -> None:
    ResponseStore.open(path).close()
    _damage(path, "PRAGMA user_version=3")
    with pytest.raises(StoreError, match=r"version 3 .* knows 2; upgrade"):
        ResponseStore.open(path)


def test_the_middle_of_the_file_destroyed(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put(answer(i, text=f"{i} " * 300) for i in range(500))
    data = bytearray(path.read_bytes())
    data[4096:-4096] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"responses\.sqlite3.*damaged.*mv "), ResponseStore.open(path) as store:
        store.get_many(map(key_of, range(500)))


# ── places that cannot be written ─────────────────────────────────────────────────────────────────────────────────


def test_a_file_in_place_of_the_folder(path: Path) -> None:
    path.parent.write_text("a file")
    with pytest.raises(StoreError, match=r"reports.*--reports"):
        ResponseStore.open(path)


def test_a_folder_in_place_of_the_file(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"responses\.sqlite3.*--reports"):
        ResponseStore.open(path)


def test_a_store_that_has_become_read_only(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(1)])
        store._connection.execute("PRAGMA query_only=ON")
        with pytest.raises(StoreError, match=r"responses\.sqlite3.*readonly.*answers stored before are kept"):
            store.put([answer(2)])
        assert len(store.get_many([key_of(1), key_of(2)])) == 1


def test_a_damaged_entry_in_a_read_only_store_is_still_a_miss(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(1)])
    _damage(path, "UPDATE responses SET checksum = x'00'")
    with ResponseStore.open(path) as store:
        store._connection.execute("PRAGMA query_only=ON")
        assert store.get_many([key_of(1)]) == {}


@pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_loses_nothing(path: Path) -> None:
    code = f"""
import resource, sys
from pathlib import Path
from evalharness.core.errors import StoreError
from evalharness.core.types import Response
from evalharness.runner.store import ResponseStore
import random
random.seed(0)
with ResponseStore.open(Path({str(path)!r})) as store:
    store.put([Response(key="kept", text="yes")])
    sys.dont_write_bytecode = True  # what is imported from here on would be cut off, and stay so
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        for i in range(10_000):
            store.put([Response(key=str(i), text=random.randbytes(2000).hex())])
            print(i)
    except StoreError as error:
        print(error)
    assert store.get_many(["kept"])["kept"].text == "yes"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *acknowledged, message = done.stdout.splitlines()
    assert acknowledged
    assert "answers stored before are kept" in message
    assert "free some space" in message
    with ResponseStore.open(path) as store:
        assert len(store.get_many([*acknowledged, "kept"])) == len(acknowledged) + 1


def test_a_lock_that_is_never_released(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(1)])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with ResponseStore.open(path, wait_s=0.05) as store:
        # Reading goes on; writing says who is in the way.
        assert store.get_many([key_of(1)]) == {key_of(1): answer(1)}
        assert store.stats().n_entries == 1
        with pytest.raises(StoreError, match="another process has held it locked"):
            store.put([answer(2)])
    holder.close()
    empty = path.with_name("new.sqlite3")
    holder = sqlite3.connect(empty, isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process has held it locked"):
        ResponseStore.open(empty, wait_s=0.05)
    holder.close()


def test_a_thread_that_reads_does_not_wait_for_one_that_writes(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(1)])
        with store._writing() as connection:
            connection.execute("DELETE FROM responses")
            found: list[int] = []
            reader = threading.Thread(target=lambda: found.append(len(store.get_many([key_of(1)]))))
            reader.start()
            reader.join(10)
            assert found == [1]
        assert store.get_many([key_of(1)]) == {}


def test_a_store_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    with ResponseStore.open(path) as store:
        store.put([answer(1)], model="m")
    _damage(path, "ALTER TABLE responses DROP COLUMN model")
    _damage(path, "PRAGMA user_version=1")
    with ResponseStore.open(path) as store:
        assert store.get_many([key_of(1)]) == {key_of(1): answer(1)}
        store.put([answer(2)], model="m")
        assert {name: tally.n_entries for name, tally in store.stats().by_model.items()} == {"": 1, "m": 1}
    ResponseStore.open(path).close()


# ── several at once ───────────────────────────────────────────────────────────────────────────────────────────────

_WRITER = """
import sys
from pathlib import Path
from evalharness.core.types import Response
from evalharness.runner.store import ResponseStore
name, n = sys.argv[2], int(sys.argv[3])
with ResponseStore.open(Path(sys.argv[1])) as store:
    for i in range(n):
        store.put([Response(key=f"{name}-{i}", text="x" * 200), Response(key=f"shared-{i}", text="same")])
        print(i, flush=True)
"""


def _writer(path: Path, name: str, n: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name, str(n)], stdout=subprocess.PIPE)


def test_processes_share_a_store_that_none_has_made_yet(path: Path) -> None:
    writers = [_writer(path, name, 100) for name in "abc"]
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    with ResponseStore.open(path) as store:
        assert store.stats().n_entries == 400
        assert len(store.get_many(f"{name}-{i}" for name in ("a", "b", "c", "shared") for i in range(100))) == 400


def test_threads_share_an_open_store(path: Path) -> None:
    with ResponseStore.open(path) as store:

        def work(start: int) -> None:
            for i in range(start, start + 50):
                store.put([answer(i)])
                assert store.get_many([key_of(i)])

        threads = [threading.Thread(target=work, args=(100 * k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.stats().n_entries == 200


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_acknowledged_answers_outlive_kill_9(path: Path) -> None:
    for round_ in range(3):
        writer = _writer(path, f"r{round_}", 100_000)
        assert writer.stdout is not None
        with writer.stdout as lines:
            acknowledged = [lines.readline() for _ in range(150 + 77 * round_)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += lines.readlines()
            writer.wait()
        whole = [int(line) for line in acknowledged if line.endswith(b"\n")]
        with ResponseStore.open(path) as store:
            keys = [f"r{round_}-{i}" for i in whole]
            assert len(store.get_many(keys)) == len(keys) >= 150
            assert store.stats().n_damaged == 0


# ── size and keeping house ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_hundred_thousand_answers_in_seconds(path: Path) -> None:
    n = 100_000
    made = [answer(i, text="word " * 60, loglikelihoods=(LogLikelihood(-1.5, 3),) * 4) for i in range(n)]
    with ResponseStore.open(path) as store:
        began = time.monotonic()
        for start in range(0, n, 500):
            store.put(made[start : start + 500])
        put_s = time.monotonic() - began
        began = time.monotonic()
        found = store.get_many(r.key for r in made)
        get_s = time.monotonic() - began
    assert found == {r.key: r for r in made}
    assert put_s < 30, f"{put_s:.1f} s"
    assert get_s < 30, f"{get_s:.1f} s"


def test_prune_by_age(path: Path) -> None:
    now = 1_000_000_000.0
    with ResponseStore.open(path, clock=lambda: now) as store:
        store.put([answer(1, text="x" * 100_000)])
        now += 40 * 86_400
        store.put([answer(2)])
        stats = store.stats()
        assert (stats.oldest_utc, stats.newest_utc) == ("2001-09-09T01:46:40Z", "2001-10-19T01:46:40Z")
        assert store.prune(older_than_days=41) == 0
        assert store.prune(older_than_days=30) == 1
        assert store.get_many([key_of(1), key_of(2)]).keys() == {key_of(2)}


def test_prune_by_size_takes_the_oldest(path: Path) -> None:
    now = 1_000_000_000.0
    with ResponseStore.open(path, clock=lambda: now) as store:
        for i in range(400):
            now += 1
            store.put([answer(i, text=os.urandom(2000).hex())])
        whole = store.stats().size_bytes
        removed = store.prune(max_bytes=600_000)
        stats = store.stats()
        assert whole > 1_000_000
        assert 450_000 < stats.size_bytes <= 600_000
        assert path.stat().st_size <= 600_000
        assert stats.n_entries == 400 - removed
        assert list(store.get_many(map(key_of, range(400)))) == [key_of(i) for i in range(removed, 400)]
        assert store.prune(max_bytes=600_000) == 0
        assert store.prune(max_bytes=1) == 400 - removed
        assert store.stats().n_entries == 0


def test_what_a_store_holds_by_model_and_day(path: Path) -> None:
    now = 0.0
    with ResponseStore.open(path, clock=lambda: now, names={"candidate": "openai gpt-x"}) as store:
        store.put([answer(1), answer(2)], model="candidate")
        now = 2 * 86_400.0
        store.put([answer(3, text="x" * 500)], model="judge")
        stats = store.stats()
    assert {name: tally.n_entries for name, tally in stats.by_model.items()} == {"openai gpt-x": 2, "judge": 1}
    assert {day: tally.n_entries for day, tally in stats.by_day.items()} == {"1970-01-01": 2, "1970-01-03": 1}
    for tallies in (stats.by_model, stats.by_day):
        assert 0 < sum(tally.size_bytes for tally in tallies.values()) < stats.size_bytes
    assert stats.by_model["judge"].size_bytes > 500

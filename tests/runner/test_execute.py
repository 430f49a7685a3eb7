import asyncio
import time

import pytest

from evalharness.core.asynchronous import run_async
from evalharness.core.errors import ModelError, StoreError
from evalharness.core.types import Request, Response
from evalharness.runner.execute import execute
from evalharness.runner.progress import SilentProgress


class MemoryStore:
    def __init__(self, kept=()):
        self.kept = {r.key: r for r in kept}
        self.puts = []

    def get_many(self, keys):
        return {k: self.kept[k] for k in keys if k in self.kept}

    def put(self, responses, *, model=""):
        self.puts.append(list(responses))
        self.kept.update((r.key, r) for r in responses)


class Scripted:
    """A model that answers each request with its key, and does `script[key]` instead where there is one."""

    capabilities = frozenset({"generate"})

    def __init__(self, script=None, before=None):
        self.name, self.script, self.asked, self.log = "m", script or {}, [], []
        self.before = before

    async def open(self):
        self.log.append("open")

    async def close(self):
        self.log.append("close")

    async def generate(self, requests):
        for request in requests:
            self.asked.append(request.key)
            if self.before:
                await self.before(request)
            action = self.script.get(request.key)
            if isinstance(action, BaseException):
                raise action
            if action == "skip":
                continue
            yield Response(key=request.key, text=request.key)


class Recording(SilentProgress):
    def __init__(self):
        self.events = []

    def start(self, label, total, *, done=0):
        self.events.append(("start", label, total, done))

    def advance(self, n, *, failed=0):
        self.events.append(("advance", n, failed))


def requests(*keys):
    return [Request(key=k, model="m", kind="generate", sample_id=k, prompt=k) for k in keys]


def go(reqs, model, store=None, cache="reuse", progress=None):
    return run_async(execute(reqs, {"m": model}, store=store, cache=cache, progress=progress or SilentProgress()))


def test_every_request_is_answered_and_kept():
    store, model = MemoryStore(), Scripted()
    answers = go(requests("a", "b"), model, store)
    assert {k: r.text for k, r in answers.responses.items()} == {"a": "a", "b": "b"}
    assert set(store.kept) == {"a", "b"}
    assert answers.n_asked == 2
    assert model.log == ["open", "close"]


def test_identical_requests_are_asked_once():
    model = Scripted()
    go(requests("a", "a", "a"), model)
    assert model.asked == ["a"]


def test_stored_answers_are_not_asked_again_and_a_model_with_nothing_to_do_stays_closed():
    store, model = MemoryStore([Response("a", text="kept")]), Scripted()
    answers = go(requests("a"), model, store)
    assert answers.responses["a"].text == "kept"
    assert answers.responses.is_from_store("a")
    assert answers.responses.n_from_store == 1
    assert model.log == []


def test_refresh_asks_again_and_stores_and_off_leaves_the_store_alone():
    store = MemoryStore([Response("a", text="kept")])
    assert go(requests("a"), Scripted(), store, cache="refresh").responses["a"].text == "a"
    assert store.kept["a"].text == "a"
    store = MemoryStore()
    go(requests("a"), Scripted(), store, cache="off")
    assert store.kept == {}


def test_a_fault_of_the_backend_fails_the_samples_that_it_left_and_keeps_the_others():
    store = MemoryStore()
    answers = go(requests("a", "b", "c"), Scripted({"b": RuntimeError("boom")}), store)
    assert answers.responses["a"].status == "ok"
    assert {answers.responses[k].status for k in "bc"} == {"error"}
    assert "boom" in answers.responses["b"].error
    assert set(store.kept) == {"a"}


def test_a_request_without_an_answer_is_an_error_not_a_hole():
    answers = go(requests("a", "b"), Scripted({"a": "skip"}))
    assert answers.responses["a"].status == "error"
    assert "no answer" in answers.responses["a"].error


def test_a_backend_that_fails_as_a_whole_stops_the_run_and_what_came_is_kept():
    store, model = MemoryStore(), Scripted({"b": ModelError("gone")})
    with pytest.raises(ModelError, match="gone"):
        go(requests("a", "b"), model, store)
    assert set(store.kept) == {"a"}
    assert model.log == ["open", "close"]


def test_a_store_that_cannot_be_written_stops_the_run():
    class Full(MemoryStore):
        def put(self, responses, *, model=""):
            raise StoreError("disk full")

    async def pause(_):
        await asyncio.sleep(0)

    with pytest.raises(StoreError, match="disk full"):
        go(requests("a", "b", "c"), Scripted(before=pause), Full())


def test_an_answer_counts_as_done_only_after_it_is_durable():
    seen = []

    class Watching(Recording):
        def advance(self, n, *, failed=0):
            seen.append((n, sorted(store.kept)))

    store = MemoryStore()
    go(requests("a"), Scripted(), store, progress=Watching())
    assert seen == [(1, ["a"])]


def test_a_cancelled_run_keeps_every_answer_that_came():
    store = MemoryStore()

    async def stop_at_c(request):
        if request.key == "c":
            asyncio.current_task().cancel()
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        go(requests("a", "b", "c", "d"), Scripted(before=stop_at_c), store)
    assert set(store.kept) == {"a", "b"}


def test_progress_counts_stored_done_and_failed():
    progress = Recording()
    store = MemoryStore([Response("a")])
    go(requests("a", "b", "c"), Scripted({"c": "skip"}), store, progress=progress)
    assert progress.events[0] == ("start", "m", 3, 1)
    assert sum(e[1] for e in progress.events[1:]) == 2
    assert sum(e[2] for e in progress.events[1:]) == 1


def test_run_async_works_inside_a_running_loop():
    async def inner():
        return 7

    async def outer():
        return run_async(inner())

    assert asyncio.run(outer()) == 7


def test_a_fast_model_waits_for_a_slow_disk(monkeypatch):
    from evalharness.runner import execute as module

    monkeypatch.setattr(module, "_WAITING", 5)
    stored, ahead = [], []

    class Slow(MemoryStore):
        def put(self, responses, *, model=""):
            time.sleep(0.002)
            stored.extend(responses)
            super().put(responses)

    async def before(request):
        ahead.append(int(request.key) - len(stored))
        await asyncio.sleep(0)

    store = Slow()
    answers = go(requests(*map(str, range(200))), Scripted(before=before), store)
    assert len(answers.responses) == len(store.kept) == 200
    # Five wait, at most five are on their way to the disk, and one is being asked.
    assert max(ahead) <= 11
    assert max(map(len, store.puts)) <= 6


def test_a_disk_that_fails_while_answers_wait_holds_nobody_up(monkeypatch):
    from evalharness.runner import execute as module

    monkeypatch.setattr(module, "_WAITING", 3)

    class Full(MemoryStore):
        def put(self, responses, *, model=""):
            time.sleep(0.02)
            raise StoreError("the disk is full")

    async def before(request):
        await asyncio.sleep(0)

    with pytest.raises(StoreError, match="the disk is full"):
        go(requests(*map(str, range(50))), Scripted(before=before), Full())


def test_a_disk_that_has_failed_before_the_last_place_is_taken_holds_nobody_up(monkeypatch):
    from evalharness.runner import execute as module

    monkeypatch.setattr(module, "_WAITING", 3)

    class Full(MemoryStore):
        def put(self, responses, *, model=""):
            time.sleep(0.02)
            raise StoreError("the disk is full")

    async def before(request):
        # The first is on its way to the disk, the next two wait; the disk fails while the fourth is asked.
        await asyncio.sleep(0.2 if request.key == "3" else 0)

    async def main():
        work = execute(
            requests(*map(str, range(50))), {"m": Scripted(before=before)}, store=Full(), progress=SilentProgress()
        )
        await asyncio.wait_for(work, timeout=5)

    began = time.monotonic()
    with pytest.raises(StoreError, match="the disk is full"):
        run_async(main())
    assert time.monotonic() - began < 4


def test_answers_that_come_fast_are_kept_in_groups_and_the_first_one_at_once():
    puts = []

    class Timed(MemoryStore):
        def put(self, responses, *, model=""):
            puts.append(time.monotonic())
            super().put(responses, model=model)

    async def soon(request):
        await asyncio.sleep(0.002)

    began = time.monotonic()
    store = Timed()
    answers = go(requests(*(str(i) for i in range(100))), Scripted(before=soon), store)
    took_s = time.monotonic() - began
    assert len(answers.responses) == len(store.kept) == 100
    assert len(store.puts[0]) < 10
    assert len(puts) <= took_s / 0.02 + 3

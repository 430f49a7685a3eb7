import asyncio

import pytest

from evalharness.core.asynchronous import run_async
from evalharness.core.errors import ModelDownError, ModelError, RunError
from evalharness.core.types import Request, Response
from evalharness.models.concurrent import answered
from evalharness.runner.execute import execute
from evalharness.runner.progress import SilentProgress
from evalharness.runner.stopping import Stopping, StopRun


class Store:
    def __init__(self):
        self.kept = {}

    def get_many(self, keys):
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put(self, responses, *, model=""):
        self.kept.update((r.key, r) for r in responses if r.status != "error")


class Server:
    """A model that answers four requests at a time, after `answer` has had its way."""

    capabilities = frozenset({"generate"})

    def __init__(self, answer=None, name="m"):
        self.name, self.asked, self.is_open, self._answer = name, [], False, answer

    async def open(self):
        self.is_open = True

    async def close(self):
        self.is_open = False

    async def _one(self, request):
        self.asked.append(request.key)
        await asyncio.sleep(0)
        if self._answer:
            await self._answer(request)
        return Response(key=request.key, text=request.key)

    def generate(self, requests):
        return answered(requests, self._one, concurrency=4)


def requests(n, model="m"):
    return [Request(key=f"{model}{i}", model=model, kind="generate", sample_id=str(i), prompt=str(i)) for i in range(n)]


def go(asked, models, *, store=None, stopping=None, cache="reuse"):
    models = models if isinstance(models, dict) else {"m": models}
    return run_async(execute(asked, models, store=store, cache=cache, progress=SilentProgress(), stopping=stopping))


def test_a_reason_stops_the_run_lets_what_is_in_flight_finish_and_the_same_run_continues():
    stopping, store = Stopping(), Store()

    async def spend(request):
        if request.key == "m9":
            stopping.stop("the budget is spent")

    model = Server(spend)
    with pytest.raises(StopRun) as caught:
        go(requests(1_000), model, store=store, stopping=stopping)
    # Everything that was sent is answered and kept, and no more than four were on their way when the budget ended.
    assert set(store.kept) == set(model.asked)
    assert 10 <= len(model.asked) <= 14
    assert str(caught.value) == (
        f"the run was stopped: the budget is spent; {len(store.kept)} of 1,000 requests are answered and kept; "
        "run the same command again to ask only the rest"
    )
    assert caught.value.exit_code == 3
    assert not model.is_open

    again = Server()
    answers = go(requests(1_000), again, store=store)
    assert len(answers.responses) == 1_000
    assert not set(again.asked) & set(model.asked)


def test_a_deadline_stops_the_run_and_says_so():
    now = [100.0]
    stopping = Stopping(deadline_s=60, clock=lambda: now[0])

    async def work(_):
        now[0] += 1

    model = Server(work)
    with pytest.raises(StopRun, match=r"its deadline has passed \(execution.deadline_s: 60\)"):
        go(requests(500), model, stopping=stopping, store=Store())
    assert 60 <= len(model.asked) <= 64


def test_the_deadline_counts_from_where_the_run_began():
    assert Stopping(deadline_s=10, began=80.0, clock=lambda: 89.9).reason is None
    assert Stopping(deadline_s=10, began=80.0, clock=lambda: 90.0).reason is not None


def test_what_does_not_finish_in_time_is_cancelled_and_nothing_is_left_behind():
    store, stopping = Store(), Stopping(grace_s=0.02)

    async def hang(request):
        if request.key == "m5":
            stopping.stop("enough")
            await asyncio.Event().wait()

    async def scene():
        with pytest.raises(StopRun, match="enough"):
            await execute(requests(500), {"m": model}, store=store, progress=SilentProgress(), stopping=stopping)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    model = Server(hang)
    asyncio.run(scene())
    assert {"m0", "m5"} <= set(model.asked)
    assert set(store.kept) == set(model.asked) - {"m5"}


def test_a_deadline_cancels_what_hangs_although_nothing_comes_back():
    async def hang(_):
        await asyncio.Event().wait()

    with pytest.raises(StopRun, match="its deadline has passed"):
        go(requests(50), Server(hang), stopping=Stopping(deadline_s=0.05, grace_s=0.02), store=Store())


def test_after_a_reason_no_further_model_is_opened():
    stopping, opened = Stopping(), []

    async def stop(_):
        stopping.stop("enough")

    class Second(Server):
        async def open(self):
            opened.append(self.name)

    with pytest.raises(StopRun):
        go(requests(9) + requests(9, "n"), {"m": Server(stop), "n": Second(name="n")}, stopping=stopping)
    assert opened == []


def test_a_run_whose_last_answer_came_before_it_was_stopped_is_whole():
    stopping = Stopping()

    async def stop(request):
        if request.key == "m3":
            stopping.stop("enough")

    assert len(go(requests(4), Server(stop), stopping=stopping).responses) == 4


def test_without_a_store_the_message_does_not_promise_that_anything_is_kept():
    stopping = Stopping()
    stopping.stop("enough")
    stopping.stop("another reason")
    with pytest.raises(StopRun, match="enough; 0 of 3 requests were answered; with cache: off none of it is kept"):
        go(requests(3), Server(), stopping=stopping, cache="off")


def test_a_timeout_of_a_backend_is_no_reason_to_stop():
    async def scene():
        async with Stopping().grace():
            raise TimeoutError("of the backend")

    with pytest.raises(TimeoutError, match="of the backend"):
        asyncio.run(scene())


def test_a_server_that_is_down_ends_its_model_and_the_others_are_asked_all_the_same():
    async def down(request):
        if request.key == "m6":
            raise ModelDownError("http://host is down: connection refused")

    store, other = Store(), Server(name="n")
    models = {"m": Server(down), "n": other}
    with pytest.raises(ModelDownError) as caught:
        go(requests(100) + requests(5, "n"), models, store=store)
    assert isinstance(caught.value, ModelError)
    assert isinstance(caught.value, RunError)
    n = len(store.kept)
    assert len(other.asked) == 5
    assert str(caught.value) == (
        "model 'm': http://host is down: connection refused\n"
        f"{n} of 105 requests are answered and kept; run the same command again to ask only the rest"
    )
    assert n >= 5 + 3


def test_two_models_with_one_identity_are_asked_once():
    first, second = Server(), Server(name="n")
    same = [Request(key="k", model=model, kind="generate", sample_id="s", prompt="p") for model in ("m", "n")]
    answers = go(same, {"m": first, "n": second})
    assert (first.asked, second.asked) == (["k"], [])
    assert [response.text for response in answers.responses.in_order(0, 2)] == ["k", "k"]

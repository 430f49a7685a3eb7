"""Budgets: reserved before, corrected after, stopped in time, nothing lost."""

import asyncio
from array import array

import pytest

from evalharness.core.allowance import may_try_again
from evalharness.core.asynchronous import run_async
from evalharness.core.errors import BudgetError
from evalharness.core.types import Request, Response, Sampling
from evalharness.runner.accounts import Accounts
from evalharness.runner.budget import Budget, Limits
from evalharness.runner.execute import execute
from evalharness.runner.progress import SilentProgress
from evalharness.suite.schema import Execution, Price

PRICE = Price(input=1e6, output=1e6)  # a dollar a token


class MemoryStore:
    def __init__(self):
        self.kept = {}

    def get_many(self, keys):
        return {k: self.kept[k] for k in keys if k in self.kept}

    def put(self, responses, *, model=""):
        self.kept.update((r.key, r) for r in responses if r.status == "ok")


class Model:
    """Answers with the tokens that `use` gives; keeps which requests came together."""

    capabilities = frozenset({"generate"})
    name = "m"

    def __init__(self, use=lambda request: {"input_tokens": 1, "output_tokens": 1}):
        self.use, self.calls = use, []

    async def open(self):
        pass

    async def close(self):
        pass

    async def generate(self, requests):
        self.calls.append([request.key for request in requests])
        for request in requests:
            yield Response(key=request.key, **{"text": "x", **self.use(request)})

    @property
    def asked(self):
        return [key for call in self.calls for key in call]


def requests(n):
    # A prompt of four bytes is one token: each request may use ten.
    sampling = Sampling(max_tokens=9)
    return [Request(f"k{i}", "m", "generate", f"s{i}", f"{i:04}", sampling=sampling) for i in range(n)]


def go(n, model, store=None, prices=None, keeps=True, **limits):
    accounts = Accounts(prices or {}, Budget(Limits(**limits), keeps=keeps))
    work = execute(requests(n), {"m": model}, store=store, progress=SilentProgress(), accounts=accounts)
    return run_async(work)


def test_limits_of_a_suite():
    assert Limits.of(Execution()) is None
    assert Limits.of(Execution(max_tokens=5)) == Limits(max_tokens=5)


def test_a_budget_that_bears_all_is_one_round():
    model = Model()
    answers = go(20, model, max_requests=20)
    assert len(model.calls) == 1
    assert answers.n_asked == 20


def test_requests_are_counted_and_the_same_command_continues():
    store, model = MemoryStore(), Model()
    with pytest.raises(BudgetError) as caught:
        go(10, model, store, max_requests=4)
    assert model.asked == ["k0", "k1", "k2", "k3"]
    assert set(store.kept) == set(model.asked)
    message = str(caught.value)
    assert "execution.max_requests is 4: 4 requests were sent" in message
    assert "6 requests left" in message
    assert "same command with a larger budget continues" in message
    assert "--set execution.max_requests=…" in message
    assert caught.value.exit_code == 5
    rest = Model()
    assert go(10, rest, store, max_requests=6).responses.n_from_store == 4
    assert len(rest.asked) == 6


def test_tokens_are_reserved_at_their_most_and_corrected_by_the_reply():
    model = Model()  # each may use 10 tokens, and uses 2
    with pytest.raises(BudgetError, match=r"the next request to m may use 10 \(1 of its prompt, estimated, and"):
        go(100, model, max_tokens=50)
    # 5 at once use 10 of 50, then 4 more use 8, …: until fewer than 10 are left.
    assert [len(call) for call in model.calls] == [5, 4, 3, 2, 2, 1, 1, 1, 1, 1]
    assert 50 - 2 * len(model.asked) < 10


def test_dollars_are_reserved_by_the_price_and_corrected_by_the_reply():
    model, store = Model(), MemoryStore()
    with pytest.raises(
        BudgetError, match=r"budget_usd is \$12: \$4 was spent, and the next request to m may cost \$10;"
    ):
        go(3, model, store, {"m": PRICE}, budget_usd=12)
    assert len(model.asked) == 2
    assert store.kept["k0"].meta["cost_usd"] == 2.0


def test_what_is_in_the_store_costs_nothing_now():
    store = MemoryStore()
    go(3, Model(), store, {"m": PRICE}, budget_usd=1000)
    answers = go(3, Model(), store, {"m": PRICE}, budget_usd=0.01)
    usage = answers.accounts.usage["m"]
    assert (usage.n_from_store, usage.n_requests, usage.cost_usd, usage.spent_usd) == (3, 0, 6.0, 0.0)


def test_a_reply_that_says_no_tokens_keeps_what_was_reserved_and_a_failed_one_used_none():
    silent = Model(lambda request: {})
    with pytest.raises(BudgetError, match="20 tokens were used"):
        go(5, silent, max_tokens=29)
    failing = Model(lambda request: {"status": "error", "error": "no"})
    assert go(5, failing, max_tokens=29).n_asked == 5
    with pytest.raises(BudgetError, match="5 requests left"):
        go(5, failing, max_requests=2)


def test_retries_count_as_requests(monkeypatch):
    monkeypatch.setattr("evalharness.runner.budget._MOST_A_ROUND", 1)
    model = Model(lambda request: {"n_retries": 2 * may_try_again() * may_try_again()})
    with pytest.raises(BudgetError, match="6 requests were sent"):
        go(3, model, max_requests=6)
    assert len(model.asked) == 2


def test_a_retry_that_would_be_one_too_many_is_not_granted():
    budget = Budget(Limits(max_requests=4))
    rounds = budget.rounds("m", None, requests(2), array("Q", [0, 1]))
    assert len(next(rounds)) == 2
    assert [budget.grant_retry() for _ in range(3)] == [True, True, False]
    budget.settle(Response("k0", n_retries=2), None)
    assert budget.spent.requests == 3
    assert not budget.grant_retry()
    budget.settle(Response("k1"), None)
    assert budget.spent.requests == 4
    assert Budget(Limits(max_tokens=1)).grant_retry()


def test_a_round_holds_a_bounded_number_of_requests(monkeypatch):
    monkeypatch.setattr("evalharness.runner.budget._MOST_A_ROUND", 4)
    model = Model()
    go(10, model, max_requests=100)
    assert [len(call) for call in model.calls] == [4, 4, 2]


def test_without_a_store_it_says_that_answers_are_lost():
    with pytest.raises(BudgetError, match="what was answered is lost"):
        go(3, Model(), keeps=False, max_requests=1)


def test_a_first_request_that_is_too_dear_is_not_sent():
    model = Model()
    with pytest.raises(BudgetError, match="3 requests left"):
        go(3, model, max_tokens=5)
    assert model.calls == []


def test_a_cancelled_round_leaves_nothing_reserved():
    budget = Budget(Limits(max_requests=10))
    accounts = Accounts({}, budget)

    class Stuck(Model):
        async def generate(self, requests):
            yield Response(requests[0].key)
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    async def run():
        await execute(requests(3), {"m": Stuck()}, store=None, progress=SilentProgress(), accounts=accounts)

    with pytest.raises(asyncio.CancelledError):
        run_async(run())
    assert budget.spent.requests == 1

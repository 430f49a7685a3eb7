"""Flow control as a whole: models ask simulated servers in virtual time, and one real server that is easily overrun."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.core.errors import ModelDownError
from evalharness.models.retry import Timing
from evalharness.models.transport import HttpReply

ENTRY = {"backend": "openai", "model": "x", "base_url": "http://host.example/v1"}
TOO_MANY = HttpReply(429, b"too many")
OK = HttpReply(200, b'{"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}')


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        return self.now


class _VirtualSelector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits, and nothing will happen"
            self._loop.now += timeout
        return found


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Server:
    """Answers `capacity` requests at once, each within about `service_s`, and refuses at once what is above that."""

    capacity: Callable[[float], float]
    service_s: float = 1.0
    varies: float = 0.5
    """By what share of it the time varies."""
    seed: int = 0
    per_minute: int | None = None
    """Refuses, with Retry-After, what is more than this within a minute of the clock."""
    refusal: HttpReply = TOO_MANY
    n_in_service: int = 0
    most_in_service: int = 0
    refused_at: list[float] = field(default_factory=list)
    taken_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, _: Any) -> HttpReply:
        now = _now()
        if self.n_in_service >= self.capacity(now):
            self.refused_at.append(now)
            await asyncio.sleep(self._dice.uniform(0.001, 0.01))
            return self.refusal
        if self.per_minute is not None and sum(at // 60 == now // 60 for at in self.taken_at) >= self.per_minute:
            self.refused_at.append(now)
            return HttpReply(429, b"too many", {"retry-after": str(60 - now % 60)})
        self.taken_at.append(now)
        self.n_in_service += 1
        self.most_in_service = max(self.most_in_service, self.n_in_service)
        await asyncio.sleep(self.service_s * self._dice.uniform(1 - self.varies, 1 + self.varies))
        self.n_in_service -= 1
        return OK


def run(kit: Any, server: Server, n: int, *, concurrency: int, **entry: Any) -> float:
    """Ask `n` requests, all of which must be answered; how long it took."""
    timing = Timing(clock=_now, now=_now, dice=random.Random(1).random)

    async def scene() -> float:
        model = kit.api_model({**ENTRY, **entry}, server, timing=timing, concurrency=concurrency)
        await model.open()
        found = [response async for response in model.generate([kit.request(str(i)) for i in range(n)])]
        assert len({response.key for response in found}) == len(found) == n
        failed = [response.error for response in found if response.status != "ok"]
        assert not failed, f"{len(failed)} failed: {failed[0]}"
        return _now()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scene())


@pytest.mark.parametrize(("capacity", "concurrency"), [(10, 100), (3, 64), (90, 100), (1, 16), (100, 1_000)])
def test_it_finds_what_the_server_bears_and_loses_nothing(kit: Any, capacity: int, concurrency: int) -> None:
    server, n = Server(lambda _: capacity), 60 * capacity + concurrency
    took_s = run(kit, server, n, concurrency=concurrency)
    assert took_s <= 1.25 * n / capacity + 5
    # Once it has found out, few requests are sent in vain.
    late = [at for at in server.refused_at if at > took_s / 3]
    assert len(late) <= 0.25 * n


def test_a_server_that_bears_everything_costs_no_time(kit: Any) -> None:
    """The bar: at least 90 % of a client that has 100 requests in flight at once, at a server that takes 50 ms."""
    server = Server(lambda _: 10_000, service_s=0.05, varies=0.0)
    ideal_s = 2_000 / 100 * 0.05
    assert run(kit, server, 2_000, concurrency=100) == pytest.approx(ideal_s)
    assert server.most_in_service == 100


def test_it_follows_a_server_that_loses_and_regains_capacity(kit: Any) -> None:
    server = Server(lambda now: 50 if not 20 < now < 60 else 5)
    took_s = run(kit, server, 50 * 20 + 5 * 40 + 50 * 40, concurrency=100)
    assert 95 <= took_s <= 120
    assert server.most_in_service >= 45


def test_a_short_outage_loses_nothing_and_is_made_up_for(kit: Any) -> None:
    server = Server(lambda now: 0 if 5 < now < 6 else 1_000, service_s=0.2, refusal=HttpReply(503, b"restarting"))
    took_s = run(kit, server, 5_000, concurrency=100)
    assert took_s <= 5_000 / 100 * 0.2 + 1 + 6


def test_a_limit_of_the_minute_is_waited_for(kit: Any) -> None:
    server = Server(lambda _: 1_000, per_minute=300)
    took_s = run(kit, server, 1_000, concurrency=32)
    assert 180 <= took_s <= 200
    # 32 were on their way, or about to be, whenever a minute's worth was spent.
    assert len(server.refused_at) <= 3 * 64


def test_with_the_limit_in_the_suite_nothing_is_sent_in_vain(kit: Any) -> None:
    server = Server(lambda _: 1_000, per_minute=306)
    took_s = run(kit, server, 1_000, concurrency=32, requests_per_minute=300)
    assert 195 <= took_s <= 205
    assert server.refused_at == []


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 150), st.sampled_from([0.05, 0.5, 5.0]), st.integers(0, 5))
def test_whatever_the_server_the_time_is_bounded_and_nobody_starves(
    capacity: int, concurrency: int, service_s: float, seed: int
) -> None:
    server, n = Server(lambda _: capacity, service_s=service_s, seed=seed), 200
    took_s = run(Kit, server, n, concurrency=concurrency)
    assert took_s <= 2 * n * service_s / min(capacity, concurrency) + 10 * service_s + 10


class Kit:
    """What `run` needs of the fixture of this name, which hypothesis cannot be given."""


@pytest.fixture(autouse=True)
def _kit(kit: Any) -> None:
    Kit.api_model = kit.api_model  # type: ignore[attr-defined]
    Kit.request = kit.request  # type: ignore[attr-defined]


def test_a_real_server_that_refuses_more_than_eight_at_once(kit: Any) -> None:
    n_in_service = most = n_refused = 0

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal n_in_service, most, n_refused
        if n_in_service >= 8:
            n_refused += 1
            return web.json_response({"error": {"message": "slow down"}}, status=429)
        n_in_service += 1
        most = max(most, n_in_service)
        try:
            await asyncio.sleep(0.02)
        finally:
            n_in_service -= 1
        return web.Response(body=OK.body, content_type="application/json")

    async def hurry(seconds: float) -> None:
        await asyncio.sleep(seconds / 20)

    async def scene() -> list[Any]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        entry = {**ENTRY, "base_url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1"}
        model = kit.api_model(entry, timing=Timing(sleep=hurry), concurrency=64)
        await model.open()
        try:
            return [response async for response in model.generate([kit.request(str(i)) for i in range(400)])]
        finally:
            await model.close()
            await runner.cleanup()

    found = asyncio.run(scene())
    assert [response.error for response in found if response.status != "ok"] == []
    assert len({response.key for response in found}) == 400
    assert most == 8
    # 56 of the first 64 are refused; then it is near eight.
    assert n_refused <= 600  # 2,342 if the window is never cut


class Choosy:
    """Fails some prompts for good, a second after they come, and answers the others at once."""

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, request: Any) -> HttpReply:
        if b"poison" in request.body:
            await asyncio.sleep(1.0)
            return HttpReply(500, b"cannot")
        await asyncio.sleep(0.1)
        return OK


@pytest.mark.parametrize(("n_bad", "n_good", "down"), [(25, 1, False), (25, 0, False), (250, 0, True)])
def test_requests_that_fail_last_do_not_make_a_server_down_that_answered_beside_them(
    kit: Any, n_bad: int, n_good: int, down: bool
) -> None:
    async def scene() -> list[str]:
        timing = Timing(clock=_now, now=_now, dice=random.Random(1).random)
        model = kit.api_model({**ENTRY, "max_retries": 2}, Choosy(), timing=timing, concurrency=64)
        await model.open()
        prompts = [*(f"poison {i}" for i in range(n_bad)), *(f"good {i}" for i in range(n_good))]
        return [response.status async for response in model.generate([kit.request(text, text) for text in prompts])]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        if down:
            with pytest.raises(ModelDownError, match="100 requests in a row got no answer"):
                runner.run(scene())
        else:
            assert sorted(runner.run(scene())) == ["error"] * n_bad + ["ok"] * n_good

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from evalharness.models.limits import Flow, Limits
from evalharness.models.transport import HttpRequest


def test_quiet_holds_back_everyone_until_it_is_over(kit: Any) -> None:
    time = kit.FakeTime(dice=0.0)
    limits = Limits(time.timing)

    async def scene() -> None:
        await limits.wait()
        assert time.slept == []
        limits.quiet_for(20)
        limits.quiet_for(5)  # the longest counts
        await asyncio.gather(*(limits.wait() for _ in range(3)))

    asyncio.run(scene())
    assert time.now_s == 1_020.0
    assert time.slept == [20.0] * 3


def test_tries_are_spared_only_while_nobody_was_reached(kit: Any) -> None:
    limits = Limits(kit.FakeTime().timing)
    assert not limits.hopeless
    limits.failed()
    assert limits.hopeless
    limits.read(kit.reply({}, 500), 0)
    assert not limits.hopeless
    limits.failed()
    assert not limits.hopeless


def test_a_server_is_down_after_so_many_failures_with_no_answer_in_between(kit: Any) -> None:
    limits = Limits(kit.FakeTime().timing)
    for _ in range(Limits.down_after - 1):
        limits.failed()
    assert not limits.down
    limits.answered()
    for _ in range(Limits.down_after - 1):
        limits.failed()
    assert not limits.down
    limits.failed()
    assert limits.down


def test_one_that_says_that_it_failed_at_each_is_down_after_many_more(kit: Any) -> None:
    limits = Limits(kit.FakeTime().timing)
    for _ in range(Limits.down_after_faults - 1):
        limits.failed(at_request=True)
    assert limits.in_doubt
    assert not limits.down
    limits.failed(at_request=True)
    assert limits.down
    # One that was not even reached among them says something else.
    limits.answered()
    for at_request in [True] * 5 + [False] + [True] * 4:
        assert not limits.down
        limits.failed(at_request=at_request)
    assert limits.down


def test_the_smallest_request_that_was_answered_is_remembered(kit: Any) -> None:
    limits = Limits(kit.FakeTime().timing)
    assert limits.known is None
    for size in (30, 10, 20):
        limits.remember(HttpRequest("POST", "http://h/", {}, b"x" * size))
    assert limits.known is not None
    assert limits.known.body == b"x" * 10


def test_when_nothing_remains_everyone_is_held_until_the_reset(kit: Any) -> None:
    time = kit.FakeTime(dice=0.0)
    limits = Limits(time.timing, longest_hold_s=120)
    spent = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1m0s"}
    assert limits.read(kit.reply({}, **spent), 0) == 60
    asyncio.run(limits.wait())
    assert time.now_s == 1_060.0
    # The rest of a day is not waited for.
    assert limits.read(kit.reply({}, **{**spent, "x_ratelimit_reset_requests": "8h"}), 0) is None
    asyncio.run(limits.wait())
    assert time.now_s == 1_060.0


def test_one_that_is_cancelled_while_it_is_held_back_leaves_its_place(kit: Any) -> None:
    async def scene() -> None:
        limits = Limits(kit.FakeTime().timing, Flow(concurrency=1))
        limits.quiet_for(1_000)
        held = asyncio.create_task(limits.enter())
        await asyncio.sleep(0)
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        await limits.enter()

    asyncio.run(scene())


def test_flow_control_is_read_from_the_suite_entry(kit: Any) -> None:
    spec = kit.spec_of(backend="http", url="http://h/", requests_per_minute=60, tokens_per_minute=5_000, deadline_s=9)
    assert Flow.of(spec, concurrency=7) == Flow(7, 60, 5_000, 9)
    assert Flow.of(kit.spec_of(backend="openai", model="x"), concurrency=7) == Flow(7, None, None, math.inf)
